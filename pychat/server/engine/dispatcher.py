"""Socket.IO on the namespace ``/``: packets to a Handler, events and answers back."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from pychat.server.engine.admission import Admission
from pychat.server.engine.pace import Pace
from pychat.server.engine.packet import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    DISCONNECT,
    EVENT,
    MalformedPacket,
    Packet,
    SocketPacket,
    encode_ack,
    read_event,
    read_packet,
    text_packet,
)
from pychat.server.engine.server import EngineServer
from pychat.server.engine.session import FORCED_CLOSE, PARSE_ERROR, Session

logger = logging.getLogger("pychat.engine")

CLIENT_DISCONNECT: Final = "client namespace disconnect"
SERVER_DISCONNECT: Final = "server namespace disconnect"

_MAX_REFUSED_NAMESPACES: Final = 10
_MAX_AUTH: Final = 16 * 1024
_DISCONNECT_PACKET: Final = text_packet(b"41")
_JOINED: Final = text_packet(b"40")


class Handler(Protocol):
    """Who gets the clients' events: called straight from the frame, so it must not block."""

    def connected(self, connection: Connection) -> None: ...

    def event(self, connection: Connection, event: str, payload: bytes, ack_id: int | None) -> None:
        """``payload`` is the JSON text of the first argument, well-formed, ``null`` if none."""

    def disconnected(self, connection: Connection, reason: str) -> None: ...


class Connection:
    """One client on the namespace ``/``. ``context`` belongs to the Handler."""

    __slots__ = ("__weakref__", "_dispatcher", "_session", "context", "sid")

    def __init__(self, session: Session, sid: str, dispatcher: _Dispatcher) -> None:
        self.sid = sid
        self.context: Any = None
        self._session: Session = session
        self._dispatcher = dispatcher

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

    def send(self, packet: Packet, written: Callable[[], None] | None = None) -> None:
        """Queues the packet; ``written`` is called once the transport has taken it."""
        session = self._session
        if session.context is self:
            # On the path of every message: straight to where its frame waits.
            if session.carrier is not None:
                session.carrier.send_frame(packet.frame, written)
            else:
                session.send(packet, written)

    def acknowledge(self, ack_id: int, payload: bytes) -> None:
        """Answers the event that came with this id with one JSON value."""
        self.send(encode_ack(ack_id, payload))

    def close(self) -> None:
        """Disconnects the client after what waits has been written."""
        if self.connected:
            self._dispatcher.disconnect(self)


class SocketServer:
    """A Socket.IO server for every generation of clients, on one route of an aiohttp app.

    Times are in seconds. ``allowed_origins`` are added to the server's own. ``pace`` bounds how
    fast a client is read, ``admission`` how many sessions an address may have; None: not at all.
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
        allowed_origins: Sequence[str] | Literal["*"] = (),
        trusted_proxies: Sequence[str] = (),
        pace: Pace | None = None,
        admission: Admission | None = None,
    ) -> None:
        self._path = path
        dispatcher = _Dispatcher(handler)
        self._engine = EngineServer(
            dispatcher,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            upgrade_timeout=upgrade_timeout,
            max_payload=max_payload,
            allowed_origins=allowed_origins,
            trusted_proxies=trusted_proxies,
            pace=pace,
            admission=admission,
        )
        dispatcher.watch_connecting(self._engine, connect_timeout)

    @property
    def client_count(self) -> int:
        """Sessions that are open."""
        return len(self._engine.sessions)

    def attach(self, app: web.Application) -> None:
        """Adds only the route under the path: the application's shutdown is to call ours."""
        self._engine.attach(app, self._path)

    async def shutdown(self) -> None:
        """Every client gets a close; returns when they have gone, after 2 s at most."""
        await self._engine.shutdown()


class _Dispatcher:
    """The layer on the sessions. A session's context is its Connection, None before CONNECT."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._refused: dict[Session, int] = {}
        self._pending: dict[Session, _Pending] = {}

    def watch_connecting(self, engine: EngineServer, timeout: float) -> None:
        """Ends sessions that do not CONNECT, or do not finish a binary packet, in that time."""
        self._wheel = engine.wheel
        self._connecting = engine.wheel.add(timeout, self._too_late)

    def _too_late(self, session: Session) -> None:
        session.end(FORCED_CLOSE)

    # --- the layer

    def opened(self, session: Session) -> None:
        """Engine.IO 3: the client has joined ``/`` already."""
        if session.protocol == 3:
            session.send(_JOINED)
            self._join(session, session.sid)
        else:
            self._wheel.start(self._connecting, session)

    def text(self, session: Session, text: str) -> None:
        """A Socket.IO packet."""
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
            logger.exception("the handler of event %.100r failed", event)

    def binary(self, session: Session, data: bytes) -> None:
        """An attachment: its placeholder stays in the payload, the data is of no use here."""
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

    def closed(self, session: Session, reason: str) -> None:
        """The session has ended."""
        self._connecting.stop(session)
        self._pending.pop(session, None)
        self._refused.pop(session, None)
        self._leave(session, reason)

    # --- packets

    def _packet(self, session: Session, connection: Connection | None, text: str) -> None:
        if session in self._pending:
            raise MalformedPacket("text where an attachment is due")
        packet = read_packet(text)
        if packet.type == CONNECT:
            self._connect(session, connection, packet)
        elif packet.namespace != "/" or connection is None:
            # As Node: whoever talks on a namespace that it has not joined is cut.
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
            raise MalformedPacket("only a server refuses a connection")

    def _event(self, session: Session, connection: Connection | None, packet: SocketPacket) -> None:
        if packet.type == BINARY_ACK or connection is None:
            return
        event, payload = read_event(packet.data)
        self._deliver(connection, event, payload, packet.id)

    def _deliver(
        self, connection: Connection, event: str, payload: bytes, ack_id: int | None
    ) -> None:
        try:
            self._handler.event(connection, event, payload, ack_id)
        except Exception:
            logger.exception("the handler of event %.100r failed", event)

    def _connect(
        self, session: Session, connection: Connection | None, packet: SocketPacket
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

    def _join(self, session: Session, sid: str) -> None:
        connection = session.context = Connection(session, sid, self)
        try:
            self._handler.connected(connection)
        except Exception:
            logger.exception("the handler of a new connection failed")

    def _leave(self, session: Session, reason: str) -> None:
        connection, session.context = session.context, None
        if connection is not None:
            try:
                self._handler.disconnected(connection, reason)
            except Exception:
                logger.exception("the handler of a disconnect failed")

    def disconnect(self, connection: Connection) -> None:
        """The server's disconnect of one client."""
        session = connection._session
        session.send(_DISCONNECT_PACKET)
        self._leave(session, SERVER_DISCONNECT)
        session.close()


class _Pending:
    """A binary packet whose attachments are on their way."""

    __slots__ = ("missing", "packet")

    def __init__(self, packet: SocketPacket) -> None:
        self.packet = packet
        self.missing = packet.attachments
