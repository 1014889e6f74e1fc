"""SocketServer: an engine whose Dispatcher passes events on ``/`` to a Handler."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec
from aiohttp import web

from pychat.server.engine.codec.packet import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    DISCONNECT,
    EVENT,
    MalformedPacket,
    SocketPacket,
    read_event,
    read_packet,
    text_packet,
)
from pychat.server.engine.registry import SessionAdmission
from pychat.server.engine.server import EngineServer
from pychat.server.engine.session import FORCED_CLOSE, PARSE_ERROR, EngineSession, ReadAllowance
from pychat.server.engine.socketio.connection import Handler, SocketConnection

logger = logging.getLogger("pychat.engine")

CLIENT_DISCONNECT: Final = "client namespace disconnect"
SERVER_DISCONNECT: Final = "server namespace disconnect"

_MAX_REFUSED_NAMESPACES: Final = 10
_MAX_AUTH: Final = 16 * 1024
_DISCONNECT_PACKET: Final = text_packet(b"41")
_JOINED: Final = text_packet(b"40")


class Dispatcher:
    """The layer above the sessions.

    A session's ``context`` is its SocketConnection, None before CONNECT.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._refused: dict[EngineSession, int] = {}
        self._pending: dict[EngineSession, _Pending] = {}

    def watch_connecting(self, engine: EngineServer, timeout: float) -> None:
        """End sessions that do not CONNECT, or do not finish a binary packet, in that time."""
        self._wheel = engine.wheel
        self._connecting = engine.wheel.add(timeout, self._too_late, EngineSession.abandon)

    def _too_late(self, session: EngineSession) -> None:
        session.end(FORCED_CLOSE)

    # --- called by the sessions

    def opened(self, session: EngineSession) -> None:
        """Start to wait for CONNECT. In Engine.IO 3 the client is on ``/`` already."""
        if session.protocol == 3:
            session.send(_JOINED)
            self._join(session, session.sid)
        else:
            self._wheel.start(self._connecting, session)

    def text(self, session: EngineSession, text: str) -> None:
        """Handle a Socket.IO packet."""
        connection = session.context
        try:
            if text.startswith("42[") and connection is not None and not self._pending:
                event, payload = read_event(text[2:])
            else:
                self._packet(session, connection, text)
                return
        except MalformedPacket:
            session.end(PARSE_ERROR)
            return
        try:
            self._handler.event(connection, event, payload, None)
        except Exception:
            logger.exception("event handler failed: event=%.100r", event)

    def binary(self, session: EngineSession, data: bytes) -> None:
        """Count an attachment. Its data is dropped, the placeholder stays in the payload."""
        pending = self._pending.get(session)
        if pending is None:
            session.end(PARSE_ERROR)
            return
        pending.missing -= 1
        if pending.missing == 0:
            del self._pending[session]
            self._connecting.stop(session)
            try:
                self._event(session, session.context, pending.packet)
            except MalformedPacket:
                session.end(PARSE_ERROR)

    def closed(self, session: EngineSession, reason: str) -> None:
        """The session has ended."""
        self._connecting.stop(session)
        self._pending.pop(session, None)
        self._refused.pop(session, None)
        self._leave(session, reason)

    # --- packets

    def _packet(
        self, session: EngineSession, connection: SocketConnection | None, text: str
    ) -> None:
        if session in self._pending:
            raise MalformedPacket("text instead of an attachment")
        packet = read_packet(text)
        if packet.type == CONNECT:
            self._connect(session, connection, packet)
        elif packet.namespace != "/" or connection is None:
            # Node's server also disconnects a client that uses a namespace without joining it.
            raise MalformedPacket("not connected to that namespace")
        elif packet.type in (EVENT, BINARY_EVENT, BINARY_ACK):
            if packet.attachments:
                self._pending[session] = _Pending(packet)
                self._wheel.start(self._connecting, session)
            elif packet.type != BINARY_ACK:
                self._event(session, connection, packet)
        elif packet.type == DISCONNECT:
            self._leave(session, CLIENT_DISCONNECT)
            self._wheel.start(self._connecting, session)
        elif packet.type != ACK:
            raise MalformedPacket("CONNECT_ERROR from a client")

    def _event(
        self, session: EngineSession, connection: SocketConnection | None, packet: SocketPacket
    ) -> None:
        if packet.type == BINARY_ACK or connection is None:
            return
        event, payload = read_event(packet.data)
        self._deliver(connection, event, payload, packet.id)

    def _deliver(
        self, connection: SocketConnection, event: str, payload: bytes, ack_id: int | None
    ) -> None:
        try:
            self._handler.event(connection, event, payload, ack_id)
        except Exception:
            logger.exception("event handler failed: event=%.100r", event)

    def _connect(
        self, session: EngineSession, connection: SocketConnection | None, packet: SocketPacket
    ) -> None:
        if len(packet.data) > _MAX_AUTH:
            raise MalformedPacket("too much auth data")
        if packet.namespace != "/":
            refused = self._refused[session] = self._refused.get(session, 0) + 1
            if refused > _MAX_REFUSED_NAMESPACES:
                raise MalformedPacket("too many namespaces")
            reason = b'{"message":"Invalid namespace"}'
            if session.protocol == 3:
                reason = b'"Invalid namespace"'
            session.send(text_packet(b"44%b,%b" % (packet.namespace.encode(), reason)))
        elif connection is not None:
            if session.protocol == 4:
                raise MalformedPacket("connected already")
        else:
            sid = session.sid if session.protocol == 3 else secrets.token_urlsafe(15)
            if session.protocol == 3:
                session.send(_JOINED)
            else:
                answer = msgspec.json.encode({"sid": sid})
                session.send(text_packet(b"40" + answer))
            self._connecting.stop(session)
            self._join(session, sid)

    def _join(self, session: EngineSession, sid: str) -> None:
        connection = session.context = SocketConnection(session, sid, self.disconnect)
        try:
            self._handler.connected(connection)
        except Exception:
            logger.exception("connect handler failed")

    def _leave(self, session: EngineSession, reason: str) -> None:
        connection, session.context = session.context, None
        if connection is not None:
            try:
                self._handler.disconnected(connection, reason)
            except Exception:
                logger.exception("disconnect handler failed")

    def disconnect(self, connection: SocketConnection) -> None:
        """Disconnect a client from the server's side."""
        session = connection._session
        session.send(_DISCONNECT_PACKET)
        self._leave(session, SERVER_DISCONNECT)
        session.close()


