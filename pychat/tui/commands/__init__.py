"""Slash commands, keys and the command palette."""
