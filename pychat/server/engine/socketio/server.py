"""SocketServer: engine and dispatcher put together for a Handler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from aiohttp import web

from pychat.server.engine.registry import SessionAdmission
from pychat.server.engine.server import EngineServer
from pychat.server.engine.session import ReadAllowance
from pychat.server.engine.socketio.connection import Handler
from pychat.server.engine.socketio.dispatcher import Dispatcher


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
