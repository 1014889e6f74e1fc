"""Connection state recovery (Socket.IO 4.6): a client that returns gets its sid, rooms and events.

The server tells a client a private id when it connects, and appends an offset to each event. A
client whose connection broke sends both, and gets the events that it missed. See "Connection state
recovery" in Socket.IO's documentation.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pychat.server.asyncserver.layer import Client
from pychat.server.asyncserver.rooms import Manager, send_packets
from pychat.server.engine.codec.packet import AnyPacket
from pychat.server.engine.session import (
    PING_TIMEOUT,
    SLOW_CONSUMER,
    TRANSPORT_CLOSE,
    TRANSPORT_ERROR,
)

MAX_KEPT_BYTES: Final = 16 * 2**20
"""Bytes of events that are kept for those who are away. The oldest are dropped first."""
_EVENT_BYTES: Final = 300
"""What an event takes beside its packets, roughly."""
MAX_AWAY: Final = 10_000
"""Clients that are away and can return. The first to leave is forgotten first."""
_LEAVE_SECONDS: Final = 5.0
"""Time for the disconnect handler of a connection whose client is already back."""
_RECOVERABLE: Final = frozenset({TRANSPORT_CLOSE, TRANSPORT_ERROR, PING_TIMEOUT, SLOW_CONSUMER})


class _KeptEvent(NamedTuple):
    offset: int
    at: float
    namespace: str
    rooms: Collection[Any]
    skipped: Collection[Any]
    packets: list[AnyPacket]
    size: int


@dataclass(eq=False, slots=True)
class _Visitor:
    """A client in a namespace, connected or away."""

    pid: str
    namespace: str
    sid: str
    client: Client
    rooms: dict[Any, int]
    """Each room, None for the namespace, with the last offset when the client entered it."""
    left_at: float | None = None
    missed_since: int | None = None
    """The last offset that it has seen, until it gets what it missed."""
    recovered: bool = False


class Recovery:
    """Keeps recent events, and the clients that may return within ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._events: deque[_KeptEvent] = deque()
        self._bytes = 0
        self._last = 0
        self._dropped = 0
        self._visitors: dict[tuple[str, str], _Visitor] = {}
        self._by_pid: dict[str, _Visitor] = {}
        self._away: OrderedDict[_Visitor, None] = OrderedDict()

    # --- events

    def keep(
        self,
        namespace: str,
        rooms: Collection[Any],
        skipped: Collection[Any],
        encode: Callable[[str], list[AnyPacket]],
    ) -> list[AnyPacket]:
        """Return the packets of an event, encoded with its offset, and keep them for a while."""
        self._last += 1
        packets = encode(str(self._last))
        size = _EVENT_BYTES + sum(packet.size for packet in packets)
        now = asyncio.get_running_loop().time()
        self._events.append(_KeptEvent(self._last, now, namespace, rooms, skipped, packets, size))
        self._bytes += size
        self._forget_old(now)
        return packets

    def _forget_old(self, now: float) -> None:
        events = self._events
        while events and (now - events[0].at > self._seconds or self._bytes > MAX_KEPT_BYTES):
            event = events.popleft()
            self._bytes -= event.size
            self._dropped = event.offset
        while self._away:
            visitor = next(iter(self._away))
            assert visitor.left_at is not None
            if now - visitor.left_at <= self._seconds and len(self._away) <= MAX_AWAY:
                return
            self._forget(visitor)

    def _missed(self, visitor: _Visitor, since: int) -> Iterable[AnyPacket]:
        missed: list[_KeptEvent] = []
        for event in reversed(self._events):
            if event.offset <= since:
                break
            entered = [visitor.rooms[room] for room in event.rooms if room in visitor.rooms]
            if (
                event.namespace == visitor.namespace
                and any(event.offset > offset for offset in entered)
                and visitor.sid not in event.skipped
            ):
                missed.append(event)
        return [packet for event in reversed(missed) for packet in event.packets]

    # --- clients

    def connecting(self, client: Client, namespace: str, sid: str) -> None:
        """A client joins, or rejoins, the namespace. It has entered no room yet."""
        visitor = self._visitors.get((namespace, sid))
        if visitor is None:
            pid = secrets.token_urlsafe(15)
            rooms = {None: self._last, sid: self._last}
            visitor = _Visitor(pid, namespace, sid, client, rooms)
            self._visitors[namespace, sid] = self._by_pid[pid] = visitor

    def rooms_of(self, namespace: str, sid: str) -> list[Any]:
        """Return the rooms of a client, also while it is away."""
        visitor = self._visitors.get((namespace, sid))
        return [] if visitor is None else list(visitor.rooms)

    async def find(
        self, client: Client, namespace: str, auth: dict[str, Any] | None
    ) -> tuple[str | None, dict[str, Any] | None]:
        """Return the sid that the client had, and its auth without the id and the offset.

        The sid is None if it must start anew.
        """
        if auth is None or "pid" not in auth:
            return None, auth
        pid, offset = auth["pid"], auth.get("offset")
        auth = {key: auth[key] for key in auth if key not in ("pid", "offset")} or None
        visitor = self._by_pid.get(pid) if isinstance(pid, str) else None
        if visitor is None or visitor.namespace != namespace or visitor.client is client:
            return None, auth
        # The client often returns before the server has noticed that it was away.
        visitor.client.session.end(TRANSPORT_CLOSE)
        leaving = visitor.client.lifecycle
        if leaving is not None and not leaving.done():
            await asyncio.wait([leaving], timeout=_LEAVE_SECONDS)
            if not leaving.done():
                return None, auth
        self._forget_old(asyncio.get_running_loop().time())
        if self._by_pid.get(pid) is not visitor or visitor.left_at is None:
            return None, auth
        since = _read_offset(offset, self._last, visitor.rooms[None])
        if since is None or since < self._dropped or not client.session.open:
            return None, auth
        del self._away[visitor]
        client.stored[namespace] = visitor.client.stored.get(namespace, {})
        visitor.left_at = None
        visitor.client = client
        visitor.missed_since = since
        visitor.recovered = True
        return visitor.sid, auth

    def connected(self, namespace: str, sid: str) -> tuple[str, Iterable[AnyPacket]]:
        """The client is told that it is connected: return its private id, and what it missed."""
        visitor = self._visitors[namespace, sid]
        since, visitor.missed_since = visitor.missed_since, None
        return visitor.pid, () if since is None else self._missed(visitor, since)

    def waits(self, namespace: str, sid: str) -> bool:
        """Whether the client gets new events only after what it missed."""
        visitor = self._visitors.get((namespace, sid))
        return visitor is not None and visitor.missed_since is not None

    def is_recovered(self, namespace: str, sid: str) -> bool:
        """Whether the connection continues an earlier one."""
        visitor = self._visitors.get((namespace, sid))
        return visitor is not None and visitor.recovered

    def entered(self, namespace: str, sid: str, room: Any) -> None:
        """The client entered the room now, unless it is in it."""
        visitor = self._visitors.get((namespace, sid))
        if visitor is not None:
            visitor.rooms.setdefault(room, self._last)

    def left(self, namespace: str, sid: str, room: Any) -> None:
        """The client left the room, or was removed while it was away."""
        visitor = self._visitors.get((namespace, sid))
        if visitor is not None:
            visitor.rooms.pop(room, None)

    def closed(self, namespace: str, room: Any) -> None:
        """Nobody is in the room any more, those who are away neither."""
        for visitor in self._away:
            if visitor.namespace == namespace:
                visitor.rooms.pop(room, None)

    def broken(self, namespace: str, sid: str, reason: str) -> None:
        """The connection of a client ended. For some reasons it may return."""
        visitor = self._visitors.get((namespace, sid))
        if visitor is not None and reason in _RECOVERABLE:
            now = asyncio.get_running_loop().time()
            visitor.left_at = now
            visitor.missed_since = None
            self._away[visitor] = None
            self._forget_old(now)

    def gone(self, namespace: str, sid: str) -> None:
        """The client left the namespace. Forget it unless its connection broke."""
        visitor = self._visitors.get((namespace, sid))
        if visitor is not None and visitor.left_at is None:
            self._forget(visitor)

    def forget(self, namespace: str, sid: str) -> None:
        """The application disconnects a client that is away: it may not return."""
        visitor = self._visitors.get((namespace, sid))
        if visitor is not None and visitor.left_at is not None:
            self._forget(visitor)

    def _forget(self, visitor: _Visitor) -> None:
        del self._visitors[visitor.namespace, visitor.sid]
        del self._by_pid[visitor.pid]
        self._away.pop(visitor, None)


