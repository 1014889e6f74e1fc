"""The gate before aiohttp: limits the connections of each address and the time they take."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from pychat.server.guard.addresses import AGAIN_SECONDS, LimitLog, household

log = logging.getLogger(__name__)

FIRST_REQUEST_SECONDS: Final = 10.0
"""Time limit for the headers of a connection's first request."""
KEEPALIVE_SECONDS: Final = 75.0
"""Time limit for later requests. Longer than proxies keep idle connections."""
TLS_HANDSHAKE_SECONDS: Final = 10.0
"""Time limit for the TLS handshake, before the first request."""

_KEPT: Final = 32
"""Descriptors reserved for the store and other files that a running server opens."""

SAFE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Headers of every response."""
HEADERS: Final = {
    "Server": "pychat",
    **SAFE,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Headers of responses that are not pages. Not cached: the answer to a poll may hold a token."""

_TOO_MANY: Final = (
    b"HTTP/1.1 429 Too Many Requests\r\nServer: pychat\r\nContent-Type: text/plain\r\n"
    b"Retry-After: 10\r\nContent-Length: 41\r\nConnection: close\r\n\r\n"
    b"429: too many connections from your side\n"
)
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nServer: pychat\r\nContent-Type: text/plain\r\n"
    b"Retry-After: 10\r\nContent-Length: 26\r\nConnection: close\r\n\r\n"
    b"503: too many connections\n"
)


class Gate:
    """Protocol factory for all incoming connections.

    ``per_address``: open connections allowed from each address (each /64 of IPv6), None for any
    number. ``is_exempt`` returns True for addresses without a limit, such as proxies. If an address
    has reached the limit, a new connection replaces an idle one, because any web page can make a
    browser hold connections to its user's own machine. A WebSocket that the engine has taken over
    is no longer counted here: the engine counts it by its client.

    ``context``: for TLS, None without it. asyncio's TLS server reports a connection only after the
    handshake, so clients could have any number of handshakes under way. The gate therefore counts
    a connection first and starts TLS itself. ``hint``: how an operator raises the limit, with
    ``{}`` for a higher value.
    """

    def __init__(
        self,
        server: web.Server,
        *,
        per_address: int | None,
        is_exempt: Callable[[str], bool],
        context: ssl.SSLContext | None,
        hint: str = "",
    ) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._per_address = per_address
        self._is_exempt = is_exempt
        self._context = context
        self._connections: dict[str, dict[_Connection, None]] = {}
        self._limit_log = LimitLog("connections", hint)
        self._full_told = -AGAIN_SECONDS
        self._handshakes: set[asyncio.Task[None]] = set()

    def __call__(self) -> asyncio.Protocol:
        if self._context is not None:
            return _Arrival(self)
        return _Connection(self, self._server, self._loop)

    def close(self) -> None:
        """Cancel the TLS handshakes that are under way."""
        for handshake in self._handshakes:
            handshake.cancel()

    def is_full(self, transport: asyncio.BaseTransport) -> bool:
        """Whether few file descriptors are left. Logs a warning, at most once in AGAIN_SECONDS.

        Without this check the system's refusal would hit the store as well, and would be logged
        nowhere: uvloop closes what it cannot accept.
        """
        limit = limit_reached(transport.get_extra_info("socket").fileno())
        if limit and self._loop.time() - self._full_told > AGAIN_SECONDS:
            self._full_told = self._loop.time()
            log.warning(
                "nearly all of the %d files and connections that this process may have open are in "
                "use; new connections are refused until some have ended: raise the limit with "
                "ulimit -n, or LimitNOFILE= in a systemd unit",
                limit,
            )
        return limit > 0

    def enter(self, connection: _Connection, address: str) -> bool:
        """Count the connection. Return False if the address has too many."""
        if self._per_address is None or self._is_exempt(address):
            return True
        address = household(address)
        others = self._connections.setdefault(address, {})
        if len(others) >= self._per_address:
            idle = next((other for other in others if other.is_idle()), None)
            if idle is None:
                self._limit_log.refused(address, len(others))
                return False
            del others[idle]
            idle.force_close()
        others[connection] = None
        return True

    def leave(self, connection: _Connection, address: str) -> None:
        """Stop counting the connection, if it is counted."""
        address = household(address)
        others = self._connections.get(address)
        if others is not None:
            others.pop(connection, None)
            if not others:
                del self._connections[address]

    def start_tls(self, transport: asyncio.BaseTransport) -> None:
        """Start TLS on a copy of the transport's socket, if the connection may enter."""
        assert self._context is not None
        if self.is_full(transport):
            return
        connection = _Connection(self, self._server, self._loop)
        if connection.enter(transport):
            try:
                sock = transport.get_extra_info("socket").dup()
            except OSError as error:
                log.error("connection not accepted: %s", error)
                connection.leave()
                return
            task = self._loop.create_task(self._shake_hands(sock, self._context, connection))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(
        self, sock: socket.socket, context: ssl.SSLContext, connection: _Connection
    ) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=context,
                ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS,
            )
        except OSError as error:
            # Too slow, not TLS, or gone. The client cannot be answered.
            log.debug("TLS handshake failed: %s", error)
        finally:
            if connection.transport is None:
                connection.leave()


