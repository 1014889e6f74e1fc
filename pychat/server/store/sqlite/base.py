"""What the parts of the SQLite store share: access off the event loop, counters, messages."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from pychat.server.store.base import StoreLost, StoreUnavailable
from pychat.server.store.records import FileRecord, MessageRecord, ReactionRecord
from pychat.server.store.sqlite.file.connect import connect_reader, unavailable
from pychat.server.store.sqlite.file.files import DatabaseFiles
from pychat.server.store.sqlite.file.writer import WriterThread

T = TypeVar("T")

READERS = 2

MESSAGE = "conversation, seq, sender, client_id, sent_at, data, reply_to"
"""The columns that ``stored_message`` expects."""


def stored_message(
    row: tuple[int, int, int, bytes | None, int, str | None, int | None],
) -> MessageRecord:
    """Return the record of a row with the columns ``MESSAGE``, as it was before its changes
    (``complete``). A removed message has no data."""
    conversation, seq, sender, client_id, sent_at, data, reply_to = row
    return MessageRecord(
        conversation, seq, sender, client_id, sent_at, data or "", data is None, reply_to
    )


FILE = "id, account, name, size, mime, created_at, width, height, blurhash, conversation, seq"
"""The columns that ``stored_file`` expects."""

FileRow = tuple[str, int, str, int, str, int, int | None, int | None, str, int | None, int | None]


def stored_file(row: FileRow) -> FileRecord:
    """Return the record of a row with the columns ``FILE``."""
    conversation, seq = row[9:]
    message = None if conversation is None or seq is None else (conversation, seq)
    return FileRecord(*row[:9], message)


MENTION = "INSERT INTO mention (account, conversation, seq) VALUES (?, ?, ?)"


def counter(connection: sqlite3.Connection, name: str) -> int:
    """Return a value of the table ``counter``."""
    (value,) = connection.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
    return int(value)


def set_counter(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Set a value of the table ``counter``, in the caller's transaction."""
    connection.execute("UPDATE counter SET value = ? WHERE name = ?", (value, name))


