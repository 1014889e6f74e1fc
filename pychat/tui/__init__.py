"""The Textual app: talks to ChatClient only."""