class _Pending:
    """A binary packet that waits for its attachments."""

    __slots__ = ("missing", "packet")

    def __init__(self, packet: SocketPacket) -> None:
        self.packet = packet
        self.missing = packet.attachments


class SocketServer:
    """A Socket.IO server for all client generations, on one route of an aiohttp application.

    The options are those of ``EngineServer``. Times are in seconds, sizes in bytes.
    ``connect_timeout``: time that a client has to CONNECT. ``first_payload`` applies until
    ``SocketConnection.admit``.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        path: str = "/socket.io/",
        ping_interval: float = 25.0,
        ping_timeout: float = 20.0,
        connect_timeout: float = 45.0,
        upgrade_timeout: float = 10.0,
        max_payload: int = 1_000_000,
        first_payload: int | None = None,
        allowed_origins: Sequence[str] | Literal["*"] = (),
        trusted_proxies: Sequence[str] = (),
        origin_option: str = "allowed_origins=['{}']",
        proxy_option: str = "trusted_proxies=['{}']",
        pace: Callable[[], ReadAllowance] | None = None,
        admission: SessionAdmission | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._path = path
        dispatcher = Dispatcher(handler)
        self._engine = EngineServer(
            dispatcher,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            upgrade_timeout=upgrade_timeout,
            max_payload=max_payload,
            first_payload=first_payload,
            allowed_origins=allowed_origins,
            trusted_proxies=trusted_proxies,
            origin_option=origin_option,
            proxy_option=proxy_option,
            pace=pace,
            admission=admission,
            headers=headers,
        )
        dispatcher.watch_connecting(self._engine, connect_timeout)

    @property
    def client_count(self) -> int:
        """Number of open sessions."""
        return len(self._engine.sessions)

    def attach(self, app: web.Application) -> None:
        """Add the route. The caller must call ``shutdown`` when the application shuts down."""
        self._engine.attach(app, self._path)

    async def shutdown(self) -> None:
        """Close all sessions. Returns when they have gone, after 2 s at most."""
        await self._engine.shutdown()