class Readers:
    """Reader threads, each with its own connection. They never wait for the writer.

    A new connection opens the file that is at the path now; ``files`` detects another file.
    """

    def __init__(self, path: Path, files: DatabaseFiles) -> None:
        self._path = path
        self._files = files
        self._free: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="pychat-store-reader")

    def run(self, read: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run the function in a thread, in one transaction."""
        return asyncio.get_running_loop().run_in_executor(self._pool, self._run, read)

    def _run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._free.pop()
        except IndexError:
            connection = self._connect()
        try:
            # In a transaction, several statements see the same state.
            connection.execute("BEGIN")
            try:
                return read(connection)
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from None
        finally:
            if connection.in_transaction:
                # The commit failed: this connection cannot begin another transaction.
                connection.close()
            else:
                self._free.append(connection)

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = connect_reader(self._path)
        except sqlite3.Error as error:
            raise self._failed(error) from None
        try:
            # The first statement makes SQLite open the log and the shared memory file.
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            self._files.check()
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise self._failed(error) from None
            raise
        return connection

    def _failed(self, error: sqlite3.Error) -> StoreUnavailable:
        """Return the error for the caller. Raises StoreLost if lost files are the reason."""
        self._files.check()
        return unavailable(error, self._path)

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown)
        for connection in self._free:
            connection.close()
        self._free.clear()


class SQLitePart:
    """Base of the parts: ``_read`` and ``_write`` run a function with a connection in a thread."""

    _files: DatabaseFiles
    _readers: Readers
    _writer: WriterThread

    def _read(self, read: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        if self._writer.lost:
            raise StoreLost(self._writer.lost)
        return self._readers.run(read)

    def _write(
        self, write: Callable[[sqlite3.Connection], T], amount: int = 1
    ) -> asyncio.Future[T]:
        return self._writer.submit(write, amount)


# Mentions, files, revs, edit times and reactions are in tables of their own: a reaction must not
# rewrite the pages of a long message, and messages without them must not cost more.


def last_rev(connection: sqlite3.Connection, conversation: int) -> int:
    """Return the number of the conversation's last change, 0 if there is none."""
    (rev,) = connection.execute(
        "SELECT max(rev) FROM change WHERE conversation = ?", (conversation,)
    ).fetchone()
    return rev or 0


def mentions_of(connection: sqlite3.Connection, message: MessageRecord) -> MessageRecord:
    """Return the message with its mentions."""
    rows = connection.execute(
        "SELECT account FROM mention WHERE conversation = ? AND seq = ? ORDER BY account",
        (message.conversation, message.seq),
    ).fetchall()
    return replace(message, mentions=tuple(account for (account,) in rows)) if rows else message


def has_files(connection: sqlite3.Connection) -> bool:
    """Return whether a message has a file."""
    sql = "SELECT 1 FROM file WHERE conversation IS NOT NULL LIMIT 1"
    return connection.execute(sql).fetchone() is not None


def file_of(connection: sqlite3.Connection, message: MessageRecord) -> MessageRecord:
    """Return the message with its file."""
    row = connection.execute(
        f"SELECT {FILE} FROM file WHERE conversation = ? AND seq = ?",
        (message.conversation, message.seq),
    ).fetchone()
    return message if row is None else replace(message, file=stored_file(row))


def complete(
    connection: sqlite3.Connection, messages: Iterable[MessageRecord]
) -> list[MessageRecord]:
    """Return the messages with their mentions, files, revs, edit times and reactions, in the same
    order."""
    messages = list(messages)
    seqs: dict[int, list[int]] = {}
    for message in messages:
        seqs.setdefault(message.conversation, []).append(message.seq)
    details: dict[tuple[int, int], tuple[int, int | None]] = {}
    reactions: dict[tuple[int, int], list[ReactionRecord]] = {}
    mentions: dict[tuple[int, int], list[int]] = {}
    files: dict[tuple[int, int], FileRecord] = {}
    for conversation, wanted in seqs.items():
        low, high = min(wanted), max(wanted)
        within = "seq BETWEEN ? AND ?"
        parameters: tuple[int | str, ...] = (conversation, low, high)
        if high - low >= 2 * len(wanted):
            within = "seq IN (SELECT value FROM json_each(?))"
            parameters = (conversation, json.dumps(wanted))
        for seq, account in connection.execute(
            f"SELECT seq, account FROM mention WHERE conversation = ? AND {within}"
            " ORDER BY conversation, seq, account",
            parameters,
        ):
            mentions.setdefault((conversation, seq), []).append(account)
        for row in connection.execute(
            f"SELECT {FILE} FROM file WHERE conversation = ? AND {within}", parameters
        ):
            files[conversation, row[-1]] = stored_file(row)
        if not last_rev(connection, conversation):
            continue
        for seq, rev, edited_at in connection.execute(
            f"SELECT seq, rev, edited_at FROM change WHERE conversation = ? AND {within}",
            parameters,
        ):
            details[conversation, seq] = (rev, edited_at)
        for seq, rev, emoji, account in connection.execute(
            "SELECT seq, rev, emoji, account FROM reaction"
            f" WHERE conversation = ? AND {within} ORDER BY conversation, seq, rev",
            parameters,
        ):
            found = reactions.setdefault((conversation, seq), [])
            found.append(ReactionRecord(rev, emoji, account))
    if mentions:
        messages = [
            replace(message, mentions=tuple(named)) if (named := mentions.get(place)) else message
            for message in messages
            if (place := (message.conversation, message.seq))
        ]
    if files:
        messages = [
            replace(message, file=file) if file is not None else message
            for message in messages
            for file in [files.get((message.conversation, message.seq))]
        ]
    if not details:
        return messages
    return [_with_details(message, details, reactions) for message in messages]


def _with_details(
    message: MessageRecord,
    details: dict[tuple[int, int], tuple[int, int | None]],
    reactions: dict[tuple[int, int], list[ReactionRecord]],
) -> MessageRecord:
    place = message.conversation, message.seq
    if place not in details:
        return message
    rev, edited_at = details[place]
    return replace(message, rev=rev, edited_at=edited_at, reactions=tuple(reactions.get(place, ())))
