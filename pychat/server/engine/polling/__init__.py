"""The HTTP long-polling transport."""
