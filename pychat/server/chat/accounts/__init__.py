"""Accounts: login, passwords, tokens."""
