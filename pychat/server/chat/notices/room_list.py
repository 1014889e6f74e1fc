"""``room``: send the list of rooms to every client for whom it may have changed."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Sequence, Set
from typing import Final, NamedTuple

from pychat.protocol import Event, RoomListPayload
from pychat.server.chat.answers import encode
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import NO_ACCOUNTS, Room
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.roles import role_of
from pychat.server.chat.views import room_payload
from pychat.server.store.records import Standing

BYTES_PER_SECOND = 20_000_000
BYTES_AT_ONCE = 1_000_000
"""Of lists that differ from the common one, at most this much is sent before other events get their
turn."""
_BEGINNING, _END = encode(RoomListPayload([])).split(b"[]")
_SEPARATOR: Final = b","


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
        self._accounts: dict[int, None] = {}
        """Accounts that wait for a list of their own, in this order."""
        self._lists: _Lists | None = None
        """The encoded lists, until a room changes or all are sent."""

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
            self.changed_for(_concerned(room))
        else:
            self.changed()

    def changed_for(self, accounts: Iterable[int]) -> None:
        """Send the list, now or soon, to the clients of these accounts."""
        self._accounts.update(dict.fromkeys(accounts))
        self._send_soon()

    def _send_soon(self) -> None:
        self._lists = None
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
        lists = self._lists = self._lists or _Lists(self._sorted())
        size = 0
        if self._to_all:
            own = [key for key in lists.accounts() if key not in self._hidden_from]
            self._accounts.update(dict.fromkeys(own))
            payload = lists.common()
            hidden_from = self._hidden_from | self._accounts.keys()
            self._reach.broadcast(Event.ROOM, payload, hidden_from=hidden_from)
            others = len(self._reach.connections()) - len(hidden_from & self._reach.accounts())
            size = len(payload) * max(others, 0)
            self._to_all, self._hidden_from = False, NO_ACCOUNTS
        size += self._send_own(lists)
        loop = asyncio.get_running_loop()
        self._next_at = loop.time() + size / BYTES_PER_SECOND
        if self._accounts:
            self._timer = loop.call_at(self._next_at, self._send)
        else:
            self._lists = None

    def _send_own(self, lists: _Lists) -> int:
        """Send their lists to some of the accounts that wait, and return the number of bytes."""
        size = 0
        while self._accounts and size < BYTES_AT_ONCE:
            account = next(iter(self._accounts))
            del self._accounts[account]
            if self._reach.is_online(account):
                payload = lists.of(account)
                self._reach.send(account, Event.ROOM, payload)
                size += len(payload)
        return size


class _Lists:
    """The encoded lists of all accounts. What several have in common is encoded once."""

    def __init__(self, rooms: Sequence[Room]) -> None:
        """``rooms``: all, sorted by id."""
        public = [room for room in rooms if not room.private]
        self._ids = [room.id for room in public]
        self._encoded = [encode(room_payload(room)) for room in public]
        self._own: dict[int, list[_Difference]] = {}
        for room in rooms:
            shown: dict[bool, _Difference] = {}
            for account in _concerned(room):
                invited = role_of(room, account) == "invited"
                if invited not in shown:
                    encoded = encode(room_payload(room, account))
                    shown[invited] = self._difference(room, encoded)
                self._own.setdefault(account, []).append(shown[invited])
        self._last: tuple[list[_Difference], bytes] = ([], self.common())
        """The last list that was made, and how it differs from the common one."""

    def _difference(self, room: Room, encoded: bytes) -> _Difference:
        place = bisect_left(self._ids, room.id)
        return _Difference(place, place if room.private else place + 1, encoded)

    def accounts(self) -> Set[int]:
        """The accounts whose list differs from the common one."""
        return self._own.keys()

    def common(self) -> bytes:
        """The list of those without private rooms and invitations."""
        return _joined(self._encoded)

    def of(self, account: int) -> bytes:
        differences = self._own.get(account, [])
        if self._last[0] != differences:
            encoded = self._encoded.copy()
            # From the end, so that the places before it stay the same.
            for each in reversed(differences):
                encoded[each.start : each.end] = [each.encoded]
            self._last = differences, _joined(encoded)
        return self._last[1]


class _Difference(NamedTuple):
    """What replaces some rooms of the common list."""

    start: int
    end: int
    encoded: bytes


def _joined(encoded: Sequence[bytes]) -> bytes:
    return b"%b[%b]%b" % (_BEGINNING, _SEPARATOR.join(encoded), _END)


def _concerned(room: Room) -> set[int]:
    """Return the accounts that see the room differently from most: those who are invited, and
    everybody who sees a private one."""
    accounts = {key for key, each in room.standings.items() if each is Standing.INVITED}
    if room.private:
        accounts.update(room.members)
        accounts.add(room.owner)
    return accounts
