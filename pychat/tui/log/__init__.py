"""The message log: a widget whose cost does not grow with the number of messages."""
