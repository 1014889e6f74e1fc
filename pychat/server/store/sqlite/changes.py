"""Change messages in SQLite: assign revs, write what has changed, and list changed messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from pychat.server.store.base import CHANGES_LOOKED_AT
from pychat.server.store.changes import decide
from pychat.server.store.records import (
    Changed,
    HistoryPage,
    MessageRecord,
    NewChange,
    Outcome,
)
from pychat.server.store.sqlite.base import MESSAGE, SQLitePart, complete, last_rev, stored_message
from pychat.server.store.sqlite.search import reindex

MAX_CACHED_REVS = 100_000

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

    def change(self, connection: sqlite3.Connection, batch: Sequence[NewChange]) -> list[Changed]:
        """Apply the changes in their order."""
        if len(self._revs) > MAX_CACHED_REVS:
            self._revs.clear()
        answers = []
        texts: dict[tuple[int, int], str] = {}
        for change in batch:
            conversation = change.conversation
            if conversation not in self._revs:
                self._revs[conversation] = last_rev(connection, conversation)
            rev = self._revs[conversation] + 1
            row = connection.execute(_ONE, (conversation, change.seq)).fetchone()
            before = None
            if row:
                (before,) = complete(connection, [stored_message(row)])
            changed = decide(change, before, rev)
            answers.append(changed)
            if changed.outcome is Outcome.DONE:
                assert before is not None
                assert changed.message is not None
                self._revs[conversation] = rev
                if changed.message.data != before.data:
                    texts.setdefault((conversation, before.seq), before.data)
                _write(connection, before, changed.message)
        reindex(connection, texts)
        return answers

    def put(self, connection: sqlite3.Connection, messages: Sequence[MessageRecord]) -> None:
        """Give stored messages the details of these records, and remove the text of removed
        ones."""
        texts = {}
        for message in messages:
            place = message.conversation, message.seq
            row = connection.execute(_ONE, place).fetchone()
            if row:
                (before,) = complete(connection, [stored_message(row)])
                if before.data and message.removed:
                    texts[place] = before.data
                _write(connection, before, message)
        reindex(connection, texts)
        self.forget()


def _write(connection: sqlite3.Connection, before: MessageRecord, after: MessageRecord) -> None:
    place = before.conversation, before.seq
    if (after.data, after.removed) != (before.data, before.removed):
        # Overwrite the old text in the file as well.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(
            "UPDATE message SET data = ? WHERE conversation = ? AND seq = ?",
            (None if after.removed else after.data, *place),
        )
        connection.execute("PRAGMA secure_delete = OFF")
    if after.rev:
        connection.execute(
            "INSERT INTO change (conversation, seq, rev, edited_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (conversation, seq)"
            " DO UPDATE SET rev = excluded.rev, edited_at = excluded.edited_at",
            (*place, after.rev, after.edited_at),
        )
    if after.reactions == before.reactions:
        return
    old, new = set(before.reactions), set(after.reactions)
    connection.executemany(
        "DELETE FROM reaction WHERE conversation = ? AND seq = ? AND rev = ?",
        [(*place, reaction.rev) for reaction in old - new],
    )
    connection.executemany(
        "INSERT INTO reaction (conversation, seq, rev, emoji, account) VALUES (?, ?, ?, ?, ?)",
        [(*place, each.rev, each.emoji, each.account) for each in new - old],
    )


class SQLiteChanges(SQLitePart):
    """Implements reading and importing changes of ``base.Store``."""

    def __init__(self) -> None:
        self._changer = Changer()

    async def changed(
        self, conversation: int, *, first_seq: int, after: int, limit: int
    ) -> HistoryPage:
        def read(connection: sqlite3.Connection) -> HistoryPage:
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
            return HistoryPage(messages, more, reach)

        return await self._read(read)

    async def messages(self, places: Sequence[tuple[int, int]]) -> list[MessageRecord]:
        def read(connection: sqlite3.Connection) -> list[MessageRecord]:
            rows = [connection.execute(_ONE, place).fetchone() for place in places]
            return complete(connection, [stored_message(row) for row in rows if row])

        return await self._read(read)

    async def put_changes(self, messages: Sequence[MessageRecord]) -> None:
        await self._write(lambda connection: self._changer.put(connection, messages), len(messages))
