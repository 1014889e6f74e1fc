"""The widgets of the chat screen, except the message log."""
