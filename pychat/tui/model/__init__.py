"""State of the terminal client, independent of widgets."""
