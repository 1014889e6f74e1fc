"""The clients of each namespace and room, in memory: python-socketio's manager on this engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol

import socketio

from pychat.server.asyncserver.engine import AsyncEngine
from pychat.server.engine.codec.packet import AnyPacket
from pychat.server.engine.session import EngineSession


class Sender(Protocol):
    """What the manager needs from its server."""

    @property
    def eio(self) -> AsyncEngine: ...

    def encode(
        self, kind: bytes, namespace: str, ack_id: int | None, data: Any
    ) -> list[AnyPacket]: ...

    def send_to_session(
        self,
        session: EngineSession | None,
        kind: bytes,
        namespace: str,
        ack_id: int | None,
        data: Any,
    ) -> None: ...


class Manager(socketio.AsyncManager):  # type: ignore[misc]  # python-socketio has no types
    """The default manager of an AsyncServer: rooms in memory, for one process."""

    async def emit(
        self,
        event: str,
        data: Any,
        namespace: str,
        room: Any = None,
        skip_sid: str | Sequence[str] | None = None,
        callback: Callable[..., Any] | None = None,
        to: Any = None,
        **kwargs: Any,
    ) -> None:
        """Send an event to the room, or to all clients in the namespace."""
        arguments = [event]
        if isinstance(data, tuple):
            arguments += data
        elif data is not None:
            arguments.append(data)
        room = to or room
        skipped = skip_sid if isinstance(skip_sid, list | tuple | set) else (skip_sid,)
        if callback is None:
            self.broadcast(namespace, room, skipped, arguments)
            return
        for sid, session in self.sessions(namespace, room, skipped):
            ack_id = self._generate_ack_id(sid, callback)
            self.server.send_to_session(session, b"2", namespace, ack_id, arguments)

    def broadcast(
        self, namespace: str, room: Any, skipped: Collection[Any], arguments: list[Any]
    ) -> None:
        """Send an event that is not acknowledged."""
        packets: list[AnyPacket] | None = None
        for _, session in self.sessions(namespace, room, skipped):
            if packets is None:
                packets = self.server.encode(b"2", namespace, None, arguments)
            send_packets(session, packets)

    def sessions(
        self, namespace: str, room: Any, skipped: Collection[Any]
    ) -> Iterator[tuple[str, EngineSession]]:
        """Return the sid and session of each client in the room, or in the namespace for None."""
        rooms = self.rooms.get(namespace)
        if rooms is None:
            return
        if room is None or isinstance(room, str):
            members = rooms.get(room)
            if members is None:
                return
            participants = list(members._fwdm.items())  # private; its other managers read it too
        else:
            participants = list(self.get_participants(namespace, room))
        session_of = self.server.eio.session
        for sid, eio_sid in participants:
            session = session_of(eio_sid)
            if session is not None and sid not in skipped:
                yield sid, session


def send_packets(session: EngineSession, packets: Iterable[AnyPacket]) -> None:
    """Send a Socket.IO packet and its attachments."""
    for packet in packets:
        session.send(packet)
