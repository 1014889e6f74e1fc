"""Tables of the cache file, and the records in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from pychat.client.models import ConversationInfo, MessageInfo, PendingChange

APPLICATION_ID: Final = 0x70796363  # "pycc": marks the file as a cache of pychat
SCHEMA: Final = 3

_REVS_TABLE: Final = """
CREATE TABLE rev (conversation TEXT PRIMARY KEY, rev INTEGER NOT NULL) WITHOUT ROWID
"""
_REPLIES: Final = """
ALTER TABLE message ADD COLUMN origin INTEGER;
CREATE INDEX reply ON message (conversation, origin) WHERE origin IS NOT NULL
"""
"""``origin``: the seq of the message that a reply quotes."""
_CHANGES_TABLE: Final = """
CREATE TABLE change (
    position INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, record BLOB NOT NULL
)
"""
_TABLES: Final = """
CREATE TABLE identity (server TEXT NOT NULL, user TEXT NOT NULL);
CREATE TABLE conversation (name TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE message (
    conversation TEXT NOT NULL, seq INTEGER NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (conversation, seq)
) WITHOUT ROWID;
CREATE TABLE outgoing (
    position INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, record BLOB NOT NULL
);
CREATE TABLE draft (conversation TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
"""


encode: Final = msgspec.msgpack.Encoder().encode
_messages: Final = msgspec.msgpack.Decoder(MessageInfo)
_conversations: Final = msgspec.msgpack.Decoder(ConversationInfo)
_pending_changes: Final = msgspec.msgpack.Decoder(PendingChange)


# SQLite columns accept values of any type. These decoders raise DecodeError for an unexpected one.


def decode_message(record: object) -> MessageInfo:
    return _messages.decode(_bytes(record))


def decode_conversation(record: object) -> ConversationInfo:
    return _conversations.decode(_bytes(record))


def decode_change(record: object) -> PendingChange:
    return _pending_changes.decode(_bytes(record))


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise msgspec.DecodeError("a record is not binary")
    return value


def decode_seq(value: object) -> int | None:
    return msgspec.convert(value, int | None)


def decode_rev(value: object) -> tuple[str, int]:
    return msgspec.json.decode(decode_text(value), type=tuple[str, int])


def decode_text(value: object) -> str:
    return msgspec.convert(value, str)


_DECODERS: Final[Mapping[str, Callable[[object], object]]] = {
    "conversation": decode_conversation,
    "outgoing": decode_message,
    "change": decode_change,
    "draft": decode_text,
}


def copy_rows(damaged: sqlite3.Connection, to: sqlite3.Connection, tables: Sequence[str]) -> int:
    """Copy all rows that can be read and decoded. Returns their number."""
    copied = 0
    for table in tables:
        with suppress(sqlite3.Error):
            for row in damaged.execute(f"SELECT * FROM {table}"):
                with suppress(msgspec.DecodeError, sqlite3.Error):
                    _DECODERS[table](row[-1])
                    marks = ", ".join("?" * len(row))
                    to.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)
                    copied += 1
    return copied


def make_tables(db: sqlite3.Connection) -> None:
    """Create the tables of the current version."""
    for statement in (*_TABLES.split(";"), _REVS_TABLE, *_REPLIES.split(";"), _CHANGES_TABLE):
        db.execute(statement)


def upgrade(db: sqlite3.Connection, schema: int) -> None:
    """Bring the tables of an earlier version up to the current one."""
    if schema == 1:
        # Version 1 had no changes of messages. Its records are read with none.
        db.execute(_REVS_TABLE)
    else:
        # Version 2 did not know which messages are replies. The server has them all.
        db.execute("DELETE FROM message")
    for statement in (*_REPLIES.split(";"), _CHANGES_TABLE):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA}")
