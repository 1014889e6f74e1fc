"""SocketConnection: a client on the namespace ``/``; and Handler, which gets its events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl

from pychat.server.engine.codec.packet import Packet, encode_ack
from pychat.server.engine.session import EngineSession


class Handler(Protocol):
    """Gets the clients' events. Called synchronously for each frame, so it must not block."""

    def connected(self, connection: SocketConnection) -> None: ...

    def event(
        self, connection: SocketConnection, event: str, payload: bytes, ack_id: int | None
    ) -> None:
        """``payload``: JSON text of the first argument, valid JSON, ``null`` without arguments."""

    def disconnected(self, connection: SocketConnection, reason: str) -> None: ...


class SocketConnection:
    """One client on the namespace ``/``. The handler may use ``context`` as it likes."""

    __slots__ = ("__weakref__", "_disconnect", "_session", "context", "sid")

    def __init__(
        self, session: EngineSession, sid: str, disconnect: Callable[[SocketConnection], None]
    ) -> None:
        self.sid = sid
        self.context: Any = None
        self._session: EngineSession = session
        self._disconnect = disconnect

    @property
    def protocol(self) -> int:
        """The client's Engine.IO protocol, 3 or 4."""
        return self._session.protocol

    @property
    def remote_address(self) -> str:
        """The client's address, also behind a trusted proxy."""
        return self._session.handshake.remote_address

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the request that opened the session."""
        return self._session.handshake.headers

    @property
    def user_agent(self) -> str:
        """The ``User-Agent`` of that request, empty without one."""
        return self.headers.get("User-Agent", "")

    @property
    def query(self) -> Mapping[str, str]:
        """The query of that request."""
        return dict(parse_qsl(self._session.handshake.query, keep_blank_values=True))

    @property
    def connected(self) -> bool:
        """Whether a packet that is sent now may arrive."""
        return self._session.open and self._session.context is self

    def send(self, packet: Packet) -> None:
        """Queue the packet."""
        session = self._session
        if session.context is self:
            # Runs for every message and recipient: queue the frame directly.
            if session.carrier is not None:
                session.carrier.send_frame(packet.frame)
            else:
                session.send(packet)

    def when_received(self, callback: Callable[[], None]) -> None:
        """See ``EngineSession.when_received``."""
        if self._session.context is self:
            self._session.when_received(callback)

    def acknowledge(self, ack_id: int, payload: bytes) -> None:
        """Answer the event that came with this id, with one JSON value."""
        self.send(encode_ack(ack_id, payload))

    def admit(self) -> None:
        """End the limit ``first_payload``, because the client is known now."""
        self._session.first_payload = None

    def close(self) -> None:
        """Disconnect the client after the queued packets were written."""
        if self.connected:
            self._disconnect(self)
