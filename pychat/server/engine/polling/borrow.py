"""Borrow a connection from aiohttp between two requests, and give it back.

All use of private parts of aiohttp for this is here. ``versions`` names the versions that it was
tested with. aiohttp keeps its own part of the connection: it counts the connection, closes it at
shutdown, and answers the next request as usual once it has the connection back.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Final

from aiohttp import web
from aiohttp.http import HttpProcessingError

# Random, so that no client can have sent it.
_PATH: Final = f"/{secrets.token_hex(16)}"
_PROBE: Final = f"GET {_PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def received_whole(request: web.BaseRequest) -> bytes | None:
    """Return the unread rest of a body whose client has gone, None if it is incomplete."""
    content: Any = request.content
    if not content.is_eof():
        return None
    # aiohttp has the rest, but raises an error because the client has gone.
    content._exception = None
    rest: bytes = content.read_nowait()
    return rest


class Loan:
    """A borrowed connection, whose transport has another protocol than aiohttp's for a while."""

    __slots__ = ("_handler", "_transport")

    def __init__(self, handler: Any, transport: asyncio.Transport) -> None:
        self._handler = handler
        self._transport = transport

    def give_back(self, data: bytes) -> None:
        """Return the connection to aiohttp, with data that it must read."""
        handler, loop = self._handler, asyncio.get_running_loop()
        self._transport.set_protocol(handler)
        # As aiohttp does after its own answer. The data may be only a part of a request.
        handler._next_keepalive_close_time = loop.time() + handler.keepalive_timeout
        handler._keepalive_handle = loop.call_at(
            handler._next_keepalive_close_time, handler._process_keepalive
        )
        handler.data_received(data)

    def lost(self, exc: Exception | None) -> None:
        """Tell aiohttp that the connection has ended."""
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()


def borrow(request: web.BaseRequest, protocol: asyncio.Protocol) -> Loan | None:
    """Give the connection to ``protocol``, which answers this request. Its body has been read.

    Returns None if more than the request has arrived, or if the connection is closing.
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
    # After the last request of a connection, nothing more is read from it.
    if request.keep_alive and not _between_requests(handler._parser):
        # The rest of a partly received request would look like a new request.
        handler.close()
        return None
    if handler._keepalive_handle is not None:
        handler._keepalive_handle.cancel()
    # aiohttp starts a timer after this request, unless it has one.
    handler._keepalive_handle = asyncio.get_running_loop().call_soon(_nothing)
    handler._keepalive_handle.cancel()
    transport.set_protocol(protocol)
    return Loan(handler, transport)


def _between_requests(parser: Any) -> bool:
    # The parser does not tell. If it reads a request just as written, nothing preceded it.
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
