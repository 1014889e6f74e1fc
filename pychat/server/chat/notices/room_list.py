"""``room``: send the list of rooms to every client for whom it may have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Set

from pychat.protocol import Event, RoomListPayload
from pychat.server.chat.answers import encode
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import NO_ACCOUNTS, Room
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.views import room_payload
from pychat.server.store.records import Standing

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
        self._to_all = False
        self._hidden_from: Set[int] = NO_ACCOUNTS
        self._accounts: set[int] = set()

    def rooms(self, reader: int) -> list[Room]:
        """The rooms that an account may know of, sorted by id."""
        return [room for room in self._sorted() if room.is_visible_to(reader)]

    def _sorted(self) -> list[Room]:
        return sorted(self._directory.rooms.values(), key=lambda room: room.id)

    def changed(self, hidden_from: Set[int] = NO_ACCOUNTS) -> None:
        """Send the list, now or soon, to all clients except those of some accounts."""
        self._hidden_from = self._hidden_from & hidden_from if self._to_all else hidden_from
        self._to_all = True
        self._send_soon()

    def room_changed(self, room: Room) -> None:
        """Send the list to all who may know of the room, or did before it was deleted."""
        if room.private:
            self.changed_for(_with_own_list([room]))
        else:
            self.changed()

    def changed_for(self, accounts: Set[int]) -> None:
        """Send the list, now or soon, to the clients of these accounts."""
        self._accounts |= accounts
        self._send_soon()

    def _send_soon(self) -> None:
        if self._timer is not None:
            return
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
        rooms = self._sorted()
        public = [room for room in rooms if not room.private]
        payload = encode(RoomListPayload([room_payload(room) for room in public]))
        own = self._accounts
        if self._to_all:
            own = (own | _with_own_list(rooms)) - (self._hidden_from - own)
            self._reach.broadcast(Event.ROOM, payload, hidden_from=self._hidden_from | own)
        for account in own:
            if self._reach.is_online(account):
                seen = [room_payload(room, account) for room in self.rooms(account)]
                self._reach.send(account, Event.ROOM, encode(RoomListPayload(seen)))
        clients = len(self._reach.connections()) if self._to_all else len(own)
        self._to_all, self._hidden_from, self._accounts = False, NO_ACCOUNTS, set()
        seconds = len(payload) * clients / BYTES_PER_SECOND
        self._next_at = asyncio.get_running_loop().time() + seconds


def _with_own_list(rooms: list[Room]) -> set[int]:
    """Return the accounts whose list differs from the one of somebody without private rooms and
    invitations."""
    accounts: set[int] = set()
    for room in rooms:
        invited = Standing.INVITED
        accounts.update(key for key, standing in room.standings.items() if standing is invited)
        if room.private:
            accounts.update(room.members)
            accounts.add(room.owner)
    return accounts
