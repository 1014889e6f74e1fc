"""The SQLite file itself: its lock, connections, integrity check and backups."""