@web.middleware
async def note_request(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Middleware that tells the gate that the headers of a request are complete."""
    if isinstance(request.protocol, _Connection):
        request.protocol.requested()
    return await handler(request)


class _Arrival(asyncio.Protocol):
    """An accepted connection before TLS. Nothing is read from it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._gate.start_tls(transport)
        cast(asyncio.Transport, transport).abort()  # uvloop's class does not inherit from it


class _Connection(web.RequestHandler):
    __slots__ = ("_address", "_deadline", "_gate")

    def __init__(self, gate: Gate, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp accepts a false value
            keepalive_timeout=KEEPALIVE_SECONDS,
            # Clients have no reason to compress requests. A compressed one is likely a bomb.
            auto_decompress=False,
        )
        self._gate = gate
        self._address: str | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def enter(self, transport: asyncio.BaseTransport) -> bool:
        """Count the connection at the gate. Return False if it must be refused."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._gate.enter(self, address):
            return False
        self._address = address
        return True

    def leave(self) -> None:
        """Stop counting the connection."""
        if self._address is not None:
            self._gate.leave(self, self._address)
            self._address = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's class does not inherit from it
        # With TLS it has entered before the handshake.
        if self._address is None:
            refusal = b""
            if self._gate.is_full(transport):
                refusal = _FULL
            elif not self.enter(transport):
                refusal = _TOO_MANY
            if refusal:
                transport.set_protocol(asyncio.Protocol())
                transport.write(refusal)
                transport.close()
                return
        self._deadline = self._loop.call_later(FIRST_REQUEST_SECONDS, self._too_slow)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.requested()
        self.leave()
        super().connection_lost(exc)

    def is_idle(self) -> bool:
        """Whether aiohttp reads the connection and waits for a request."""
        # Private in aiohttp. If it is missing, the connection counts as busy.
        waiter = getattr(self, "_waiter", None)
        transport = self.transport
        if transport is None or waiter is None or waiter.done():
            return False
        return transport.get_protocol() is self

    def requested(self) -> None:
        """Cancel the deadline for the first request."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Log one line and answer in plain text. A client's mistake is not logged as an error."""
        if isinstance(exc, HttpProcessingError):
            log.info("not an HTTP request: address=%s", self._address)
        elif isinstance(exc, ConnectionError) and _has_gone(request):
            raise exc
        else:
            log.error("request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the response has already started")
        text = f"{status}: {HTTPStatus(status).phrase}\n"
        response = web.Response(status=status, text=text, headers=HEADERS)
        response.force_close()
        return response


def _has_gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()


def limit_reached(descriptor: int) -> int:
    """Return the descriptor limit if few are left, otherwise 0.

    ``descriptor``: that of a new connection. The system assigns the lowest number that is free.
    """
    if sys.platform == "win32":
        return 0
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 0
    return limit if descriptor >= limit - min(_KEPT, limit // 4) else 0
