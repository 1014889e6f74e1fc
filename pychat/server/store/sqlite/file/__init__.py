"""The database file: who may open it, connections to it, checks and backups of it."""
