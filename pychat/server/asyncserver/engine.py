"""The Engine.IO server that python-socketio's server needs, on pychat's engine."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from aiohttp import web
from engineio import packet as upstream

from pychat.server.asyncserver.environ import Environ
from pychat.server.asyncserver.layer import AsyncLayer, Tasks
from pychat.server.engine.codec.packet import BinaryPacket, text_packet
from pychat.server.engine.server import EngineServer, handshake_of
from pychat.server.engine.session import EngineSession

logger = logging.getLogger("pychat.engine")


class AsyncEngine:
    """Takes the place of ``engineio.AsyncServer``."""

    async_mode = "aiohttp"

    def __init__(
        self,
        *,
        ping_interval: float | tuple[float, float] = 25,
        ping_timeout: float = 20,
        max_http_buffer_size: int = 1_000_000,
        allow_upgrades: bool = True,
        cors_allowed_origins: str | Sequence[str] | Callable[..., Any] | None = None,
        cors_credentials: bool = True,
        transports: str | Sequence[str] | None = None,
        connect_timeout: float = 45,
        upgrade_timeout: float = 10,
        trusted_proxies: Sequence[str] = (),
        async_mode: str | None = None,
        cookie: None = None,
        **ignored: Any,
    ) -> None:
        if async_mode not in (None, "aiohttp"):
            raise ValueError(f"async_mode={async_mode!r} is not supported: only aiohttp is")
        if cookie is not None:
            raise ValueError("cookie is not supported: the session id is not sent in a cookie")
        if not cors_credentials:
            raise ValueError("cors_credentials=False is not supported: old clients send them")
        transports = [transports] if isinstance(transports, str) else transports
        if transports is not None and not (transports and _TRANSPORTS.issuperset(transports)):
            raise ValueError(f"transports must be polling, websocket or both: not {transports!r}")
        unknown = set(ignored) - WITHOUT_EFFECT
        if unknown:
            raise ValueError(f"unknown option: {', '.join(sorted(unknown))}")
        ask_origin = None
        if callable(cors_allowed_origins):
            ask_origin = self._origin_check(cors_allowed_origins)
            cors_allowed_origins = None
        if isinstance(ping_interval, tuple):
            ping_interval = sum(ping_interval)
        self.tasks = Tasks()
        self.layer = AsyncLayer(self.tasks)
        self._server = EngineServer(
            self.layer,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            upgrade_timeout=upgrade_timeout,
            max_payload=max_http_buffer_size,
            allowed_origins=_origins(cors_allowed_origins),
            ask_origin=ask_origin,
            trusted_proxies=trusted_proxies,
            origin_option="cors_allowed_origins=['{}']",
            proxy_option="trusted_proxies=['{}']",
            transports=transports,
            allow_upgrades=allow_upgrades,
        )
        self.layer.watch_connecting(self._server, connect_timeout)
        self._next_id: str | None = None

    def _origin_check(self, allowed: Callable[..., Any]) -> Callable[[str, web.Request], bool]:
        """Return a function that asks ``allowed`` about a request.

        ``allowed`` gets the origin, and the environ of the request if it takes two arguments.
        """
        if inspect.iscoroutinefunction(allowed):
            raise ValueError("cors_allowed_origins must not be a coroutine function")
        try:
            inspect.signature(allowed).bind("", {})
            with_environ = True
        except TypeError:
            with_environ = False

        def ask(origin: str, request: web.Request) -> bool:
            handshake = handshake_of(request, self._server.client_address(request))
            environ = (Environ(handshake, self._server.path),) if with_environ else ()
            try:
                return bool(allowed(origin, *environ))
            except Exception:
                logger.exception("cors_allowed_origins failed, refusing the page")
                return False

        return ask

    # --- called by python-socketio

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        """Ignored: packets arrive decoded, so handlers of Engine.IO events are not needed."""

    def attach(self, app: web.Application, path: str) -> None:
        """Add the route. Clients are closed when the application shuts down."""
        self._server.attach(app, "/" + path.strip("/") + "/")
        app.on_shutdown.append(self._on_shutdown)

    async def _on_shutdown(self, app: web.Application) -> None:
        await self.shutdown()

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Answer a request, for applications that add the route themselves."""
        return await self._server.handle(request)

    async def shutdown(self) -> None:
        """Close all sessions. Returns after their disconnect handlers have run."""
        await self._server.shutdown()
        await self.tasks.done()

    def generate_id(self) -> str:
        """Return the sid of a client that joins a namespace."""
        given, self._next_id = self._next_id, None
        return given or self._server.new_sid()

    def set_next_id(self, sid: str | None) -> None:
        """Set the next result of ``generate_id``: the sid of an Engine.IO 3 client is derived."""
        self._next_id = sid

    def session(self, eio_sid: str | None) -> EngineSession | None:
        """Return the session, None if it has ended."""
        return self._server.sessions.get(eio_sid) if eio_sid else None

    def transport(self, eio_sid: str) -> str:
        """Return ``polling`` or ``websocket``. Raises KeyError if the client has gone."""
        session = self._server.sessions[eio_sid]
        return "websocket" if session.carrier is not None else "polling"

    async def get_session(self, eio_sid: str) -> dict[str, Any]:
        """Return the data that handlers store for a client.

        Disconnect handlers can still read it. Raises KeyError if the client has gone.
        """
        client = self.layer.leaving.get(eio_sid)
        if client is None:
            client = self._server.sessions[eio_sid].context
        return client.stored

    async def send(self, eio_sid: str, data: str | bytes) -> None:
        """Send a Socket.IO message."""
        session = self.session(eio_sid)
        if session is not None:
            session.send(
                BinaryPacket(data) if isinstance(data, bytes) else text_packet(b"4" + data.encode())
            )

    async def send_packet(self, eio_sid: str, packet: upstream.Packet) -> None:
        """Send a Socket.IO message given as python-engineio's packet."""
        await self.send(eio_sid, packet.data)

    async def disconnect(self, eio_sid: str) -> None:
        """Close the session."""
        session = self.session(eio_sid)
        if session is not None:
            session.close()

    def create_event(self) -> asyncio.Event:
        """Return an event, as ``call`` needs it."""
        return asyncio.Event()

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """Start a task."""
        return asyncio.ensure_future(target(*args, **kwargs))

    async def sleep(self, seconds: float = 0) -> None:
        """Sleep as ``asyncio.sleep`` does."""
        await asyncio.sleep(seconds)


_TRANSPORTS: Final = frozenset({"polling", "websocket"})
WITHOUT_EFFECT: Final = {
    "async_handlers",  # set by python-socketio's base class
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
        return ["*"]  # in python-socketio, [] disables the check
    return list(given)
