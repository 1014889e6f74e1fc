"""Handlers for people: profiles, blocks and the list of users."""
