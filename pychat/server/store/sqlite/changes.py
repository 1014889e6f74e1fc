"""Change messages in SQLite: assign revs, write what has changed, and list changed messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from pychat.server.store.base import CHANGES_LOOKED_AT
from pychat.server.store.changes import decide
from pychat.server.store.records import (
    ChangeResult,
    MessageRecord,
    NewChange,
    Outcome,
    ReactionRecord,
    RecordPage,
)
from pychat.server.store.sqlite.base import (
    MENTION,
    MESSAGE,
    complete,
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
_WITH_DETAILS = f"""
    SELECT {", ".join(f"message.{column}" for column in MESSAGE.split(", "))}, message.number,
        change.rev, change.edited_at,
        EXISTS (SELECT 1 FROM mention
            WHERE conversation = message.conversation AND seq = message.seq),
        EXISTS (SELECT 1 FROM file
            WHERE conversation = message.conversation AND seq = message.seq)
    FROM message LEFT JOIN change USING (conversation, seq)
    WHERE message.conversation = ? AND message.seq = ?
"""
_REACTIONS = (
    "SELECT rev, emoji, account FROM reaction WHERE conversation = ? AND seq = ? ORDER BY rev"
)


_CHANGE = (
    "INSERT INTO change (conversation, seq, rev, edited_at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (conversation, seq)"
    " DO UPDATE SET rev = excluded.rev, edited_at = excluded.edited_at"
)


class _Changing:
    """A message that a batch changes."""

    __slots__ = ("after", "before", "number")

    def __init__(self, before: MessageRecord, number: int) -> None:
        self.before = before
        self.after = before
        self.number = number
        """Its place in the search index."""


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
        messages: dict[Place, _Changing | None] = {}
        answers = []
        for change in batch:
            place = conversation, _ = change.conversation, change.seq
            if conversation not in self._revs:
                self._revs[conversation] = last_rev(connection, conversation)
            rev = self._revs[conversation]
            if place not in messages:
                messages[place] = _read(connection, place)
            message = messages[place]
            changed = decide(change, None if message is None else message.after, rev + 1)
            answers.append(changed)
            if changed.outcome is Outcome.DONE:
                assert message is not None
                assert changed.message is not None
                message.after = changed.message
                self._revs[conversation] = rev + 1
        return answers, _write(connection, messages.values())

    def put(self, connection: sqlite3.Connection, messages: Sequence[MessageRecord]) -> list[str]:
        """Give stored messages the details of these records, and remove the text of removed
        ones. Return the ids of deleted files."""
        changes = []
        for message in messages:
            change = _read(connection, (message.conversation, message.seq))
            if change is not None:
                data = "" if message.removed else change.before.data
                file = None if message.removed else change.before.file
                change.after = replace(message, data=data, file=file)
                changes.append(change)
        deleted = _write(connection, changes)
        self.forget()
        return deleted


def _read(connection: sqlite3.Connection, place: Place) -> _Changing | None:
    row = connection.execute(_WITH_DETAILS, place).fetchone()
    if row is None:
        return None
    *message_row, number, rev, edited_at, has_mentions, has_file = row
    message = stored_message(tuple(message_row))
    if rev is not None:
        reactions = tuple(ReactionRecord(*each) for each in connection.execute(_REACTIONS, place))
        message = replace(message, rev=rev, edited_at=edited_at, reactions=reactions)
    if has_mentions:
        message = mentions_of(connection, message)
    if has_file:
        message = file_of(connection, message)
    return _Changing(message, number)


def _write(connection: sqlite3.Connection, changes: Iterable[_Changing | None]) -> list[str]:
    """Write what differs between the stored messages and what they become. Return the ids of
    deleted files."""
    rewritten: list[_Changing] = []
    numbered = []
    old: dict[tuple[int, int, int], ReactionRecord] = {}
    new: dict[tuple[int, int, int], ReactionRecord] = {}
    for change in changes:
        if change is None or change.after is change.before:
            continue
        before, after = change.before, change.after
        place = after.conversation, after.seq
        if (after.data, after.removed) != (before.data, before.removed):
            rewritten.append(change)
        if after.rev:
            numbered.append((*place, after.rev, after.edited_at))
        if after.reactions != before.reactions:
            old.update({(*place, each.rev): each for each in before.reactions})
            new.update({(*place, each.rev): each for each in after.reactions})
    deleted = _rewrite(connection, rewritten) if rewritten else []
    connection.executemany(_CHANGE, numbered)
    if gone := old.keys() - new.keys():
        connection.executemany(
            "DELETE FROM reaction WHERE conversation = ? AND seq = ? AND rev = ?", gone
        )
    if added := new.keys() - old.keys():
        connection.executemany(
            "INSERT INTO reaction (conversation, seq, rev, emoji, account) VALUES (?, ?, ?, ?, ?)",
            [(*key, new[key].emoji, new[key].account) for key in added],
        )
    return deleted


def _rewrite(connection: sqlite3.Connection, changes: Sequence[_Changing]) -> list[str]:
    """Write new texts. Return the ids of deleted files."""
    # Overwrite the old texts in the file as well. For other deletions it would be a waste.
    connection.execute("PRAGMA secure_delete = ON")
    connection.executemany(
        "UPDATE message SET data = ? WHERE conversation = ? AND seq = ?",
        [
            (None if after.removed else after.data, after.conversation, after.seq)
            for after in (change.after for change in changes)
        ],
    )
    deleted = delete_files(connection, [c.before for c in changes if c.after.file is None])
    connection.execute("PRAGMA secure_delete = OFF")
    reindex(connection, [(change.number, change.before, change.after) for change in changes])
    mentioned = [change for change in changes if change.before.mentions != change.after.mentions]
    if mentioned:
        connection.executemany(
            "DELETE FROM mention WHERE conversation = ? AND seq = ?",
            [(c.after.conversation, c.after.seq) for c in mentioned],
        )
        connection.executemany(
            MENTION,
            [
                (account, c.after.conversation, c.after.seq)
                for c in mentioned
                for account in c.after.mentions
            ],
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
