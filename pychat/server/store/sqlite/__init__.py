"""The store in one SQLite file: the default."""

from pychat.server.store.sqlite.store import SQLiteStore as SQLiteStore
