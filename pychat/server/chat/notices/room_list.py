"""The list of rooms, told to every logged-in client when it may have changed."""

from __future__ import annotations

import asyncio

from msgspec import UNSET

from pychat import protocol
from pychat.protocol import Event
from pychat.server.chat.answers import encode
from pychat.server.chat.connection import EncodeEvent
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import NOBODY, Room
from pychat.server.chat.state.reach import LocalDelivery

BYTES_PER_SECOND = 20_000_000


class RoomList:
    """At once, as long as it costs little. The longer the list and the more the clients, the more
    changes are told as one, so that nobody keeps the server busy by joining and leaving."""

    def __init__(
        self, directory: Directory, reach: LocalDelivery, encode_event: EncodeEvent
    ) -> None:
        self._directory = directory
        self._reach = reach
        self._encode_event = encode_event
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0
        self._hidden_from = NOBODY

    def rooms(self) -> list[Room]:
        """By id."""
        return sorted(self._directory.rooms.values(), key=lambda room: room.id)

    def changed(self, hidden_from: frozenset[int] = NOBODY) -> None:
        """Every client gets the new list, now or soon, but those of ``hidden_from``."""
        if self._timer is not None:
            self._hidden_from &= hidden_from
            return
        self._hidden_from = hidden_from
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_at:
            self._tell()
        else:
            self._timer = loop.call_at(self._next_at, self._tell)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self) -> None:
        self._timer = None
        payload = encode(protocol.RoomListPayload([shown(room) for room in self.rooms()]))
        packet = self._encode_event(Event.ROOM, payload)
        hidden_from = self._hidden_from
        for session in self._reach.sessions:
            if not hidden_from or session.user is None or session.user.key not in hidden_from:
                session.connection.send(packet)
        seconds = len(payload) * len(self._reach.sessions) / BYTES_PER_SECOND
        self._next_at = asyncio.get_running_loop().time() + seconds


def shown(room: Room, member: bool | None = None) -> protocol.RoomPayload:
    """As the wire has it."""
    return protocol.RoomPayload(
        room.id, room.name, room.owner_id, UNSET if member is None else member
    )
