"""All WebSockets of an engine: open, probe, close, abort at shutdown."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiohttp import hdrs, web

from pychat.server.engine.answer import Refused, bad_request
from pychat.server.engine.heartbeat import Wheel
from pychat.server.engine.session import EngineSession
from pychat.server.engine.websocket.transport import Flusher, WebSocket

_SHUTDOWN_TIMEOUT: Final = 2.0
_CLOSE_TIMEOUT: Final = 2.0

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class OpenedSocket(Protocol):
    """A WebSocket whose handshake has been answered."""

    async def run(self) -> web.StreamResponse:
        """Read it, perhaps until it ends, and return the response to the handshake."""


OpenSocket = Callable[[web.Request, str, WebSocket, int], Awaitable[OpenedSocket]]
"""Opens the socket for a request, with the value of Sec-WebSocket-Accept and a maximum payload."""


class Sockets:
    """The WebSockets of one engine.

    ``open_socket`` and ``socket_type`` are those of ``takeover`` or of ``public``. ``max_payload``
    is in bytes, ``upgrade_timeout`` in seconds.
    """

    def __init__(
        self,
        wheel: Wheel,
        flusher: Flusher,
        open_socket: OpenSocket,
        socket_type: type[WebSocket],
        *,
        max_payload: int,
        upgrade_timeout: float,
    ) -> None:
        self._wheel = wheel
        self._flusher = flusher
        self._open_socket = open_socket
        self._socket_type = socket_type
        self._max_payload = max_payload
        self._open: set[WebSocket] = set()
        self._probes: dict[EngineSession, WebSocket] = {}
        self._all_gone: asyncio.Event | None = None
        self._upgrades = wheel.add(upgrade_timeout, self.end_probe, EngineSession.abandon)
        self._closes = wheel.add(_CLOSE_TIMEOUT, _abort, _abort)

    def new(self, session: EngineSession, *, probing: bool) -> WebSocket:
        """Return a socket for the session, to be passed to ``open``."""
        return self._socket_type(session, self._flusher, self._max_payload, self, probing=probing)

    async def open(self, socket: WebSocket, request: web.Request, accept: str) -> OpenedSocket:
        """Answer the handshake. Raises ConnectionResetError if the client has gone."""
        self._open.add(socket)
        try:
            opened = await self._open_socket(request, accept, socket, self._max_payload)
        except BaseException:
            self.gone(socket)
            raise
        socket.start()
        return opened

    async def probe(self, session: EngineSession, request: web.Request) -> web.StreamResponse:
        """Open a WebSocket beside a session that polls.

        Raises Refused if the session cannot be upgraded now, ConnectionResetError if the client
        has gone.
        """
        if not session.open or session.polling is None or session in self._probes:
            raise bad_request()
        accept = accept_key(request)
        socket = self._probes[session] = self.new(session, probing=True)
        opened = await self.open(socket, request, accept)
        if self._probes.get(session) is socket:
            self._wheel.start(self._upgrades, session)
        return await opened.run()

    def end_probe(self, session: EngineSession) -> None:
        """Close the WebSocket that probes for the session, if there is one."""
        socket = self._probes.get(session)
        if socket is not None:
            socket.close()

    async def close(self) -> None:
        """Wait until all sockets have gone, and abort those that have not after 2 s."""
        self._all_gone = asyncio.Event()
        if self._open:
            try:
                async with asyncio.timeout(_SHUTDOWN_TIMEOUT):
                    await self._all_gone.wait()
            except TimeoutError:
                for socket in list(self._open):
                    socket.abort()

    # --- called by the sockets

    def closing(self, socket: WebSocket) -> None:
        """Abort the socket if it does not go in time."""
        self._stop_probing(socket)
        self._wheel.start(self._closes, socket)

    def gone(self, socket: WebSocket) -> None:
        """Forget the socket: its connection has ended."""
        self._stop_probing(socket)
        self._closes.stop(socket)
        self._open.discard(socket)
        if not self._open and self._all_gone is not None:
            self._all_gone.set()

    def upgraded(self, socket: WebSocket) -> None:
        """The socket no longer probes: it is its session's transport."""
        self._stop_probing(socket)

    def _stop_probing(self, socket: WebSocket) -> None:
        if self._probes.get(socket.session) is socket:
            del self._probes[socket.session]
            self._upgrades.stop(socket.session)
            polling = socket.session.polling
            if polling is not None:
                polling.upgrading = False


def accept_key(request: web.BaseRequest) -> str:
    """Check a handshake and return its ``Sec-WebSocket-Accept`` (RFC 6455, section 4.2).

    Raises Refused if the request is not a WebSocket handshake, or a wrong one.
    """
    headers = request.headers
    if request.method != "GET" or request.version < (1, 1):
        raise _not_a_websocket("a websocket starts with GET and HTTP/1.1")
    if headers.get(hdrs.UPGRADE, "").strip().lower() != "websocket":
        raise _not_a_websocket("Upgrade must be websocket")
    tokens = {token.strip().lower() for token in headers.get(hdrs.CONNECTION, "").split(",")}
    if "upgrade" not in tokens:
        raise _not_a_websocket("Connection must be upgrade")
    if headers.get(hdrs.SEC_WEBSOCKET_VERSION) != "13":
        raise _not_a_websocket("Sec-WebSocket-Version must be 13")
    key = headers.get(hdrs.SEC_WEBSOCKET_KEY, "")
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            raise _not_a_websocket("Sec-WebSocket-Key must be 16 bytes")
    except (binascii.Error, ValueError):
        raise _not_a_websocket("Sec-WebSocket-Key must be base64") from None
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def _not_a_websocket(reason: str) -> Refused:
    return Refused(3, f"Bad request: {reason}")


def _abort(socket: WebSocket) -> None:
    socket.abort()
