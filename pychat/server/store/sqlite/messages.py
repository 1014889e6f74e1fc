"""Messages in SQLite: append, history, undelivered messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import cast

from pychat.server.store.records import (
    Appended,
    ChangeResult,
    ConversationKind,
    MessageRecord,
    NewChange,
    NewMessage,
    Outcome,
    RecordPage,
    write_kind,
)
from pychat.server.store.sqlite.appender import MAX_CACHED_SEQS, Appender
from pychat.server.store.sqlite.base import (
    MESSAGE,
    complete,
    file_of,
    has_files,
    last_rev,
    stored_message,
)
from pychat.server.store.sqlite.blobs import attach, may_attach
from pychat.server.store.sqlite.changes import SQLiteChanges
from pychat.server.store.sqlite.conversations import last_seq


class SQLiteMessages(SQLiteChanges):
    """Implements the messages of ``base.Store``."""

    def __init__(self) -> None:
        super().__init__()
        self._appender = Appender()
        self._committed_seqs: dict[int, int] = {}

    async def append(self, batch: Sequence[NewMessage]) -> list[Appended]:
        if not batch:
            return []
        appender = self._appender
        answers = await self._write(
            lambda connection: appender.append(connection, batch), len(batch)
        )
        self._note_committed(answers)
        return answers

    async def commit(
        self, batch: Sequence[NewMessage | NewChange]
    ) -> list[Appended | ChangeResult]:
        answers, deleted = await self._write(
            lambda connection: self._commit(connection, batch), len(batch)
        )
        await self._remove_blobs(deleted)
        self._note_committed(answer for answer in answers if isinstance(answer, Appended))
        return answers

    def _commit(
        self, connection: sqlite3.Connection, batch: Sequence[NewMessage | NewChange]
    ) -> tuple[list[Appended | ChangeResult], list[str]]:
        """Return the answers, and the ids of deleted files."""
        answers: list[Appended | ChangeResult] = []
        deleted: list[str] = []
        for kind, run in groupby(batch, write_kind):
            if kind == "message":
                answers += self._appender.append(connection, cast("list[NewMessage]", list(run)))
            elif kind == "file":
                for message in cast("list[NewMessage]", list(run)):
                    answers.append(self._append_with_file(connection, message))
            else:
                changed, gone = self._changer.change(connection, cast("list[NewChange]", list(run)))
                answers += changed
                deleted += gone
        return answers, deleted

    def _append_with_file(
        self, connection: sqlite3.Connection, message: NewMessage
    ) -> Appended | ChangeResult:
        assert message.file is not None
        if not may_attach(connection, message.file, message.sender):
            known = self._appender.known(connection, message)
            return known or ChangeResult(Outcome.MISSING, None)
        (answer,) = self._appender.append(connection, [message])
        if not answer.duplicate:
            attach(connection, message.file, answer)
        return answer

    def _note_committed(self, answers: Iterable[Appended]) -> None:
        committed = self._committed_seqs
        if len(committed) > MAX_CACHED_SEQS:
            committed.clear()
        for answer in answers:
            if not answer.duplicate:
                committed[answer.conversation] = answer.seq

    def _forget(self) -> None:
        """Drop what the writer thread has cached, after a rollback."""
        self._appender.forget()
        self._changer.forget()

    async def last_seq(self, conversation: int) -> int:
        known = self._committed_seqs.get(conversation)
        if known is not None:
            return known
        return await self._read(lambda connection: last_seq(connection, conversation))

    async def last_seqs(self, conversations: Sequence[int]) -> list[int]:
        return await self._read(
            lambda connection: [last_seq(connection, key) for key in conversations]
        )

    async def history(
        self,
        conversation: int,
        *,
        first_seq: int,
        before: int | None,
        after: int | None,
        limit: int,
    ) -> RecordPage:
        def read(connection: sqlite3.Connection) -> RecordPage:
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
            messages = complete(connection, map(stored_message, page))
            rev = last_rev(connection, conversation)
            return RecordPage(messages, len(rows) > limit, rev)

        return await self._read(read)

    async def undelivered(
        self, account: int, limit: int, sent: Mapping[int, int]
    ) -> list[MessageRecord]:
        def read(connection: sqlite3.Connection) -> list[MessageRecord]:
            behind = connection.execute(
                "SELECT key, a = b, delivered_seq,"
                " (SELECT max(seq) FROM message WHERE conversation = key) AS last_seq"
                " FROM membership CROSS JOIN conversation ON key = membership.conversation"
                " WHERE account = ? AND kind = ? AND last_seq > delivered_seq ORDER BY key",
                (account, ConversationKind.PAIR),
            ).fetchall()
            found: list[MessageRecord] = []
            for key, to_itself, delivered, last in behind:
                after = max(delivered, sent.get(key, 0))
                if after < last and len(found) < limit:
                    rows = connection.execute(
                        f"SELECT {MESSAGE} FROM message WHERE conversation = ? AND seq > ?"
                        " AND (? OR sender <> ?) ORDER BY seq LIMIT ?",
                        (key, after, to_itself, account, limit - len(found)),
                    )
                    found += map(stored_message, rows)
            if has_files(connection):
                found = [file_of(connection, message) for message in found]
            return found

        return await self._read(read)
