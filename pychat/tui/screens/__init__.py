"""The chat screen and the dialogs."""
