"""Accounts: authentication, passwords, login tokens, and changes from outside."""
