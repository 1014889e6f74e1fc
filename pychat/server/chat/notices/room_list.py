"""``room``: send the list of rooms to every client when it may have changed."""

from __future__ import annotations

import asyncio

from pychat.protocol import Event, RoomListPayload
from pychat.server.chat.answers import encode
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import NO_ACCOUNTS, Room
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.views import room_payload

BYTES_PER_SECOND = 20_000_000


class RoomList:
    """Send changes at once as long as that costs little.

    The longer the list and the more clients, the more changes are sent as one. So joining and
    leaving over and over does not keep the server busy.
    """

    def __init__(self, directory: Directory, reach: Reach) -> None:
        self._directory = directory
        self._reach = reach
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0
        self._hidden_from = NO_ACCOUNTS

    def rooms(self) -> list[Room]:
        """All rooms, sorted by id."""
        return sorted(self._directory.rooms.values(), key=lambda room: room.id)

    def changed(self, hidden_from: frozenset[int] = NO_ACCOUNTS) -> None:
        """Send the list, now or soon, to all clients except those of some accounts."""
        if self._timer is not None:
            self._hidden_from &= hidden_from
            return
        self._hidden_from = hidden_from
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_at:
            self._send()
        else:
            self._timer = loop.call_at(self._next_at, self._send)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _send(self) -> None:
        self._timer = None
        payload = encode(RoomListPayload([room_payload(room) for room in self.rooms()]))
        self._reach.broadcast(Event.ROOM, payload, hidden_from=self._hidden_from)
        seconds = len(payload) * len(self._reach.connections()) / BYTES_PER_SECOND
        self._next_at = asyncio.get_running_loop().time() + seconds
