"""Borrows a connection from aiohttp between two requests, and gives it back.

All use of what is not public in aiohttp for this is here; pyproject.toml pins it to the minor
version that the tests run with. aiohttp keeps its part of the connection, at rest: it counts it,
closes it at its shutdown, and answers the next request as any other when it has it back.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Final

from aiohttp import web
from aiohttp.http import HttpProcessingError

# Nobody can have sent it before.
_PATH: Final = f"/{secrets.token_hex(16)}"
_PROBE: Final = f"GET {_PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def received_whole(request: web.BaseRequest) -> bytes | None:
    """What was not read yet of the body of somebody who has gone; None if its end did not come."""
    content: Any = request.content
    if not content.is_eof():
        return None
    # aiohttp keeps it, but raises that the client has gone.
    content._exception = None
    rest: bytes = content.read_nowait()
    return rest


class Loan:
    """A connection whose transport talks to somebody else's protocol for a while."""

    __slots__ = ("_handler", "_transport")

    def __init__(self, handler: Any, transport: asyncio.Transport) -> None:
        self._handler = handler
        self._transport = transport

    def give_back(self, data: bytes) -> None:
        """With what has been received and is aiohttp's to read."""
        handler, loop = self._handler, asyncio.get_running_loop()
        self._transport.set_protocol(handler)
        # As after an answer of its own: what was received need not be a whole request.
        handler._next_keepalive_close_time = loop.time() + handler.keepalive_timeout
        handler._keepalive_handle = loop.call_at(
            handler._next_keepalive_close_time, handler._process_keepalive
        )
        handler.data_received(data)

    def lost(self, exc: Exception | None) -> None:
        """The connection has gone."""
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()


def borrow(request: web.BaseRequest, protocol: asyncio.Protocol) -> Loan | None:
    """The connection, for ``protocol`` to answer this request, which has been read to its end.

    None if it cannot be had, because more than the request has arrived or because it is closing.
    """
    transport = request.transport
    handler: Any = request.protocol
    if (
        transport is None
        or transport.is_closing()
        or request.can_read_body
        or handler._messages
        or handler._upgraded
        or handler._close
        or handler._force_close
        or handler._reading_paused
        or handler._buffer_paused
    ):
        return None
    # After its last request the parser takes nothing more, and nor will anybody else.
    if request.keep_alive and not _between_requests(handler._parser):
        # The rest of what the client has begun to send cannot be told from a new request.
        handler.close()
        return None
    if handler._keepalive_handle is not None:
        handler._keepalive_handle.cancel()
    # It starts a timer after this request, unless there is one.
    handler._keepalive_handle = asyncio.get_running_loop().call_soon(_nothing)
    handler._keepalive_handle.cancel()
    transport.set_protocol(protocol)
    return Loan(handler, transport)


def _between_requests(parser: Any) -> bool:
    # It does not tell: a request that is read as it was written shows that nothing was before it.
    try:
        messages, upgraded, rest = parser.feed_data(_PROBE)
    except HttpProcessingError:
        return False
    if len(messages) != 1 or upgraded or rest:
        return False
    parser.message_consumed()
    message = messages[0][0]
    return message.method == "GET" and message.path == _PATH and len(message.raw_headers) == 1


def _nothing() -> None:
    return None
