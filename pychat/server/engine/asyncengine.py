"""What python-socketio's server asks of an Engine.IO server, answered by ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

import msgspec
from aiohttp import web
from engineio import packet as upstream

from pychat.server.engine.environ import Environ
from pychat.server.engine.packet import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    DISCONNECT,
    EVENT,
    RESERVED_EVENTS,
    BinaryPacket,
    MalformedPacket,
    SocketPacket,
    check_depth,
    read_packet,
    text_packet,
)
from pychat.server.engine.server import EngineServer
from pychat.server.engine.session import FORCED_CLOSE, PARSE_ERROR, Session
from pychat.server.engine.tasks import Tasks

logger = logging.getLogger("pychat.engine")

_MAX_REFUSALS: Final = 10


class SocketIO(Protocol):
    """Who handles the packets: python-socketio's server."""

    def knows_namespace(self, namespace: str) -> bool: ...

    def is_joined(self, eio_sid: str, namespace: str) -> bool: ...

    async def client_connects(self, client: Client, namespace: str, auth: Any) -> None: ...

    async def client_leaves(self, client: Client, namespace: str | None, reason: str) -> None: ...

    def client_event(
        self, client: Client, namespace: str, ack_id: int | None, data: list[Any]
    ) -> None: ...

    def client_ack(self, client: Client, namespace: str, ack_id: int, data: list[Any]) -> None: ...


class Client:
    """One session as python-socketio sees it: its environ, its stored data."""

    __slots__ = ("attachments", "environ", "lifecycle", "packet", "refusals", "session", "stored")

    def __init__(self, session: Session, path: str) -> None:
        self.session = session
        self.environ = Environ(session.handshake, path)
        self.stored: dict[str, Any] = {}
        self.packet: SocketPacket | None = None
        self.attachments: list[bytes] = []
        self.refusals = 0
        # Joining and leaving happen one after the other, however long handlers take.
        self.lifecycle: asyncio.Task[None] | None = None


