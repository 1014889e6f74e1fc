"""Polling requests answered on their connections, which are borrowed from aiohttp.

The engine then reads and answers the polls that follow on the connection. A connection cannot be
borrowed if the client has already sent more than the request. Such a poll does not wait: it is
answered at once, with a noop if nothing is queued.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from aiohttp import web

from pychat.server.engine.answer import cors, header_lines
from pychat.server.engine.origins import page_origin
from pychat.server.engine.polling.borrow import borrow, received_whole
from pychat.server.engine.polling.connection import PollConnection
from pychat.server.engine.polling.head import Reader
from pychat.server.engine.polling.request import Allows, PollRequests
from pychat.server.engine.polling.shared import Shared


class DirectPollRequests(PollRequests):
    """Borrows the connection of each polling request that aiohttp has received."""

    may_wait = False

    def __init__(
        self, shared: Shared, allows: Allows, reached_at: Callable[[web.Request], str]
    ) -> None:
        super().__init__(shared, allows, reached_at)
        # One for each way in which clients reach the server. There are few.
        self._reader = lru_cache(maxsize=16)(self._new_reader)

    def _borrow(self, request: web.Request) -> PollConnection | None:
        origin = page_origin(request.headers)
        scheme = "https" if request.scheme == "https" else "http"
        reader = self._reader(scheme, self._reached_at(request))
        lines = b"" if origin is None else header_lines(cors(origin))
        if request.transport is None:
            return None
        connection = PollConnection(self._shared, request, request.transport, reader, lines)
        loan = borrow(request, connection)
        if loan is None:
            return None
        connection.borrowed(loan)
        return connection

    def _received_whole(self, request: web.Request) -> bytes | None:
        return received_whole(request)

    def _new_reader(self, scheme: str, reached_at: str) -> Reader:
        def cors_lines(origin: str | None, host: str) -> bytes | None:
            if not self._allows(origin, scheme, host, reached_at):
                return None
            return b"" if origin is None else header_lines(cors(origin))

        return Reader(cors_lines)
