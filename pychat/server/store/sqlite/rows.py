"""Rows of messages as records."""

from __future__ import annotations

import sqlite3
from typing import Any

from pychat.server.store.records import MessageRecord

MESSAGE = "conversation, seq, sender, client_id, sent_at, data"


def stored_message(row: tuple[Any, ...]) -> MessageRecord:
    """``row`` has the columns ``MESSAGE``; data is NULL once removed."""
    conversation, seq, sender, client_id, sent_at, data = row
    return MessageRecord(conversation, seq, sender, client_id, sent_at, data or "", data is None)


def counter(connection: sqlite3.Connection, name: str) -> int:
    """One of the store's few numbers (schema.py)."""
    (value,) = connection.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
    return int(value)


def set_counter(connection: sqlite3.Connection, name: str, value: int) -> None:
    """In the transaction of what it counts."""
    connection.execute("UPDATE counter SET value = ? WHERE name = ?", (value, name))
