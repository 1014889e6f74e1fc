"""Messages in SQLite: appending, history, what is undelivered."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from pychat.server.store.records import Appended, ConversationKind, NewMessage, StoredMessage
from pychat.server.store.sqlite.base import SQLitePart
from pychat.server.store.sqlite.conversations import last_seq
from pychat.server.store.sqlite.rows import MESSAGE, stored_message

MAX_CACHED_SEQS = 100_000

_INSERT = (
    "INSERT INTO message (conversation, seq, number, sender, client_id, sent_at, data)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_TAKE_BACK = "DELETE FROM message WHERE conversation = ? AND seq = ?"
_LOG = "INSERT INTO log (number, conversation, seq) VALUES (?, ?, ?)"

_Row = tuple[int, int, int, int, bytes | None, int, str]


class Appender:
    """Writes batches of messages, in the writer's thread. It knows each conversation's last seq:
    nobody else appends to a store that a server holds."""

    def __init__(self) -> None:
        self._last_seqs: dict[int, int] = {}
        self._number: int | None = None

    def forget(self) -> None:
        """What it knows may be void: a transaction was rolled back."""
        self._last_seqs.clear()
        self._number = None

    def append(self, connection: sqlite3.Connection, batch: Sequence[NewMessage]) -> list[Appended]:
        """All of them new, as they nearly always are; else one by one."""
        if len(self._last_seqs) > MAX_CACHED_SEQS:
            self._last_seqs.clear()
        rows, answers = self._rows(connection, batch)
        try:
            connection.executemany(_INSERT, rows)
        except sqlite3.IntegrityError:
            # Some of the rows are in: their seqs are beyond all that was there before.
            connection.executemany(_TAKE_BACK, [row[:2] for row in rows])
            self.forget()
            return [self._append_one(connection, message) for message in batch]
        connection.executemany(_LOG, [(row[2], row[0], row[1]) for row in rows])
        return answers

    def _rows(
        self, connection: sqlite3.Connection, batch: Sequence[NewMessage]
    ) -> tuple[list[_Row], list[Appended]]:
        number = self._last_number(connection)
        last_seqs = self._last_seqs
        rows = []
        answers = []
        for message in batch:
            conversation = message.conversation
            seq = last_seqs.get(conversation)
            if seq is None:
                seq = last_seq(connection, conversation)
            last_seqs[conversation] = seq = seq + 1
            number += 1
            rows.append(
                (
                    conversation,
                    seq,
                    number,
                    message.sender,
                    message.client_id,
                    message.sent_at,
                    message.data,
                )
            )
            answers.append(Appended(conversation, seq, message.sent_at))
        self._number = number
        return rows, answers

    def _append_one(self, connection: sqlite3.Connection, message: NewMessage) -> Appended:
        if message.client_id is not None:
            existing = connection.execute(
                "SELECT conversation, seq, sent_at FROM message WHERE sender = ? AND client_id = ?",
                (message.sender, message.client_id),
            ).fetchone()
            if existing:
                conversation, seq, sent_at = existing
                return Appended(conversation, seq, sent_at, duplicate=True)
        (row,), (answer,) = self._rows(connection, [message])
        connection.execute(_INSERT, row)
        connection.execute(_LOG, (row[2], row[0], row[1]))
        return answer

    def _last_number(self, connection: sqlite3.Connection) -> int:
        if self._number is None:
            (number,) = connection.execute("SELECT max(number) FROM log").fetchone()
            self._number = number or 0
        return self._number


class SQLiteMessages(SQLitePart):
    """See ``base.Store`` for what each method promises."""

    def __init__(self) -> None:
        self._appender = Appender()
        self._committed_seqs: dict[int, int] = {}

    async def append(self, batch: Sequence[NewMessage]) -> list[Appended]:
        if not batch:
            return []
        appender = self._appender
        answers = await self._write(lambda connection: appender.append(connection, batch))
        committed = self._committed_seqs
        if len(committed) > MAX_CACHED_SEQS:
            committed.clear()
        for answer in answers:
            if not answer.duplicate:
                committed[answer.conversation] = answer.seq
        return answers

    async def last_seq(self, conversation: int) -> int:
        known = self._committed_seqs.get(conversation)
        if known is not None:
            return known
        return await self._read(lambda connection: last_seq(connection, conversation))

    async def history(
        self,
        conversation: int,
        *,
        first_seq: int,
        before: int | None,
        after: int | None,
        limit: int,
    ) -> tuple[list[StoredMessage], bool]:
        def read(connection: sqlite3.Connection) -> tuple[list[StoredMessage], bool]:
            sql = f"SELECT {MESSAGE} FROM message WHERE conversation = ? AND seq >= ?"
            parameters = [conversation, first_seq]
            if before is not None:
                sql += " AND seq < ?"
                parameters.append(before)
            if after is not None:
                sql += " AND seq > ?"
                parameters.append(after)
            order = "DESC" if after is None else "ASC"
            rows = connection.execute(
                f"{sql} ORDER BY seq {order} LIMIT ?", (*parameters, limit + 1)
            ).fetchall()
            page = rows[:limit]
            if after is None:
                page.reverse()
            return [stored_message(row) for row in page], len(rows) > limit

        return await self._read(read)

    async def undelivered(self, account: int, limit: int) -> list[StoredMessage]:
        columns = ", ".join(f"message.{column}" for column in MESSAGE.split(", "))

        def read(connection: sqlite3.Connection) -> list[StoredMessage]:
            rows = connection.execute(
                f"SELECT {columns} FROM membership"
                " CROSS JOIN conversation ON conversation.key = membership.conversation"
                " CROSS JOIN message ON message.conversation = membership.conversation"
                " AND message.seq > membership.delivered_seq"
                " WHERE membership.account = ? AND conversation.kind = ? AND message.sender <> ?"
                " ORDER BY membership.conversation, message.seq LIMIT ?",
                (account, ConversationKind.PAIR, account, limit),
            )
            return [stored_message(row) for row in rows]

        return await self._read(read)
