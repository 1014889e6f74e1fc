"""The gate before aiohttp: how many connections an address may have, and how fast they ask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from pychat.server.engine.borrow import has_gone
from pychat.server.household import household

log = logging.getLogger(__name__)

FIRST_REQUEST_SECONDS: Final = 10.0
"""How long the headers of a connection's first request may take."""
KEEPALIVE_SECONDS: Final = 75.0
"""The same for later requests; longer than what proxies keep."""
TLS_HANDSHAKE_SECONDS: Final = 10.0

HEADERS: Final = {
    "Server": "pychat",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Of the answers that no page is in. They are in no cache: a poll's answer may hold a token."""

_TOO_MANY: Final = (
    b"HTTP/1.1 429 Too Many Requests\r\nServer: pychat\r\nContent-Type: text/plain\r\n"
    b"Retry-After: 10\r\nContent-Length: 41\r\nConnection: close\r\n\r\n"
    b"429: too many connections from your side\n"
)


class Gate:
    """Makes the protocol of every connection that comes in.

    ``per_address`` connections at a time from each address (of IPv6, from each /64), None for any
    number; those that ``is_exempt`` (a proxy) come for many. A websocket is not counted here any
    more: the engine has taken it over, and counts it by its client.
    """

    def __init__(
        self, server: web.Server, *, per_address: int | None, is_exempt: Callable[[str], bool]
    ) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._per_address = per_address
        self._is_exempt = is_exempt
        self._connections: dict[str, int] = {}

    def __call__(self) -> asyncio.Protocol:
        return _Connection(self, self._server, self._loop)

    def enter(self, address: str) -> bool:
        """Whether one more may come from there; if so, it leaves later."""
        if self._per_address is None or self._is_exempt(address):
            return True
        address = household(address)
        count = self._connections.get(address, 0)
        if count >= self._per_address:
            return False
        self._connections[address] = count + 1
        return True

    def leave(self, address: str) -> None:
        address = household(address)
        left = self._connections.get(address, 0) - 1
        if left > 0:
            self._connections[address] = left
        else:
            self._connections.pop(address, None)


@web.middleware
async def note_request(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Tells the gate that a connection's headers are complete."""
    if isinstance(request.protocol, _Connection):
        request.protocol.requested()
    return await handler(request)


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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._gate.enter(address):
            transport.set_protocol(asyncio.Protocol())
            transport.write(_TOO_MANY)
            transport.close()
            return
        self._address = address
        self._deadline = self._loop.call_later(FIRST_REQUEST_SECONDS, self._too_slow)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.requested()
        if self._address is not None:
            self._gate.leave(self._address)
            self._address = None
        super().connection_lost(exc)

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
        elif isinstance(exc, ConnectionError) and has_gone(request):
            raise exc
        else:
            log.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        text = f"{status}: {HTTPStatus(status).phrase}\n"
        response = web.Response(status=status, text=text, headers=HEADERS)
        response.force_close()
        return response
