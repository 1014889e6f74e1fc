"""A client on the namespace ``/``, and what its events are handed to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl

from pychat.server.engine.codec.packet import Packet, encode_ack
from pychat.server.engine.session import EngineSession


class Handler(Protocol):
    """Who gets the clients' events: called straight from the frame, so it must not block."""

    def connected(self, connection: SocketConnection) -> None: ...

    def event(
        self, connection: SocketConnection, event: str, payload: bytes, ack_id: int | None
    ) -> None:
        """``payload`` is the JSON text of the first argument, well-formed, ``null`` if none."""

    def disconnected(self, connection: SocketConnection, reason: str) -> None: ...


class SocketConnection:
    """One client on the namespace ``/``. ``context`` belongs to the Handler."""

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
        """The client's address, also behind a proxy that is trusted."""
        return self._session.handshake.remote_address

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the request that opened the session."""
        return self._session.handshake.headers

    @property
    def user_agent(self) -> str:
        """The ``User-Agent`` of that request, empty if it had none."""
        return self.headers.get("User-Agent", "")

    @property
    def query(self) -> Mapping[str, str]:
        """The query of that request."""
        return dict(parse_qsl(self._session.handshake.query, keep_blank_values=True))

    @property
    def connected(self) -> bool:
        """Whether what is sent has a chance to arrive."""
        return self._session.open and self._session.context is self

    def send(self, packet: Packet) -> None:
        """Queues the packet."""
        session = self._session
        if session.context is self:
            # On the path of every message: straight to where its frame waits.
            if session.carrier is not None:
                session.carrier.send_frame(packet.frame)
            else:
                session.send(packet)

    def when_received(self, callback: Callable[[], None]) -> None:
        """See ``Session.when_received``."""
        if self._session.context is self:
            self._session.when_received(callback)

    def acknowledge(self, ack_id: int, payload: bytes) -> None:
        """Answers the event that came with this id with one JSON value."""
        self.send(encode_ack(ack_id, payload))

    def admit(self) -> None:
        """It is known who this is: ``first_payload`` does not bind them any more."""
        self._session.first_payload = None

    def close(self) -> None:
        """Disconnects the client after what waits has been written."""
        if self.connected:
            self._disconnect(self)
