"""Rooms, their members and standings in SQLite."""

from __future__ import annotations

import sqlite3
from typing import Any

from pychat.protocol import canonical_id
from pychat.server.store.base import AlreadyExists
from pychat.server.store.records import (
    ConversationKind,
    Membership,
    RoomRecord,
    RoomStanding,
    Standing,
)
from pychat.server.store.sqlite.base import SQLitePart
from pychat.server.store.sqlite.conversations import join

_ROOM = "id, name, owner, conversation, topic, private"


def _room(row: tuple[Any, ...]) -> RoomRecord:
    id, name, owner, conversation, topic, private = row
    return RoomRecord(id, name, owner, conversation, topic, bool(private))


def _set_standing(
    connection: sqlite3.Connection, conversation: int, account: int, standing: Standing | None
) -> None:
    if standing is None:
        connection.execute(
            "DELETE FROM standing WHERE conversation = ? AND account = ?", (conversation, account)
        )
    else:
        # Not of a room that was deleted meanwhile.
        connection.execute(
            "INSERT OR REPLACE INTO standing SELECT conversation, ?, ? FROM room"
            " WHERE conversation = ?",
            (account, standing, conversation),
        )


class SQLiteRooms(SQLitePart):
    """Implements the rooms of ``base.Store``."""

    async def create_room(
        self, id: str, name: str, owner: int, *, private: bool = False
    ) -> RoomRecord:
        def write(connection: sqlite3.Connection) -> RoomRecord:
            canonical = canonical_id(id)
            if connection.execute(
                "SELECT 1 FROM room WHERE canonical = ?", (canonical,)
            ).fetchone():
                raise AlreadyExists(id)
            conversation = connection.execute(
                "INSERT INTO conversation (kind, room_id) VALUES (?, ?)",
                (ConversationKind.ROOM, id),
            ).lastrowid
            assert conversation is not None
            connection.execute(
                f"INSERT INTO room (canonical, {_ROOM}) VALUES (?, ?, ?, ?, ?, '', ?)",
                (canonical, id, name, owner, conversation, private),
            )
            join(connection, conversation, owner, from_now=False)
            return RoomRecord(id, name, owner, conversation, private=private)

        return await self._write(write)

    async def room(self, id: str) -> RoomRecord | None:
        def read(connection: sqlite3.Connection) -> RoomRecord | None:
            row = connection.execute(
                f"SELECT {_ROOM} FROM room WHERE canonical = ?", (canonical_id(id),)
            ).fetchone()
            return _room(row) if row else None

        return await self._read(read)

    async def rooms(self) -> list[RoomRecord]:
        def read(connection: sqlite3.Connection) -> list[RoomRecord]:
            rows = connection.execute(f"SELECT {_ROOM} FROM room ORDER BY canonical")
            return [_room(row) for row in rows]

        return await self._read(read)

    async def update_room(
        self,
        conversation: int,
        *,
        name: str | None = None,
        topic: str | None = None,
        owner: int | None = None,
    ) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE room SET name = coalesce(?, name), topic = coalesce(?, topic),"
                " owner = coalesce(?, owner) WHERE conversation = ?",
                (name, topic, owner, conversation),
            )

        await self._write(write)

    async def delete_room(self, conversation: int) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM room WHERE conversation = ?", (conversation,))
            connection.execute("DELETE FROM membership WHERE conversation = ?", (conversation,))
            connection.execute("DELETE FROM standing WHERE conversation = ?", (conversation,))
            # There may be many messages: idle work deletes them (search.purge_some).
            connection.execute(
                "UPDATE conversation SET deleted = 1 WHERE key = ? AND kind = ?",
                (conversation, ConversationKind.ROOM),
            )

        await self._write(write)

    async def join_room(self, conversation: int, account: int) -> Membership:
        def write(connection: sqlite3.Connection) -> Membership:
            connection.execute(
                "DELETE FROM standing WHERE conversation = ? AND account = ? AND standing <> ?",
                (conversation, account, Standing.MODERATOR),
            )
            return join(connection, conversation, account, from_now=True)

        return await self._write(write)

    async def leave_room(self, conversation: int, account: int, *, barred: bool = False) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "DELETE FROM membership WHERE account = ? AND conversation = ?",
                (account, conversation),
            )
            _set_standing(connection, conversation, account, Standing.BARRED if barred else None)

        await self._write(write)

    async def set_standing(
        self, conversation: int, account: int, standing: Standing | None
    ) -> None:
        await self._write(
            lambda connection: _set_standing(connection, conversation, account, standing)
        )

    async def standings(self) -> list[RoomStanding]:
        def read(connection: sqlite3.Connection) -> list[RoomStanding]:
            rows = connection.execute("SELECT conversation, account, standing FROM standing")
            return [RoomStanding(key, account, Standing(number)) for key, account, number in rows]

        return await self._read(read)

    async def members(self, conversation: int) -> list[int]:
        def read(connection: sqlite3.Connection) -> list[int]:
            rows = connection.execute(
                "SELECT account FROM membership WHERE conversation = ? ORDER BY account",
                (conversation,),
            )
            return [account for (account,) in rows]

        return await self._read(read)
