"""Conversations, their members and cursors in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from pychat.server.store.cursors import decode_cursor, encode_cursor
from pychat.server.store.records import (
    Conversation,
    ConversationKind,
    ConversationSummary,
    CursorMove,
    Membership,
)
from pychat.server.store.sqlite.base import SQLitePart
from pychat.server.store.sqlite.rows import MESSAGE, stored_message
from pychat.server.store.sqlite.schema import EVERYONE_KEY

MAX_UNREAD = 1000

_CONVERSATION = "key, kind, a, b, room_id"
_MEMBERSHIP = "conversation, account, first_seq, delivered_seq, read_seq"

# The newest first: a seek in the messages for each conversation, whatever their number.
_LISTED = """
    SELECT membership.conversation, ifnull(message.number, 0)
    FROM membership
    CROSS JOIN conversation ON conversation.key = membership.conversation
    LEFT JOIN message ON message.conversation = membership.conversation
        AND message.seq = (
            SELECT max(seq) FROM message WHERE conversation = membership.conversation
        )
    WHERE membership.account = ? AND (message.number IS NOT NULL OR conversation.kind <> 0)
"""


def _conversation(row: tuple[int, int, int | None, int | None, str]) -> Conversation:
    key, kind, a, b, room_id = row
    accounts = () if a is None or b is None else (a, b)
    return Conversation(key, ConversationKind(kind), accounts, room_id)


def _membership(
    connection: sqlite3.Connection, conversation: int, account: int
) -> Membership | None:
    row = connection.execute(
        f"SELECT {_MEMBERSHIP} FROM membership WHERE account = ? AND conversation = ?",
        (account, conversation),
    ).fetchone()
    return Membership(*row) if row else None


def _pair(connection: sqlite3.Connection, a: int, b: int) -> Conversation | None:
    row = connection.execute(
        f"SELECT {_CONVERSATION} FROM conversation WHERE a = ? AND b = ?", (min(a, b), max(a, b))
    ).fetchone()
    return _conversation(row) if row else None


def last_seq(connection: sqlite3.Connection, conversation: int) -> int:
    """0 while the conversation is empty."""
    (seq,) = connection.execute(
        "SELECT max(seq) FROM message WHERE conversation = ?", (conversation,)
    ).fetchone()
    return seq or 0


def join(
    connection: sqlite3.Connection, conversation: int, account: int, *, from_now: bool
) -> Membership:
    """The membership, made if need be: from the next message on, or from the first."""
    before = last_seq(connection, conversation) if from_now else 0
    connection.execute(
        f"INSERT OR IGNORE INTO membership ({_MEMBERSHIP}) VALUES (?, ?, ?, ?, ?)",
        (conversation, account, before + 1, before, before),
    )
    membership = _membership(connection, conversation, account)
    assert membership is not None
    return membership


class SQLiteConversations(SQLitePart):
    """See ``base.Store`` for what each method promises."""

    async def everyone(self) -> Conversation:
        return Conversation(EVERYONE_KEY, ConversationKind.EVERYONE, ())

    async def pair(self, a: int, b: int) -> Conversation | None:
        return await self._read(lambda connection: _pair(connection, a, b))

    async def open_pair(self, a: int, b: int) -> Conversation:
        def write(connection: sqlite3.Connection) -> Conversation:
            existing = _pair(connection, a, b)
            if existing:
                return existing
            low, high = min(a, b), max(a, b)
            key = connection.execute(
                "INSERT INTO conversation (kind, a, b) VALUES (?, ?, ?)",
                (ConversationKind.PAIR, low, high),
            ).lastrowid
            assert key is not None
            for account in (low, high):
                join(connection, key, account, from_now=False)
            return Conversation(key, ConversationKind.PAIR, (low, high))

        existing = await self.pair(a, b)
        return existing if existing else await self._write(write)

    async def conversations_by_key(self, keys: Sequence[int]) -> list[Conversation]:
        def read(connection: sqlite3.Connection) -> list[Conversation]:
            sql = f"SELECT {_CONVERSATION} FROM conversation WHERE key = ? AND deleted = 0"
            rows = [connection.execute(sql, (key,)).fetchone() for key in keys]
            return [_conversation(row) for row in rows if row]

        return await self._read(read)

    async def partners(self, account: int) -> list[int]:
        def read(connection: sqlite3.Connection) -> list[int]:
            rows = connection.execute(
                "SELECT iif(conversation.a = membership.account, conversation.b, conversation.a)"
                " FROM membership JOIN conversation ON conversation.key = membership.conversation"
                " WHERE membership.account = ? AND conversation.a <> conversation.b",
                (account,),
            )
            return [other for (other,) in rows]

        return await self._read(read)

    async def membership(self, conversation: int, account: int) -> Membership | None:
        return await self._read(lambda connection: _membership(connection, conversation, account))

    async def conversations(
        self, account: int, *, cursor: str | None, limit: int
    ) -> tuple[list[ConversationSummary], str | None]:
        start = tuple(decode_cursor(cursor, 2)) if cursor is not None else None

        def read(
            connection: sqlite3.Connection,
        ) -> tuple[list[ConversationSummary], str | None]:
            listed = [
                (number, key)
                for key, number in connection.execute(_LISTED, (account,))
                if start is None or (number, key) < start
            ]
            listed.sort(reverse=True)
            page = listed[:limit]
            following = encode_cursor(*page[-1]) if len(listed) > limit else None
            return [_summary(connection, key, account) for _, key in page], following

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
                gone = (move.conversation, move.account, 0, 0, 0)
                after.append(Membership(*(row or gone)))
            return after

        return await self._write(write) if moves else []

    async def put_memberships(self, memberships: Sequence[Membership]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(
                f"INSERT OR REPLACE INTO membership ({_MEMBERSHIP}) VALUES (?, ?, ?, ?, ?)",
                [msgspec.structs.astuple(membership) for membership in memberships],
            )

        await self._write(write)


def _summary(connection: sqlite3.Connection, key: int, account: int) -> ConversationSummary:
    conversation = _conversation(
        connection.execute(
            f"SELECT {_CONVERSATION} FROM conversation WHERE key = ?", (key,)
        ).fetchone()
    )
    membership = _membership(connection, key, account)
    assert membership is not None
    peer = None
    if conversation.accounts:
        a, b = conversation.accounts
        peer = _membership(connection, key, b if a == account else a)
    last = connection.execute(
        f"SELECT {MESSAGE} FROM message WHERE conversation = ? ORDER BY seq DESC LIMIT 1", (key,)
    ).fetchone()
    message = stored_message(last) if last else None
    (unread,) = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM message"
        " WHERE conversation = ? AND seq > ? AND sender <> ? LIMIT ?)",
        (key, max(membership.read_seq, membership.first_seq - 1), account, MAX_UNREAD),
    ).fetchone()
    return ConversationSummary(
        conversation=conversation,
        membership=membership,
        peer=peer,
        last_seq=message.seq if message else 0,
        last=message if message and message.seq >= membership.first_seq else None,
        unread=unread,
    )