class AsyncEngine:
    """Stands where ``engineio.AsyncServer`` would."""

    async_mode = "aiohttp"

    def __init__(
        self,
        *,
        ping_interval: float | tuple[float, float] = 25,
        ping_timeout: float = 20,
        max_http_buffer_size: int = 1_000_000,
        allow_upgrades: bool = True,
        cors_allowed_origins: str | Sequence[str] | None = None,
        cors_credentials: bool = True,
        transports: str | Sequence[str] | None = None,
        connect_timeout: float = 45,
        upgrade_timeout: float = 10,
        trusted_proxies: Sequence[str] = (),
        cookie: None = None,
        **ignored: Any,
    ) -> None:
        if cookie is not None:
            raise ValueError("cookie is not supported: the session id is not sent in a cookie")
        if not cors_credentials:
            raise ValueError("cors_credentials=False is not supported: old clients send them")
        unknown = set(ignored) - _WITHOUT_EFFECT
        if unknown:
            raise TypeError(f"unknown option {', '.join(sorted(unknown))}")
        if isinstance(ping_interval, tuple):
            ping_interval = sum(ping_interval)
        self._server = EngineServer(
            self,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            upgrade_timeout=upgrade_timeout,
            max_payload=max_http_buffer_size,
            allowed_origins=_origins(cors_allowed_origins),
            trusted_proxies=trusted_proxies,
            origin_option="cors_allowed_origins=['{}']",
            transports=[transports] if isinstance(transports, str) else transports,
            allow_upgrades=allow_upgrades,
        )
        self._connecting = self._server.wheel.add(connect_timeout, self._too_late)
        self.tasks = Tasks()
        self.socketio: SocketIO
        self.decode: Callable[[str], Any] = _decode
        self._next_id: str | None = None

    # --- asked by python-socketio

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        """Its handlers of Engine.IO's events are not needed: the packets come decoded."""

    def attach(self, app: web.Application, path: str) -> None:
        """Adds the route; the clients get their close when the application shuts down."""
        self._server.attach(app, "/" + path.strip("/") + "/")
        app.on_shutdown.append(self._on_shutdown)

    async def _on_shutdown(self, app: web.Application) -> None:
        await self.shutdown()

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """For those who add the route themselves."""
        return await self._server.handle(request)

    async def shutdown(self) -> None:
        """Every client gets a close; its disconnect handlers have run when this returns."""
        await self._server.shutdown()
        await self.tasks.done()

    def generate_id(self) -> str:
        """The sid of a client that joins a namespace."""
        given, self._next_id = self._next_id, None
        return given or self._server.new_sid()

    def set_next_id(self, sid: str | None) -> None:
        """The sid that ``generate_id`` returns next: clients of Engine.IO 3 choose their own."""
        self._next_id = sid

    def session(self, eio_sid: str | None) -> Session | None:
        """The session, if it is still there."""
        return self._server.sessions.get(eio_sid) if eio_sid else None

    def transport(self, eio_sid: str) -> str:
        """``polling`` or ``websocket``. Raises KeyError if the client has gone."""
        session = self._server.sessions[eio_sid]
        return "websocket" if session.carrier is not None else "polling"

    async def get_session(self, eio_sid: str) -> dict[str, Any]:
        """What handlers store for a client. Raises KeyError if it has gone."""
        client: Client = self._server.sessions[eio_sid].context
        return client.stored

    async def send(self, eio_sid: str, data: str | bytes) -> None:
        """One message of Socket.IO."""
        session = self.session(eio_sid)
        if session is not None:
            session.send(
                BinaryPacket(data) if isinstance(data, bytes) else text_packet(b"4" + data.encode())
            )

    async def send_packet(self, eio_sid: str, packet: upstream.Packet) -> None:
        """One message of Socket.IO, in upstream's packet."""
        await self.send(eio_sid, packet.data)

    async def disconnect(self, eio_sid: str) -> None:
        """Ends the session."""
        session = self.session(eio_sid)
        if session is not None:
            session.close()

    def create_event(self) -> asyncio.Event:
        """For ``call``."""
        return asyncio.Event()

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """A task that runs on its own."""
        return asyncio.ensure_future(target(*args, **kwargs))

    async def sleep(self, seconds: float = 0) -> None:
        """asyncio's."""
        await asyncio.sleep(seconds)

    # --- told by the sessions

    def opened(self, session: Session) -> None:
        """Engine.IO 3: the client joins ``/`` unasked."""
        client = session.context = Client(session, self._server.path)
        if session.protocol == 3:
            self._join(client, "/", None)
        else:
            self._server.wheel.start(self._connecting, session)

    def text(self, session: Session, text: str) -> None:
        """A packet, whole but for its attachments."""
        client: Client = session.context
        try:
            if client.packet is not None:
                raise MalformedPacket("text where an attachment is due")
            packet = read_packet(text)
            if packet.attachments:
                if not self.socketio.is_joined(session.sid, packet.namespace):
                    raise MalformedPacket("not connected to that namespace")
                client.packet = packet
                self._server.wheel.start(self._connecting, session)
            else:
                self._packet(client, packet)
        except MalformedPacket:
            session.end(PARSE_ERROR)

    def binary(self, session: Session, data: bytes) -> None:
        """An attachment of the packet that waits for it."""
        client: Client = session.context
        packet = client.packet
        size = len(data) + sum(map(len, client.attachments))
        if packet is None or size > self._server.max_payload:
            session.end(PARSE_ERROR)
            return
        client.attachments.append(data)
        if len(client.attachments) == packet.attachments:
            try:
                self._packet(client, packet)
            except MalformedPacket:
                session.end(PARSE_ERROR)
            client.packet = None
            client.attachments = []
            self._connecting.stop(session)

    def closed(self, session: Session, reason: str) -> None:
        """Its handlers of disconnect run."""
        self._connecting.stop(session)
        self._leave(session.context, None, reason)

    # --- packets

    def _packet(self, client: Client, packet: SocketPacket) -> None:
        kind = packet.type
        if kind in (EVENT, BINARY_EVENT):
            data = self._arguments(packet, client.attachments)
            name = data[0] if data else None
            if not isinstance(name, str | int) or name in RESERVED_EVENTS:
                raise MalformedPacket("not a name that an event may have")
            if not self.socketio.is_joined(client.session.sid, packet.namespace):
                raise MalformedPacket("not connected to that namespace")
            self.socketio.client_event(client, packet.namespace, packet.id, data)
        elif kind in (ACK, BINARY_ACK):
            data = self._arguments(packet, client.attachments)
            if packet.id is None:
                raise MalformedPacket("an acknowledgement of nothing")
            self.socketio.client_ack(client, packet.namespace, packet.id, data)
        elif kind == CONNECT:
            self._connect(client, packet)
        elif kind == DISCONNECT:
            self._leave(client, packet.namespace, "client disconnect")
        else:
            raise MalformedPacket("only a server refuses a connection")

    def _connect(self, client: Client, packet: SocketPacket) -> None:
        session = client.session
        if session.protocol == 3 and packet.namespace == "/":
            return
        auth = self._json(packet.data) if packet.data else None
        if auth is not None and not isinstance(auth, dict):
            raise MalformedPacket("auth is an object")
        if not self.socketio.knows_namespace(packet.namespace):
            client.refusals += 1
            if client.refusals > _MAX_REFUSALS:
                raise MalformedPacket("too many namespaces")
        else:
            self._connecting.stop(session)
        self._join(client, packet.namespace, auth)

    def _join(self, client: Client, namespace: str, auth: Any) -> None:
        self._after(client, self.socketio.client_connects(client, namespace, auth))

    def _leave(self, client: Client, namespace: str | None, reason: str) -> None:
        self._after(client, self.socketio.client_leaves(client, namespace, reason))

    def _after(self, client: Client, step: Coroutine[Any, Any, None]) -> None:
        before = client.lifecycle
        if before is not None and not before.done():
            step = _one_after_the_other(before, step)
        client.lifecycle = self.tasks.start(step)

    def _arguments(self, packet: SocketPacket, attachments: list[bytes]) -> list[Any]:
        data = self._json(packet.data)
        if not isinstance(data, list):
            raise MalformedPacket("arguments are an array")
        if packet.attachments:
            data = [_with_attachments(item, attachments) for item in data]
        return data

    def _json(self, text: str) -> Any:
        check_depth(text)
        try:
            return self.decode(text)
        except (ValueError, RecursionError) as error:
            raise MalformedPacket(str(error)) from None

    def _too_late(self, session: Session) -> None:
        session.end(FORCED_CLOSE)


_WITHOUT_EFFECT: Final = {
    "async_mode",
    "async_handlers",
    "compression_threshold",
    "http_compression",
    "json",
    "logger",
    "monitor_clients",
}


def _origins(given: str | Sequence[str] | None) -> list[str]:
    if given is None:
        return []
    if isinstance(given, str):
        return [given]
    if not given:
        return ["*"]  # in python-socketio, [] turns the check off
    return list(given)


_decode = msgspec.json.Decoder().decode


def _with_attachments(item: Any, attachments: list[bytes]) -> Any:
    if isinstance(item, list):
        return [_with_attachments(inner, attachments) for inner in item]
    if isinstance(item, dict):
        if item.get("_placeholder") is True:
            number = item.get("num")
            if not isinstance(number, int) or not 0 <= number < len(attachments):
                raise MalformedPacket("a placeholder of no attachment")
            return attachments[number]
        return {key: _with_attachments(inner, attachments) for key, inner in item.items()}
    return item


async def _one_after_the_other(before: asyncio.Task[None], step: Coroutine[Any, Any, None]) -> None:
    await asyncio.wait([before])
    await step
