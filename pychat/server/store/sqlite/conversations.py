"""Conversations, memberships and cursors in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from pychat.protocol import MAX_UNREAD, NotifyLevel
from pychat.server.store.base import (
    LAST_NUMBER,
    UNREAD_LOOKED_AT,
    decode_cursor,
    encode_cursor,
)
from pychat.server.store.records import (
    ALL_MEMBERS,
    EVERYONE,
    ConversationKind,
    ConversationRecord,
    ConversationSummary,
    CursorMove,
    Membership,
    MessageRecord,
)
from pychat.server.store.sqlite.base import (
    MESSAGE,
    SQLitePart,
    complete,
    file_of,
    has_files,
    stored_message,
)

_CONVERSATION = "key, kind, a, b, room_id"
_MEMBERSHIP = "conversation, account, first_seq, delivered_seq, read_seq, notify"

# For each conversation of the account, one seek finds its last message. Everything else is read
# only for the conversations of the page.
_LISTED = f"""
    WITH listed AS MATERIALIZED (
        SELECT conversation AS key, (
            SELECT number FROM message WHERE conversation = membership.conversation
            ORDER BY seq DESC LIMIT 1
        ) AS number
        FROM membership WHERE account = :account
    ), page AS MATERIALIZED (
        SELECT key, ifnull(number, 0) AS number FROM listed
        WHERE (number IS NOT NULL OR (SELECT kind FROM conversation WHERE key = listed.key) <> 0)
            AND (ifnull(number, 0), key) < (:number, :key)
        ORDER BY 2 DESC, 1 DESC LIMIT :limit
    )
    SELECT page.number, conversation.key, conversation.kind, a, b, room_id,
        mine.first_seq, mine.delivered_seq, mine.read_seq,
        peer.account, peer.first_seq, peer.delivered_seq, peer.read_seq,
        (
            SELECT count(*) FROM (
                SELECT 1 FROM (
                    SELECT sender, data IS NULL AS removed FROM message
                    WHERE conversation = page.key
                        AND seq > max(mine.read_seq, mine.first_seq - 1)
                    ORDER BY seq DESC LIMIT {UNREAD_LOOKED_AT}
                )
                WHERE sender <> :account AND NOT removed
                    AND sender NOT IN (SELECT other FROM block WHERE account = :account)
                LIMIT {MAX_UNREAD}
            )
        ),
        (SELECT max(rev) FROM change WHERE conversation = page.key),
        (
            SELECT count(*) FROM (
                SELECT DISTINCT named.seq FROM mention AS named
                CROSS JOIN message AS naming USING (conversation, seq)
                WHERE named.account IN (:account, {ALL_MEMBERS})
                    AND named.conversation = page.key
                    AND named.seq > max(
                        mine.read_seq, mine.first_seq - 1, message.seq - {UNREAD_LOOKED_AT}
                    )
                    AND naming.sender <> :account
                    AND naming.sender NOT IN (SELECT other FROM block WHERE account = :account)
                LIMIT {MAX_UNREAD}
            )
        ),
        mine.notify,
        {", ".join(f"message.{column}" for column in MESSAGE.split(", "))}
    FROM page
    CROSS JOIN conversation ON conversation.key = page.key
    CROSS JOIN membership AS mine ON mine.account = :account AND mine.conversation = page.key
    LEFT JOIN membership AS peer ON peer.account = iif(a = :account, b, a)
        AND peer.conversation = page.key
    LEFT JOIN message ON message.conversation = page.key
        AND message.seq = (SELECT max(seq) FROM message WHERE conversation = page.key)
    ORDER BY page.number DESC, page.key DESC
