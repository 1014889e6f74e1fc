"""Rows of messages as records."""

from __future__ import annotations

from typing import Any

from pychat.server.store.records import StoredMessage

MESSAGE = "conversation, seq, sender, client_id, sent_at, data"


def stored_message(row: tuple[Any, ...]) -> StoredMessage:
    """``row`` has the columns ``MESSAGE``; data is NULL once removed."""
    conversation, seq, sender, client_id, sent_at, data = row
    return StoredMessage(conversation, seq, sender, client_id, sent_at, data or "", data is None)
