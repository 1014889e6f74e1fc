"""The websockets of an engine: taken over from aiohttp, probing, closing, cut at the shutdown."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from pychat.server.engine.heartbeat import Wheel
from pychat.server.engine.refused import Refused, bad_request
from pychat.server.engine.session import EngineSession
from pychat.server.engine.websocket.flusher import Flusher
from pychat.server.engine.websocket.takeover import (
    NotAWebSocket,
    TakenSocket,
    accept_key,
    take_over,
)
from pychat.server.engine.websocket.transport import WebSocket

_SHUTDOWN_TIMEOUT: Final = 2.0
_CLOSE_TIMEOUT: Final = 2.0


class Sockets:
    """All of them; ``upgrade_timeout`` in seconds, ``max_payload`` in bytes."""

    def __init__(
        self, wheel: Wheel, flusher: Flusher, *, max_payload: int, upgrade_timeout: float
    ) -> None:
        self._wheel = wheel
        self._flusher = flusher
        self._max_payload = max_payload
        self._open: set[WebSocket] = set()
        self._probes: dict[EngineSession, WebSocket] = {}
        self._all_gone: asyncio.Event | None = None
        self._upgrades = wheel.add(upgrade_timeout, self.end_probe)
        self._closes = wheel.add(_CLOSE_TIMEOUT, _abort)

    def take(
        self, session: EngineSession, request: web.Request, accept: str, *, probing: bool
    ) -> tuple[WebSocket, TakenSocket]:
        """The websocket that the request opens. Raises ConnectionResetError."""
        socket = WebSocket(session, self._flusher, self._max_payload, self, probing=probing)
        self._open.add(socket)
        try:
            taken = take_over(request, accept, socket, self._max_payload)
        except BaseException:
            self._open.discard(socket)
            raise
        socket.start()
        return socket, taken

    def probe(self, session: EngineSession, request: web.Request) -> TakenSocket:
        """A websocket beside a session that polls. Raises Refused, ConnectionResetError."""
        if not session.open or session.polling is None or session in self._probes:
            raise bad_request()
        socket, taken = self.take(session, request, accepted_key(request), probing=True)
        self._probes[session] = socket
        self._wheel.start(self._upgrades, session)
        taken.feed_early()
        return taken

    def end_probe(self, session: EngineSession) -> None:
        """Closes the websocket that probes for that session, if one does."""
        socket = self._probes.get(session)
        if socket is not None:
            socket.close()

    async def close(self) -> None:
        """Returns when they have gone; what has not after 2 s is cut."""
        self._all_gone = asyncio.Event()
        if self._open:
            try:
                async with asyncio.timeout(_SHUTDOWN_TIMEOUT):
                    await self._all_gone.wait()
            except TimeoutError:
                for socket in list(self._open):
                    socket.abort()

    # --- told by the websockets

    def closing(self, socket: WebSocket) -> None:
        """It has sent its close."""
        self._stop_probing(socket)
        self._wheel.start(self._closes, socket)

    def gone(self, socket: WebSocket) -> None:
        """Its connection has ended."""
        self._stop_probing(socket)
        self._closes.stop(socket)
        self._open.discard(socket)
        if not self._open and self._all_gone is not None:
            self._all_gone.set()

    def upgraded(self, socket: WebSocket) -> None:
        """It is its session's transport now."""
        self._stop_probing(socket)

    def _stop_probing(self, socket: WebSocket) -> None:
        if self._probes.get(socket.session) is socket:
            del self._probes[socket.session]
            self._upgrades.stop(socket.session)
            polling = socket.session.polling
            if polling is not None:
                polling.upgrading = False


def accepted_key(request: web.Request) -> str:
    """``accept_key``, raising Refused."""
    try:
        return accept_key(request)
    except NotAWebSocket as error:
        raise Refused(3, f"Bad request: {error}") from None


def _abort(socket: WebSocket) -> None:
    socket.abort()
