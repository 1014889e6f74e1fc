"""The client's events, one module each."""
