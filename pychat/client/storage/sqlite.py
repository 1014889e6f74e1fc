"""Cache in a SQLite file, which one process opens at a time."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from pychat.client.errors import CacheDamaged, CacheInUse, CacheUnusable
from pychat.client.models import ConversationInfo, MessageInfo, PendingChange
from pychat.client.storage.cachefile import (
    APPLICATION_ID,
    SCHEMA,
    copy_rows,
    decode_change,
    decode_conversation,
    decode_message,
    decode_rev,
    decode_seq,
    decode_text,
    encode,
    make_tables,
    upgrade,
)

KEPT_IN_FILE: Final = 5_000
"""Messages per conversation that the file keeps."""
_CONVERSATIONS: Final = "SELECT record FROM conversation"
_OUTBOX: Final = "SELECT record FROM outgoing ORDER BY position"
_CHANGES: Final = "SELECT record FROM change ORDER BY position"
_DRAFTS: Final = "SELECT conversation, text FROM draft"
_SYSTEM_ERRORS: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM})
"""Errors that a new file in the same place would have too."""

Record = TypeVar("Record")


class SQLiteCache:
    """Cache in a SQLite file.

    It runs on the event loop: a row takes microseconds, and a commit does not wait for the disk.

    A killed process loses nothing. A power failure may lose the last changes, which the server
    still has, and the newest entries of the outbox, which it does not have.

    Once open, the cache never fails. If the file can no longer be read or written (full disk,
    damage), the cache leaves it as it is, calls ``on_lost`` with the reason, and continues in
    memory. Entries that are still in the file's outbox are sent again when the file is opened the
    next time, with the same client ids.
    """

    def __init__(
        self, path: Path | str, on_lost: Callable[[str], None] = lambda reason: None
    ) -> None:
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
            # Created here, not by SQLite, so that other users can never read it.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            os.close(descriptor)
            if not is_file:
                raise CacheDamaged(f"{self._path} is not a file")
            # Autocommit mode: this class begins transactions itself. The timeout, in seconds, is
            # for another process that is just exiting.
            self._connection = sqlite3.connect(self._path, isolation_level=None, timeout=0.5)
            self._prepare(server, user)
        except CacheUnusable:
            self._disconnect()
            raise
        except (sqlite3.Error, msgspec.DecodeError) as error:
            self._disconnect()
            raise self._unusable(error) from None
        except OSError as error:
            file_error = isinstance(error, PermissionError | IsADirectoryError | FileNotFoundError)
            raise (CacheDamaged if file_error else CacheUnusable)(
                f"{self._path} cannot be opened: {error.strerror}"
            ) from None

    def _unusable(self, error: Exception) -> CacheUnusable:
        code = getattr(error, "sqlite_errorcode", None)
        code = None if code is None else code & 0xFF  # the primary code of an extended one
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return CacheInUse(f"{self._path} is in use by another pychat process")
        if code in _SYSTEM_ERRORS:
            return CacheUnusable(f"{self._path} cannot be opened: {error}")
        return CacheDamaged(
            f"{self._path} is damaged or not a pychat cache; move it away to start a new one"
        )

    def _prepare(self, server: str, user: str) -> None:
        db = self._db
        # EXCLUSIVE holds the lock until the process ends, even if it is killed.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN IMMEDIATE")
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (schema,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables == 0:
            make_tables(db)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA}")
            db.execute("INSERT INTO identity VALUES (?, ?)", (server, user))
        elif application != APPLICATION_ID:
            raise CacheDamaged(f"{self._path} is not a pychat cache")
        elif schema > SCHEMA:
            raise CacheDamaged(f"{self._path} was written by a newer pychat")
        elif schema < SCHEMA:
            upgrade(db, schema)
        owner = db.execute("SELECT server, user FROM identity").fetchone()
        if owner is None:
            raise CacheDamaged(f"{self._path} does not name its server and user")
        if owner != (server, user):
            raise CacheDamaged(f"{self._path} belongs to {owner[1]} on {owner[0]}")
        db.execute("COMMIT")
        # Finds damage in this data when the cache is opened, not at the first use.
        for query, decode in (
            (_OUTBOX, decode_message),
            (_CHANGES, decode_change),
            (_CONVERSATIONS, decode_conversation),
            (_DRAFTS, decode_text),
        ):
            for row in db.execute(query):
                decode(row[-1])
        # Checks that the table exists and has these columns.
        db.execute("SELECT conversation, seq, record, origin FROM message LIMIT 0")
        db.execute("SELECT conversation, rev FROM rev LIMIT 0")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        if self._connection is not None:
            self.flush()
            self._disconnect()

    def flush(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._run("COMMIT")

    def _write(self, statement: str, *values: object) -> None:
        if not self._db.in_transaction:
            self._run("BEGIN")
        self._run(statement, *values)

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        db = self._db
        try:
            return db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            self._continue_in_memory(db, error)
        return [] if statement == "COMMIT" else self._db.execute(statement, values).fetchall()

    def _read(
        self, decode: Callable[[object], Record], query: str, *values: object
    ) -> list[Record]:
        """Decode the last column of each row. Continues in memory if the file is damaged."""
        try:
            return [decode(row[-1]) for row in self._run(query, *values)]
        except msgspec.DecodeError as error:
            self._continue_in_memory(self._db, error)
        return [decode(row[-1]) for row in self._run(query, *values)]

    def _continue_in_memory(self, lost: sqlite3.Connection, error: Exception) -> None:
        # Leaves out the messages: some were not committed, and a cache must not have a gap.
        memory = sqlite3.connect(":memory:", isolation_level=None)
        make_tables(memory)
        # Rows that cannot be copied are not lost: the server has the conversations, and Outbox has
        # its entries in memory.
        copy_rows(lost, memory, ("conversation", "outgoing", "change", "draft"))
        self._disconnect()
        self._connection = memory
        self._on_lost(f"{self._path} can no longer be used ({error})")

    def rescue(self, damaged: Path) -> int:
        """Copy the outbox and the drafts of a damaged file that was set aside.

        Copies what can be read, and only if the file belongs to the same server and user. Returns
        the number of rows. Does not raise for the rest.
        """
        found = 0
        with suppress(sqlite3.Error), closing(sqlite3.connect(damaged, timeout=0)) as lost:
            (schema,) = lost.execute("PRAGMA user_version").fetchone()
            identity = "SELECT server, user FROM identity"
            if (
                1 <= schema <= SCHEMA
                and lost.execute(identity).fetchone() == self._run(identity)[0]
            ):
                self._run("BEGIN")
                found = copy_rows(lost, self._db, ("outgoing", "change", "draft"))
                self.flush()
        return found

    # --- conversations ---

    def conversations(self) -> list[ConversationInfo]:
        # Presence and typing are unknown until the server reports them.
        return [
            msgspec.structs.replace(conversation, online=False, typing=())
            for conversation in self._read(decode_conversation, _CONVERSATIONS)
        ]

    def save_conversation(self, conversation: ConversationInfo) -> None:
        self._write(
            "INSERT OR REPLACE INTO conversation VALUES (?, ?)",
            conversation.name,
            encode(conversation),
        )

    def drop_conversation(self, name: str) -> None:
        self._write("DELETE FROM conversation WHERE name = ?", name)
        self.clear_messages(name)
        self._write("DELETE FROM rev WHERE conversation = ?", name)

    # --- stored messages ---

    def newest_seq(self, name: str) -> int | None:
        return self._seq("max", name)

    def oldest_seq(self, name: str) -> int | None:
        return self._seq("min", name)

    def _seq(self, which: str, name: str) -> int | None:
        query = f"SELECT {which}(seq) FROM message WHERE conversation = ?"
        found = self._read(decode_seq, query, name)
        return found[0] if found else None

    def messages(self, name: str, *, before: int | None = None, limit: int) -> list[MessageInfo]:
        return self._read(
            decode_message,
            "SELECT record FROM message WHERE conversation = ? AND seq < ? "
            "ORDER BY seq DESC LIMIT ?",
            *(name, 2**62 if before is None else before, limit),
        )[::-1]

    def messages_after(self, name: str, seq: int) -> list[MessageInfo] | None:
        oldest = self.oldest_seq(name)
        if oldest is None or oldest > seq + 1:
            return None
        return self._read(
            decode_message,
            "SELECT record FROM message WHERE conversation = ? AND seq > ? ORDER BY seq",
            *(name, seq),
        )

    def save_messages(self, name: str, messages: Sequence[MessageInfo]) -> None:
        for message in messages:
            self._write(
                "INSERT OR REPLACE INTO message (conversation, seq, record, origin)"
                " VALUES (?, ?, ?, ?)",
                name,
                message.seq,
                encode(message),
                message.reply_to.seq if message.reply_to is not None else None,
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

    def replies(self, name: str, origin: int) -> list[MessageInfo]:
        # Without statistics SQLite would read all messages of the conversation instead.
        query = (
            "SELECT record FROM message INDEXED BY reply"
            " WHERE conversation = ? AND origin = ? ORDER BY seq"
        )
        return self._read(decode_message, query, name, origin)

    def oldest_origin(self, name: str) -> int | None:
        query = "SELECT min(origin) FROM message WHERE conversation = ? AND origin IS NOT NULL"
        return self._read(decode_seq, query, name)[0]

    def revs(self) -> dict[str, int]:
        return dict(self._read(decode_rev, "SELECT json_array(conversation, rev) FROM rev"))

    def save_rev(self, name: str, rev: int) -> None:
        self._write("INSERT OR REPLACE INTO rev VALUES (?, ?)", name, rev)

    # --- outbox ---

    def outbox(self) -> list[MessageInfo]:
        return self._read(decode_message, _OUTBOX)

    def save_outgoing(self, message: MessageInfo) -> None:
        self._write(
            "INSERT INTO outgoing (client_id, record) VALUES (?, ?) "
            "ON CONFLICT (client_id) DO UPDATE SET record = excluded.record",
            message.client_id,
            encode(message),
        )
        self.flush()

    def drop_outgoing(self, client_id: str) -> None:
        self._write("DELETE FROM outgoing WHERE client_id = ?", client_id)
        self.flush()

    # --- unanswered changes ---

    def changes(self) -> list[PendingChange]:
        return self._read(decode_change, _CHANGES)

    def save_change(self, change: PendingChange) -> None:
        self._write(
            "INSERT INTO change (key, record) VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET record = excluded.record",
            change.key,
            encode(change),
        )
        self.flush()

    def drop_change(self, key: str) -> None:
        self._write("DELETE FROM change WHERE key = ?", key)
        self.flush()

    # --- drafts ---

    def draft(self, name: str) -> str:
        found = self._read(decode_text, "SELECT text FROM draft WHERE conversation = ?", name)
        return found[0] if found else ""

    def save_draft(self, name: str, text: str) -> None:
        if text:
            self._write("INSERT OR REPLACE INTO draft VALUES (?, ?)", name, text)
        else:
            self._write("DELETE FROM draft WHERE conversation = ?", name)
