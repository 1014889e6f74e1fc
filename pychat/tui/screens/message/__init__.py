"""Dialogs about one message."""
