"""Accounts, conversations and messages, kept. Knows no sockets."""
