"""Passwords, tokens and accounts on this machine."""