"""


def _conversation(row: tuple[int, int, int | None, int | None, str]) -> ConversationRecord:
    key, kind, a, b, room_id = row
    accounts = () if a is None or b is None else (a, b)
    return ConversationRecord(key, ConversationKind(kind), accounts, room_id)


def _member(row: tuple[int, int, int, int, int, str | None]) -> Membership:
    conversation, account, first_seq, delivered_seq, read_seq, notify = row
    level = NotifyLevel(notify or NotifyLevel.ALL)
    return Membership(conversation, account, first_seq, delivered_seq, read_seq, level)


def _stored(level: NotifyLevel) -> str | None:
    return None if level is NotifyLevel.ALL else level.value


def _membership(
    connection: sqlite3.Connection, conversation: int, account: int
) -> Membership | None:
    row = connection.execute(
        f"SELECT {_MEMBERSHIP} FROM membership WHERE account = ? AND conversation = ?",
        (account, conversation),
    ).fetchone()
    return _member(row) if row else None


def _pair(connection: sqlite3.Connection, a: int, b: int) -> ConversationRecord | None:
    row = connection.execute(
        f"SELECT {_CONVERSATION} FROM conversation WHERE a = ? AND b = ?", (min(a, b), max(a, b))
    ).fetchone()
    return _conversation(row) if row else None


def _open_pair(connection: sqlite3.Connection, a: int, b: int) -> ConversationRecord:
    existing = _pair(connection, a, b)
    if existing:
        return existing
    low, high = min(a, b), max(a, b)
    key = connection.execute(
        "INSERT INTO conversation (kind, a, b) VALUES (?, ?, ?)",
        (ConversationKind.PAIR, low, high),
    ).lastrowid
    assert key is not None
    for account in {low, high}:
        join(connection, key, account, from_now=False)
    return ConversationRecord(key, ConversationKind.PAIR, (low, high))


def last_seq(connection: sqlite3.Connection, conversation: int) -> int:
    """Return the seq of the last message, 0 if there is none."""
    (seq,) = connection.execute(
        "SELECT max(seq) FROM message WHERE conversation = ?", (conversation,)
    ).fetchone()
    return seq or 0


def join(
    connection: sqlite3.Connection, conversation: int, account: int, *, from_now: bool
) -> Membership:
    """Return the membership. If there is none, create one that can read from the next message on
    (``from_now``) or from the first."""
    before = last_seq(connection, conversation) if from_now else 0
    connection.execute(
        f"INSERT OR IGNORE INTO membership ({_MEMBERSHIP}) VALUES (?, ?, ?, ?, ?, NULL)",
        (conversation, account, before + 1, before, before),
    )
    membership = _membership(connection, conversation, account)
    assert membership is not None
    return membership


class SQLiteConversations(SQLitePart):
    """Implements the conversations of ``base.Store``."""

    async def everyone(self) -> ConversationRecord:
        return EVERYONE

    async def pair(self, a: int, b: int) -> ConversationRecord | None:
        return await self._read(lambda connection: _pair(connection, a, b))

    async def open_pair(self, a: int, b: int) -> ConversationRecord:
        existing = await self.pair(a, b)
        return existing or (await self.open_pairs([(a, b)]))[0]

    async def open_pairs(self, pairs: Sequence[tuple[int, int]]) -> list[ConversationRecord]:
        def write(connection: sqlite3.Connection) -> list[ConversationRecord]:
            return [_open_pair(connection, a, b) for a, b in pairs]

        return await self._write(write, len(pairs)) if pairs else []

    async def pairs(self, account: int) -> list[ConversationRecord]:
        def read(connection: sqlite3.Connection) -> list[ConversationRecord]:
            rows = connection.execute(
                f"SELECT {_CONVERSATION} FROM membership"
                " CROSS JOIN conversation ON conversation.key = membership.conversation"
                " WHERE membership.account = ? AND conversation.kind = ?",
                (account, ConversationKind.PAIR),
            )
            return [_conversation(row) for row in rows]

        return await self._read(read)

    async def conversations_by_key(self, keys: Sequence[int]) -> list[ConversationRecord]:
        def read(connection: sqlite3.Connection) -> list[ConversationRecord]:
            sql = f"SELECT {_CONVERSATION} FROM conversation WHERE key = ? AND deleted = 0"
            rows = [connection.execute(sql, (key,)).fetchone() for key in keys]
            return [_conversation(row) for row in rows if row]

        return await self._read(read)

    async def membership(self, conversation: int, account: int) -> Membership | None:
        return await self._read(lambda connection: _membership(connection, conversation, account))

    async def memberships(self, conversations: Sequence[int]) -> list[Membership]:
        def read(connection: sqlite3.Connection) -> list[Membership]:
            sql = f"SELECT {_MEMBERSHIP} FROM membership WHERE conversation = ?"
            return [
                _member(row) for key in conversations for row in connection.execute(sql, (key,))
            ]

        return await self._read(read)

    async def conversations(
        self, account: int, *, cursor: str | None, limit: int
    ) -> tuple[list[ConversationSummary], str | None]:
        number, key = decode_cursor(cursor, LAST_NUMBER, 0)

        def read(
            connection: sqlite3.Connection,
        ) -> tuple[list[ConversationSummary], str | None]:
            rows = connection.execute(
                _LISTED, {"account": account, "number": number, "key": key, "limit": limit + 1}
            ).fetchall()
            page = rows[:limit]
            following = encode_cursor(*page[-1][:2]) if len(rows) > limit else None
            return _summaries(connection, account, page), following

        return await self._read(read)

    async def move_cursors(self, moves: Sequence[CursorMove]) -> list[Membership]:
        def write(connection: sqlite3.Connection) -> list[Membership]:
            after = []
            for move in moves:
                row = connection.execute(
                    "UPDATE membership SET delivered_seq = max(delivered_seq, ?),"
                    " read_seq = max(read_seq, ?) WHERE account = ? AND conversation = ?"
                    f" RETURNING {_MEMBERSHIP}",
                    (
                        max(move.delivered_seq, move.read_seq),
                        move.read_seq,
                        move.account,
                        move.conversation,
                    ),
                ).fetchone()
                gone = Membership(move.conversation, move.account, 0, 0, 0)
                after.append(_member(row) if row else gone)
            return after

        return await self._write(write) if moves else []

    async def put_memberships(self, memberships: Sequence[Membership]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(
                f"INSERT OR REPLACE INTO membership ({_MEMBERSHIP}) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (*msgspec.structs.astuple(each)[:-1], _stored(each.notify))
                    for each in memberships
                ],
            )

        await self._write(write)

    async def set_notify(self, conversation: int, account: int, level: NotifyLevel) -> bool:
        def write(connection: sqlite3.Connection) -> bool:
            changed = connection.execute(
                "UPDATE membership SET notify = ? WHERE account = ? AND conversation = ?",
                (_stored(level), account, conversation),
            )
            return changed.rowcount > 0

        return await self._write(write)


def _summaries(
    connection: sqlite3.Connection, account: int, rows: Sequence[tuple[Any, ...]]
) -> list[ConversationSummary]:
    """Return the summaries for rows of ``_LISTED``."""
    last = {row[1]: stored_message(row[17:]) for row in rows if row[17] is not None}
    if any(row[14] or row[2] == ConversationKind.ROOM for row in rows):
        last = {message.conversation: message for message in complete(connection, last.values())}
    elif has_files(connection):
        last = {key: file_of(connection, message) for key, message in last.items()}
    return [_summary(account, row, last.get(row[1])) for row in rows]


def _summary(
    account: int, row: tuple[Any, ...], message: MessageRecord | None
) -> ConversationSummary:
    key = row[1]
    membership = _member((key, account, *row[6:9], row[16]))
    peer = row[9:13]
    return ConversationSummary(
        conversation=_conversation(row[1:6]),
        membership=membership,
        peer=Membership(key, *peer) if peer[0] is not None else None,
        last_seq=message.seq if message else 0,
        last=message if message and message.seq >= membership.first_seq else None,
        unread=row[13],
        rev=row[14] or 0,
        unread_mentions=row[15],
    )
