"""Change messages in SQLite: assign revs, write what has changed, and list changed messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from msgspec.structs import replace

from pychat.server.store.base import CHANGES_LOOKED_AT
from pychat.server.store.changes import decide
from pychat.server.store.records import (
    ChangeResult,
    MessageRecord,
    NewChange,
    Outcome,
    RecordPage,
)
from pychat.server.store.sqlite.base import (
    MENTION,
    MESSAGE,
    complete,
    complete_one,
    file_of,
    last_rev,
    mentions_of,
    stored_message,
)
from pychat.server.store.sqlite.blobs import SQLiteFiles, delete_files
from pychat.server.store.sqlite.search import reindex

MAX_CACHED_REVS = 100_000

Place = tuple[int, int]
"""Conversation and seq of a message."""

_ONE = f"SELECT {MESSAGE} FROM message WHERE conversation = ? AND seq = ?"


class Changer:
    """Changes messages. The writer thread uses it within its transactions.

    It caches the last rev of each conversation: while a server holds the store, no other process
    changes messages.
    """

    def __init__(self) -> None:
        self._revs: dict[int, int] = {}

    def forget(self) -> None:
        """Drop what is cached, after a rollback."""
        self._revs.clear()

    def change(
        self, connection: sqlite3.Connection, batch: Sequence[NewChange]
    ) -> tuple[list[ChangeResult], list[str]]:
        """Apply the changes in their order. Return also the ids of deleted files, whose contents
        the caller removes after the transaction."""
        if len(self._revs) > MAX_CACHED_REVS:
            self._revs.clear()
        stored: dict[Place, MessageRecord | None] = {}
        current: dict[Place, MessageRecord | None] = {}
        answers = []
        for change in batch:
            place = conversation, _ = change.conversation, change.seq
            if conversation not in self._revs:
                self._revs[conversation] = last_rev(connection, conversation)
            rev = self._revs[conversation]
            if place not in stored:
                stored[place] = current[place] = _read(connection, place, complete=rev > 0)
            changed = decide(change, current[place], rev + 1)
            answers.append(changed)
            if changed.outcome is Outcome.DONE:
                current[place] = changed.message
                self._revs[conversation] = rev + 1
        deleted = _write(
            connection,
            [
                (before, after)
                for before, after in zip(stored.values(), current.values(), strict=True)
                if before is not None and after is not None and before is not after
            ],
        )
        return answers, deleted

    def put(self, connection: sqlite3.Connection, messages: Sequence[MessageRecord]) -> list[str]:
        """Give stored messages the details of these records, and remove the text of removed
        ones. Return the ids of deleted files."""
        changes = []
        for message in messages:
            before = _read(connection, (message.conversation, message.seq), complete=True)
            if before is not None:
                data = "" if message.removed else before.data
                file = None if message.removed else before.file
                changes.append((before, replace(message, data=data, file=file)))
        deleted = _write(connection, changes)
        self.forget()
        return deleted


def _read(connection: sqlite3.Connection, place: Place, *, complete: bool) -> MessageRecord | None:
    row = connection.execute(_ONE, place).fetchone()
    if row is None:
        return None
    message = file_of(connection, mentions_of(connection, stored_message(row)))
    return complete_one(connection, message) if complete else message


def _write(
    connection: sqlite3.Connection, changes: Sequence[tuple[MessageRecord, MessageRecord]]
) -> list[str]:
    """Write what differs between the stored messages and what they become. Return the ids of
    deleted files."""
    rewritten = [
        (before, after)
        for before, after in changes
        if (after.data, after.removed) != (before.data, before.removed)
    ]
    deleted: list[str] = []
    if rewritten:
        # Overwrite the old texts in the file as well. For other deletions it would be a waste.
        connection.execute("PRAGMA secure_delete = ON")
        connection.executemany(
            "UPDATE message SET data = ? WHERE conversation = ? AND seq = ?",
            [
                (None if after.removed else after.data, after.conversation, after.seq)
                for _, after in rewritten
            ],
        )
        deleted = delete_files(connection, [m for m, after in rewritten if after.file is None])
        connection.execute("PRAGMA secure_delete = OFF")
        reindex(connection, [before for before, _ in rewritten])
        connection.executemany(
            "DELETE FROM mention WHERE conversation = ? AND seq = ?",
            [(after.conversation, after.seq) for _, after in rewritten],
        )
        connection.executemany(
            MENTION,
            [(key, m.conversation, m.seq) for _, m in rewritten for key in m.mentions],
        )
    connection.executemany(
        "INSERT INTO change (conversation, seq, rev, edited_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (conversation, seq)"
        " DO UPDATE SET rev = excluded.rev, edited_at = excluded.edited_at",
        [
            (after.conversation, after.seq, after.rev, after.edited_at)
            for _, after in changes
            if after.rev
        ],
    )
    old = {(m.conversation, m.seq, r.rev): r for m, _ in changes for r in m.reactions}
    new = {(m.conversation, m.seq, r.rev): r for _, m in changes for r in m.reactions}
    connection.executemany(
        "DELETE FROM reaction WHERE conversation = ? AND seq = ? AND rev = ?",
        old.keys() - new.keys(),
    )
    connection.executemany(
        "INSERT INTO reaction (conversation, seq, rev, emoji, account) VALUES (?, ?, ?, ?, ?)",
        [(*key, new[key].emoji, new[key].account) for key in new.keys() - old.keys()],
    )
    return deleted


class SQLiteChanges(SQLiteFiles):
    """Implements reading and importing changes of ``base.Store``."""

    def __init__(self) -> None:
        self._changer = Changer()

    async def changed(
        self, conversation: int, *, first_seq: int, after: int, limit: int
    ) -> RecordPage:
        def read(connection: sqlite3.Connection) -> RecordPage:
            rows = connection.execute(
                "SELECT seq, rev FROM change WHERE conversation = ? AND rev > ?"
                " ORDER BY rev LIMIT ?",
                (conversation, after, CHANGES_LOOKED_AT),
            ).fetchall()
            wanted = [(seq, rev) for seq, rev in rows if seq >= first_seq]
            if len(wanted) > limit:
                wanted, more = wanted[:limit], True
                reach = wanted[-1][1]
            else:
                more = len(rows) == CHANGES_LOOKED_AT
                reach = rows[-1][1] if rows else last_rev(connection, conversation)
            found = [connection.execute(_ONE, (conversation, seq)).fetchone() for seq, _ in wanted]
            messages = complete(connection, [stored_message(row) for row in found if row])
            return RecordPage(messages, more, reach)

        return await self._read(read)

    async def messages(self, places: Sequence[tuple[int, int]]) -> list[MessageRecord]:
        def read(connection: sqlite3.Connection) -> list[MessageRecord]:
            rows = [connection.execute(_ONE, place).fetchone() for place in places]
            return complete(connection, [stored_message(row) for row in rows if row])

        return await self._read(read)

    async def put_changes(self, messages: Sequence[MessageRecord]) -> None:
        deleted = await self._write(
            lambda connection: self._changer.put(connection, messages), len(messages)
        )
        await self._remove_blobs(deleted)
