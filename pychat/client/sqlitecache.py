"""The cache as one SQLite file, held by one process at a time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from pychat.client.errors import CacheInUse, CacheUnusable
from pychat.client.models import Conversation, Message

KEPT_IN_FILE: Final = 5_000
_APPLICATION_ID: Final = 0x70796363  # "pycc": says whose file it is
_SCHEMA: Final = 1

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

_CONVERSATIONS: Final = "SELECT record FROM conversation"
_OUTBOX: Final = "SELECT record FROM outgoing ORDER BY position"

_encode: Final = msgspec.msgpack.Encoder().encode
_message: Final = msgspec.msgpack.Decoder(Message).decode
_conversation: Final = msgspec.msgpack.Decoder(Conversation).decode


def _make_tables(db: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        db.execute(statement)


class SQLiteCache:
    """Written on the event loop: a row costs microseconds, and a commit does not wait for the disk.

    It survives a killed process whole; a lost power may take the last moments, which the server
    still has, and the newest lines of the outbox, which it has not.

    Once open it never fails: a file that can no longer be read or written (a full disk, damage) is
    left as it is, ``on_lost`` is told why, and all goes on in memory. What the file still has in
    its outbox is sent again when it is opened next, by the same client ids.
    """

    def __init__(self, path: Path | str, on_lost: Callable[[str], None] = lambda why: None) -> None:
        self._path = Path(path).expanduser()
        self._on_lost = on_lost
        self._connection: sqlite3.Connection | None = None

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise CacheUnusable(f"{self._path} is closed")
        return self._connection

    def open(self, server: str, user: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Made here, not by SQLite, so that nobody else may read it from its first byte on.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            # Autocommit mode; transactions are begun by hand. The timeout is for a process that is
            # just ending.
            self._connection = sqlite3.connect(self._path, isolation_level=None, timeout=0.5)
            self._prepare(server, user)
        except CacheUnusable:
            self._abandon()
            raise
        except sqlite3.OperationalError as error:
            self._abandon()
            if "locked" in str(error):
                raise CacheInUse(f"{self._path} is in use by another pychat") from None
            raise CacheUnusable(f"{self._path} cannot be opened: {error}") from None
        except (sqlite3.DatabaseError, msgspec.DecodeError):
            self._abandon()
            raise CacheUnusable(
                f"{self._path} is damaged or not a pychat cache; move it away to start a new one"
            ) from None
        except OSError as error:
            raise CacheUnusable(f"{self._path} cannot be opened: {error.strerror}") from None

    def _prepare(self, server: str, user: str) -> None:
        db = self._db
        # EXCLUSIVE keeps the lock until the process ends, however it ends.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN IMMEDIATE")
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (schema,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables == 0:
            _make_tables(db)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {_SCHEMA}")
            db.execute("INSERT INTO identity VALUES (?, ?)", (server, user))
        elif application != _APPLICATION_ID:
            raise CacheUnusable(f"{self._path} is not a pychat cache")
        elif schema > _SCHEMA:
            raise CacheUnusable(f"{self._path} was written by a newer pychat")
        owner = db.execute("SELECT server, user FROM identity").fetchone()
        if owner != (server, user):
            raise CacheUnusable(f"{self._path} belongs to {owner[1]} on {owner[0]}")
        db.execute("COMMIT")
        # Damage in what nobody else has is told at once, not when it is asked for.
        for query, decode in ((_OUTBOX, _message), (_CONVERSATIONS, _conversation)):
            for (record,) in db.execute(query):
                decode(record)
        db.execute("SELECT * FROM draft").fetchall()

    def _abandon(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        if self._connection is not None:
            self.flush()
            self._abandon()

    def flush(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._run("COMMIT")

    def _write(self, statement: str, *values: object) -> None:
        if not self._db.in_transaction:
            self._run("BEGIN")
        self._run(statement, *values)

    def _run(self, statement: str, *values: object) -> list[Any]:
        db = self._db
        try:
            return db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            self._go_on_in_memory(db, error)
        return [] if statement == "COMMIT" else self._db.execute(statement, values).fetchall()

    def _go_on_in_memory(self, lost: sqlite3.Connection, error: sqlite3.Error) -> None:
        # Without the messages: some were not committed, and what is kept must have no gap.
        memory = sqlite3.connect(":memory:", isolation_level=None)
        _make_tables(memory)
        for table, columns in (("conversation", 2), ("outgoing", 3), ("draft", 2)):
            with suppress(sqlite3.Error):  # the server has the conversations, Outbox its entries
                rows = lost.execute(f"SELECT * FROM {table}").fetchall()
                marks = ", ".join("?" * columns)
                memory.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        self._abandon()
        self._connection = memory
        self._on_lost(f"{self._path} cannot be used any more ({error})")

    # --- conversations ---

    def conversations(self) -> list[Conversation]:
        rows = self._run(_CONVERSATIONS)
        # Nobody is known to be online, or typing, before the server says so.
        return [
            msgspec.structs.replace(_conversation(record), online=False, typing=())
            for (record,) in rows
        ]

    def save_conversation(self, conversation: Conversation) -> None:
        self._write(
            "INSERT OR REPLACE INTO conversation VALUES (?, ?)",
            conversation.name,
            _encode(conversation),
        )

    def drop_conversation(self, name: str) -> None:
        self._write("DELETE FROM conversation WHERE name = ?", name)
        self.clear_messages(name)

    # --- stored messages ---

    def newest_seq(self, name: str) -> int | None:
        return self._seq("max", name)

    def oldest_seq(self, name: str) -> int | None:
        return self._seq("min", name)

    def _seq(self, which: str, name: str) -> int | None:
        ((seq,),) = self._run(f"SELECT {which}(seq) FROM message WHERE conversation = ?", name)
        found: int | None = seq
        return found

    def messages(self, name: str, *, before: int | None = None, limit: int) -> list[Message]:
        rows = self._run(
            "SELECT record FROM message WHERE conversation = ? AND seq < ? "
            "ORDER BY seq DESC LIMIT ?",
            *(name, 2**62 if before is None else before, limit),
        )
        return [_message(record) for (record,) in rows][::-1]

    def messages_after(self, name: str, seq: int) -> list[Message] | None:
        oldest = self.oldest_seq(name)
        if oldest is None or oldest > seq + 1:
            return None
        rows = self._run(
            "SELECT record FROM message WHERE conversation = ? AND seq > ? ORDER BY seq",
            *(name, seq),
        )
        return [_message(record) for (record,) in rows]

    def save_messages(self, name: str, messages: Sequence[Message]) -> None:
        for message in messages:
            self._write(
                "INSERT OR REPLACE INTO message VALUES (?, ?, ?)",
                name,
                message.seq,
                _encode(message),
            )
            if message.seq % 100 == 0:
                self._write(
                    "DELETE FROM message WHERE conversation = ? AND seq <= "
                    "(SELECT max(seq) FROM message WHERE conversation = ?) - ?",
                    name,
                    name,
                    KEPT_IN_FILE,
                )

    def clear_messages(self, name: str) -> None:
        self._write("DELETE FROM message WHERE conversation = ?", name)

    # --- the outbox ---

    def outbox(self) -> list[Message]:
        rows = self._run(_OUTBOX)
        return [_message(record) for (record,) in rows]

    def save_outgoing(self, message: Message) -> None:
        self._write(
            "INSERT INTO outgoing (client_id, record) VALUES (?, ?) "
            "ON CONFLICT (client_id) DO UPDATE SET record = excluded.record",
            message.client_id,
            _encode(message),
        )
        self.flush()

    def drop_outgoing(self, client_id: str) -> None:
        self._write("DELETE FROM outgoing WHERE client_id = ?", client_id)
        self.flush()

    # --- drafts ---

    def draft(self, name: str) -> str:
        rows = self._run("SELECT text FROM draft WHERE conversation = ?", name)
        return rows[0][0] if rows else ""

    def save_draft(self, name: str, text: str) -> None:
        if text:
            self._write("INSERT OR REPLACE INTO draft VALUES (?, ?)", name, text)
        else:
            self._write("DELETE FROM draft WHERE conversation = ?", name)
