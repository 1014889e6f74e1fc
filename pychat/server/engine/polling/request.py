"""Polling requests that aiohttp has received: a connection's first, and those that are not plain.

A poll is answered on its connection, which is borrowed for it and the requests that follow. Where
it cannot be borrowed, because the client has sent more than that, nothing waits: the poll is
answered at once, if need be with a noop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache

from aiohttp import hdrs, web

from pychat.server.engine.origins import page_origin
from pychat.server.engine.polling.answer import HTTPAnswer, cors, header_lines
from pychat.server.engine.polling.borrow import Taken, borrow, has_gone, received_whole
from pychat.server.engine.polling.connection import PollConnection
from pychat.server.engine.polling.head import Reader, is_binary, read_query
from pychat.server.engine.polling.queue import NOOP_PACKET, Polling
from pychat.server.engine.polling.shared import Shared
from pychat.server.engine.polling.transport import BODY_TIMEOUT, comes, packets_in, receive, take
from pychat.server.engine.refused import Refused, bad_request, body_too_slow
from pychat.server.engine.session import TRANSPORT_CLOSE, TRANSPORT_ERROR, EngineSession

Allows = Callable[[str | None, str, str, str], bool]
"""Whether a page of that origin may talk to that scheme, host and address."""


class PollRequests:
    """Answers them. ``reached_at`` is the address that a request's client has connected to."""

    def __init__(
        self,
        shared: Shared,
        allows: Allows,
        reached_at: Callable[[web.Request], str],
    ) -> None:
        self._shared = shared
        self._allows = allows
        self._reached_at = reached_at
        # One for each way in which the server is reached: they are few.
        self._reader = lru_cache(maxsize=16)(self._new_reader)

    def first(self, session: EngineSession, polling: Polling, request: web.Request) -> web.Response:
        """The answer to the handshake: what the session has sent already."""
        query = read_query(_query(request))
        polling.comes(query.get("t"))
        return take(session, polling, query.get("j")).response()

    def get(
        self, session: EngineSession, polling: Polling, request: web.Request
    ) -> web.StreamResponse:
        """A poll. Raises Refused for a second one on a session, or after its end.

        Who has gone meanwhile takes nothing along: the session ends (ConnectionResetError), as if
        the poll had been waiting.
        """
        if polling.polled:
            session.end(TRANSPORT_ERROR)
            raise bad_request()
        if polling.ended:
            raise bad_request()
        if has_gone(request):
            session.end(TRANSPORT_CLOSE)
            raise ConnectionResetError("the client has gone")
        query = read_query(_query(request))
        connection = self._borrow(request)
        if connection is not None:
            connection.poll(session, polling, query)
            return Taken()
        again = comes(session, polling, query)
        if again is not None:
            return again.response()
        if not polling.ready:
            polling.send(NOOP_PACKET)
        response = take(session, polling, query.get("j")).response()
        if polling.ended:
            self._shared.forget(session)
        return response

    async def post(
        self, session: EngineSession, polling: Polling, request: web.Request
    ) -> web.StreamResponse:
        """Packets. Raises Refused; what breaks off ends the session, as in Node."""
        if polling.posted:
            session.end(TRANSPORT_ERROR)
            raise bad_request()
        if not session.open:
            raise bad_request()
        polling.posted = True
        try:
            body = await self._read(session, request)
            answer = await _received(session, polling, request, body)
        finally:
            polling.posted = False
        connection = self._borrow(request)
        if connection is None:
            return answer.response()
        connection.answer(answer)
        return Taken()

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

    def _new_reader(self, scheme: str, reached_at: str) -> Reader:
        def cors_lines(origin: str | None, host: str) -> bytes | None:
            if not self._allows(origin, scheme, host, reached_at):
                return None
            return b"" if origin is None else header_lines(cors(origin))

        return Reader(cors_lines)

    async def _read(self, session: EngineSession, request: web.Request) -> bytes:
        limit = session.first_payload or self._shared.max_payload
        if request.content_length is not None and request.content_length > limit:
            raise Refused(3, "Payload too large", 413)
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > limit:
                        raise Refused(3, "Payload too large", 413)
        except TimeoutError:
            session.end(TRANSPORT_ERROR)
            raise body_too_slow() from None
        except (web.RequestPayloadError, OSError) as error:
            # aiohttp keeps the error with the request: what was received would stay with this
            # frame until a full collection of garbage.
            error.__traceback__ = None
            rest = received_whole(request)
            if rest is None or len(body) + len(rest) > limit:
                body.clear()
                session.end(TRANSPORT_ERROR)
                raise bad_request() from None
            body += rest
        return bytes(body)


async def _received(
    session: EngineSession, polling: Polling, request: web.Request, body: bytes
) -> HTTPAnswer:
    answered: asyncio.Future[HTTPAnswer] = asyncio.get_running_loop().create_future()

    def done(answer: HTTPAnswer) -> None:
        if not answered.done():
            answered.set_result(answer)

    packets = packets_in(
        body,
        polling,
        script="j" in read_query(_query(request)),
        binary=is_binary(request.headers.get(hdrs.CONTENT_TYPE, "")),
    )
    receive(session, packets, done)
    return await answered


def _query(request: web.Request) -> str:
    return request.rel_url.raw_query_string
