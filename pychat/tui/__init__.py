"""The terminal client: a Textual app on top of ChatClient."""
