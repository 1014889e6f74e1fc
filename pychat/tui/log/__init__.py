"""The message log: one line-API widget, whose cost does not grow with what it holds."""
