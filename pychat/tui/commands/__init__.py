"""Slash commands and keys."""
