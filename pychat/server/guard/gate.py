"""The gate before aiohttp: how many connections an address may have, and how fast they ask."""

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

from pychat.server.guard.addresses import AGAIN_SECONDS, Crowds, household

log = logging.getLogger(__name__)

FIRST_REQUEST_SECONDS: Final = 10.0
"""How long the headers of a connection's first request may take."""
KEEPALIVE_SECONDS: Final = 75.0
"""The same for later requests; longer than what proxies keep."""
TLS_HANDSHAKE_SECONDS: Final = 10.0
"""How long agreeing on TLS may take, before that."""

_KEPT: Final = 32
"""Descriptors for the store, files and whatever else a server opens while it runs."""

SAFE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Of every answer."""
HEADERS: Final = {
    "Server": "pychat",
    **SAFE,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Of the answers that no page is in. They are in no cache: a poll's answer may hold a token."""

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
    """Makes the protocol of every connection that comes in.

    ``per_address`` connections at a time from each address (of IPv6, from each /64), None for any
    number; those that ``is_exempt`` (a proxy) come for many. One more takes the place of one that
    is idle, as any web page can make a browser hold connections to its user's own machine. A
    websocket is not counted here any more: the engine has taken it over, and counts it by its
    client.

    ``context`` is TLS's, None for none. A server that has it tells of nobody before the handshake
    is over, so that any number of clients could have one under way: here each is counted before.
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
        self._crowds = Crowds("connections", hint)
        self._full_told = -AGAIN_SECONDS
        self._handshakes: set[asyncio.Task[None]] = set()

    def __call__(self) -> asyncio.Protocol:
        if self._context is not None:
            return _Arrival(self)
        return _Connection(self, self._server, self._loop)

    def close(self) -> None:
        """Cuts those who have not agreed on TLS yet."""
        for handshake in self._handshakes:
            handshake.cancel()

    def is_full(self, transport: asyncio.BaseTransport) -> bool:
        """Whether the process can hardly open anything more. The log says so, once in a while.

        Without this the system's refusal would hit the store as well, and be told to nobody:
        uvloop closes what it cannot accept.
        """
        limit = limit_reached(transport.get_extra_info("socket").fileno())
        if limit and self._loop.time() - self._full_told > AGAIN_SECONDS:
            self._full_told = self._loop.time()
            log.warning(
                "nearly all of the %d files and connections that this process may have open are in "
                "use: new connections are refused until some have ended. More are allowed by "
                "ulimit -n, or LimitNOFILE= in a systemd unit",
                limit,
            )
        return limit > 0

    def enter(self, connection: _Connection, address: str) -> bool:
        """Whether one more may come from there; if so, it leaves later."""
        if self._per_address is None or self._is_exempt(address):
            return True
        address = household(address)
        others = self._connections.setdefault(address, {})
        if len(others) >= self._per_address:
            idle = next((other for other in others if other.is_idle()), None)
            if idle is None:
                self._crowds.refused(address, len(others))
                return False
            del others[idle]
            idle.force_close()
        others[connection] = None
        return True

    def leave(self, connection: _Connection, address: str) -> None:
        """Does nothing if it has left before."""
        address = household(address)
        others = self._connections.get(address)
        if others is not None:
            others.pop(connection, None)
            if not others:
                del self._connections[address]

    def shake_hands(self, transport: asyncio.BaseTransport) -> None:
        """Goes on with a connection over TLS, with the socket of the transport."""
        assert self._context is not None
        if self.is_full(transport):
            return
        connection = _Connection(self, self._server, self._loop)
        if connection.enter(transport):
            try:
                sock = transport.get_extra_info("socket").dup()
            except OSError as error:
                log.error("a connection could not be accepted: %s", error)
                connection.leave()
                return
            task = self._loop.create_task(self._agree(sock, self._context, connection))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _agree(
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
            # Too late, no TLS, or gone: there is nobody to be told.
            log.debug("no TLS was agreed on: %s", error)
        finally:
            if connection.transport is None:
                connection.leave()


@web.middleware
async def note_request(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Tells the gate that a connection's headers are complete."""
    if isinstance(request.protocol, _Connection):
        request.protocol.requested()
    return await handler(request)


class _Arrival(asyncio.Protocol):
    """A connection that is accepted; nothing is read of it here."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._gate.shake_hands(transport)
        cast(asyncio.Transport, transport).abort()  # uvloop's is one by its methods only


class _Connection(web.RequestHandler):
    __slots__ = ("_address", "_deadline", "_gate")

    def __init__(self, gate: Gate, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp tests it for truth
            keepalive_timeout=KEEPALIVE_SECONDS,
            # Nobody compresses what they send here but to burst it.
            auto_decompress=False,
        )
        self._gate = gate
        self._address: str | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def enter(self, transport: asyncio.BaseTransport) -> bool:
        """Whether its client may come in; then ``leave`` is called at its end."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._gate.enter(self, address):
            return False
        self._address = address
        return True

    def leave(self) -> None:
        """It counts no more."""
        if self._address is not None:
            self._gate.leave(self, self._address)
            self._address = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        # Over TLS it has entered already.
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
        """Whether the connection waits for a request, and aiohttp has it."""
        # Private in aiohttp. Without it a connection counts as busy and is never closed early.
        waiter = getattr(self, "_waiter", None)
        transport = self.transport
        if transport is None or waiter is None or waiter.done():
            return False
        return transport.get_protocol() is self

    def requested(self) -> None:
        """A request is there."""
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
        """One plain line; what a client has sent wrong is no error of the server's."""
        if isinstance(exc, HttpProcessingError):
            log.info("%s sent what is no HTTP request", self._address)
        elif isinstance(exc, ConnectionError) and _has_gone(request):
            raise exc
        else:
            log.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        text = f"{status}: {HTTPStatus(status).phrase}\n"
        response = web.Response(status=status, text=text, headers=HEADERS)
        response.force_close()
        return response


def _has_gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()


def limit_reached(descriptor: int) -> int:
    """The limit, if the descriptor of a new connection shows that few are left; else 0.

    The system gives the lowest one that is free.
    """
    if sys.platform == "win32":
        return 0
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 0
    return limit if descriptor >= limit - min(_KEPT, limit // 4) else 0