def _read_offset(offset: Any, last: int, joined: int) -> int | None:
    """Return the offset that a client sent; without one it has got no event since it joined."""
    if offset is None:
        return joined
    if not isinstance(offset, str) or not offset.isdecimal() or len(offset) > 16:
        return None
    return int(offset) if int(offset) <= last else None


class RecoveringManager(Manager):
    """Rooms in memory whose events are kept for the clients that are away."""

    def __init__(self, recovery: Recovery) -> None:
        super().__init__()
        self._recovery = recovery

    async def pre_connect(self, eio_sid: str, namespace: str) -> str | None:
        """Register a client, in all rooms that it was in."""
        sid: str | None = await super().pre_connect(eio_sid, namespace)
        session = self.server.eio.session(eio_sid)
        if sid is not None and session is not None and session.protocol != 3:
            self._recovery.connecting(session.context, namespace, sid)
            for room in self._recovery.rooms_of(namespace, sid):
                self.basic_enter_room(sid, namespace, room, eio_sid=eio_sid)
        return sid

    def basic_enter_room(
        self, sid: str, namespace: str, room: Any, eio_sid: str | None = None
    ) -> None:
        """Enter the room, and remember since when."""
        super().basic_enter_room(sid, namespace, room, eio_sid=eio_sid)
        self._recovery.entered(namespace, sid, room)

    async def leave_room(self, sid: str, namespace: str, room: Any) -> None:
        """Leave the room, also while away."""
        self._recovery.left(namespace, sid, room)
        await super().leave_room(sid, namespace, room)

    def basic_close_room(self, room: Any, namespace: str) -> None:
        """Remove everybody from the room, those who are away too."""
        for sid, _ in self.get_participants(namespace, room):
            self._recovery.left(namespace, sid, room)
        super().basic_close_room(room, namespace)
        self._recovery.closed(namespace, room)

    def basic_disconnect(self, sid: str, namespace: str, **kwargs: Any) -> None:
        """Remove the client from all rooms."""
        super().basic_disconnect(sid, namespace, **kwargs)
        self._recovery.gone(namespace, sid)

    def broadcast(
        self, namespace: str, room: Any, skipped: Collection[Any], arguments: list[Any]
    ) -> None:
        """Send an event with its offset. Engine.IO 3 has none, and its clients get none."""

        def encode(offset: str) -> list[AnyPacket]:
            packets: list[AnyPacket] = self.server.encode(
                b"2", namespace, None, [*arguments, offset]
            )
            return packets

        rooms = tuple(room) if isinstance(room, list | tuple) else (room,)
        # The application may reuse its list of those to skip.
        packets = self._recovery.keep(namespace, rooms, tuple(skipped), encode)
        plain: list[AnyPacket] | None = None
        for sid, session in self.sessions(namespace, room, skipped):
            if session.protocol == 3:
                plain = plain or self.server.encode(b"2", namespace, None, arguments)
                send_packets(session, plain)
            elif not self._recovery.waits(namespace, sid):
                send_packets(session, packets)
