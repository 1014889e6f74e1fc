"""State of the terminal client that is not a widget."""
