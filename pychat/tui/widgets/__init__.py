"""The widgets of the chat screen beside the log."""
