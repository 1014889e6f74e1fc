"""Rooms in SQLite."""

from __future__ import annotations

import sqlite3

from pychat.protocol import canonical_id
from pychat.server.store.base import AlreadyExists
from pychat.server.store.records import ConversationKind, Membership, RoomRecord
from pychat.server.store.sqlite.base import SQLitePart
from pychat.server.store.sqlite.conversations import join

_ROOM = "id, name, owner, conversation"


class SQLiteRooms(SQLitePart):
    """Implements the rooms of ``base.Store``."""

    async def create_room(self, id: str, name: str, owner: int) -> RoomRecord:
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
                f"INSERT INTO room (canonical, {_ROOM}) VALUES (?, ?, ?, ?, ?)",
                (canonical, id, name, owner, conversation),
            )
            join(connection, conversation, owner, from_now=False)
            return RoomRecord(id, name, owner, conversation)

        return await self._write(write)

    async def room(self, id: str) -> RoomRecord | None:
        def read(connection: sqlite3.Connection) -> RoomRecord | None:
            row = connection.execute(
                f"SELECT {_ROOM} FROM room WHERE canonical = ?", (canonical_id(id),)
            ).fetchone()
            return RoomRecord(*row) if row else None

        return await self._read(read)

    async def rooms(self) -> list[RoomRecord]:
        def read(connection: sqlite3.Connection) -> list[RoomRecord]:
            rows = connection.execute(f"SELECT {_ROOM} FROM room ORDER BY canonical")
            return [RoomRecord(*row) for row in rows]

        return await self._read(read)

    async def rename_room(self, conversation: int, name: str) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE room SET name = ? WHERE conversation = ?", (name, conversation)
            )

        await self._write(write)

    async def delete_room(self, conversation: int) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM room WHERE conversation = ?", (conversation,))
            connection.execute("DELETE FROM membership WHERE conversation = ?", (conversation,))
            # There may be many messages: idle work deletes them (search.purge_some).
            connection.execute(
                "UPDATE conversation SET deleted = 1 WHERE key = ? AND kind = ?",
                (conversation, ConversationKind.ROOM),
            )

        await self._write(write)

    async def join_room(self, conversation: int, account: int) -> Membership:
        return await self._write(
            lambda connection: join(connection, conversation, account, from_now=True)
        )

    async def leave_room(self, conversation: int, account: int) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "DELETE FROM membership WHERE account = ? AND conversation = ?",
                (account, conversation),
            )

        await self._write(write)

    async def members(self, conversation: int) -> list[int]:
        def read(connection: sqlite3.Connection) -> list[int]:
            rows = connection.execute(
                "SELECT account FROM membership WHERE conversation = ? ORDER BY account",
                (conversation,),
            )
            return [account for (account,) in rows]

        return await self._read(read)
