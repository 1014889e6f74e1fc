"""Polling requests that aiohttp has received, and what all of a server share.

Here through aiohttp's public API: a task waits for each poll. ``connection`` makes it faster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from aiohttp import hdrs, web

from pychat.server.engine.answer import (
    AnswerWriter,
    HTTPAnswer,
    Refused,
    Taken,
    bad_request,
    body_too_slow,
    has_gone,
    is_binary,
    read_query,
)
from pychat.server.engine.heartbeat import Deadlines, Wheel
from pychat.server.engine.polling.queue import NOOP_PACKET, Polling
from pychat.server.engine.polling.transport import (
    BODY_TIMEOUT,
    decode_body,
    receive,
    register_poll,
    take,
)
from pychat.server.engine.registry import Registry
from pychat.server.engine.session import TRANSPORT_CLOSE, TRANSPORT_ERROR, EngineSession
from pychat.server.engine.websocket.transport import Flusher

HEAD_TIMEOUT: Final = 10.0
"""Time limit for the head of a request, in seconds."""
KEEP_ALIVE: Final = 75.0
"""Seconds without a request before a connection is closed; up to twice as long in practice."""


class Late(Hashable, Protocol):
    """A connection with deadlines."""

    def may_be_idle(self) -> None: ...

    def head_is_late(self) -> None: ...

    def body_is_late(self) -> None: ...

    def abort(self) -> None: ...


class Shared:
    """The shared state. ``max_payload`` is in bytes."""

    def __init__(
        self,
        registry: Registry,
        wheel: Wheel,
        flusher: Flusher,
        *,
        headers: Mapping[str, str],
        max_payload: int,
    ) -> None:
        self.sessions = registry.sessions
        self.forget = registry.forget
        self.flusher = flusher
        self.max_payload = max_payload
        self.write = AnswerWriter(headers)
        self.wheel = wheel
        self.idle: Deadlines[Late] = wheel.add(KEEP_ALIVE, lambda it: it.may_be_idle(), _abort)
        self.heads: Deadlines[Late] = wheel.add(HEAD_TIMEOUT, lambda it: it.head_is_late(), _abort)
        self.bodies: Deadlines[Late] = wheel.add(BODY_TIMEOUT, lambda it: it.body_is_late(), _abort)


def _abort(connection: Late) -> None:
    connection.abort()


Allows = Callable[[str | None, str, str, str], bool]
"""Whether a page of an origin may talk to the server: origin, scheme, host, server address."""

_GONE_SECONDS: Final = 1.0
"""How often a waiting poll looks whether its client has gone. aiohttp does not tell it."""


class Answering(Protocol):
    """A connection that the engine answers on, instead of aiohttp."""

    def poll(self, session: EngineSession, polling: Polling, query: Mapping[str, str]) -> None:
        """Answer the poll when packets wait."""

    def answer(self, answer: HTTPAnswer) -> None:
        """Answer the request now."""


class PollRequests:
    """Answers polling requests.

    ``reached_at`` returns the server address that a request's client connected to, empty behind a
    trusted proxy.
    """

    may_wait = True
    """Whether a poll waits for packets if its connection is not borrowed."""

    def __init__(
        self, shared: Shared, allows: Allows, reached_at: Callable[[web.Request], str]
    ) -> None:
        self._shared = shared
        self._allows = allows
        self._reached_at = reached_at

    def first(self, session: EngineSession, polling: Polling, request: web.Request) -> web.Response:
        """Answer the handshake with the packets that the session has queued."""
        query = read_query(_query(request))
        polling.register_poll(query.get("t"))
        return take(session, polling, query.get("j")).response()

    async def get(
        self, session: EngineSession, polling: Polling, request: web.Request
    ) -> web.StreamResponse:
        """Answer a poll.

        Raises Refused for a second poll at the same time and after the session's end. If the
        client has gone, ends the session and raises ConnectionResetError.
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
        again = register_poll(session, polling, query)
        if again is not None:
            return again.response()
        if not polling.ready:
            if self.may_wait and not polling.upgrading:
                await self._packets(session, polling, request)
            else:
                polling.send(NOOP_PACKET)
        response = take(session, polling, query.get("j")).response()
        if polling.ended:
            self._shared.forget(session)
        return response

    async def post(
        self, session: EngineSession, polling: Polling, request: web.Request
    ) -> web.StreamResponse:
        """Handle the packets in a POST.

        Raises Refused. A body that breaks off ends the session, as in Node's server.
        """
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

    def _borrow(self, request: web.Request) -> Answering | None:
        """Take the connection from aiohttp. None: the request is answered through aiohttp."""
        return None

    def _received_whole(self, request: web.Request) -> bytes | None:
        """Return the unread rest of a body whose client has gone. None: it cannot be known."""
        return None

    async def _packets(
        self, session: EngineSession, polling: Polling, request: web.Request
    ) -> None:
        ready = asyncio.Event()
        polling.polled = True
        polling.on_ready = ready.set
        try:
            while not ready.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(ready.wait(), _GONE_SECONDS)
                if has_gone(request):
                    break
        finally:
            polling.polled = False
            polling.on_ready = None
            if not ready.is_set():
                session.end(TRANSPORT_CLOSE)
        if has_gone(request):
            session.end(TRANSPORT_CLOSE)
            raise ConnectionResetError("the client has gone")

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
            # aiohttp keeps the error with the request. Its traceback would keep this frame, and
            # with it the body, until a full garbage collection.
            error.__traceback__ = None
            rest = self._received_whole(request)
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

    packets = decode_body(
        body,
        polling,
        script="j" in read_query(_query(request)),
        binary=is_binary(request.headers.get(hdrs.CONTENT_TYPE, "")),
    )
    receive(session, packets, done)
    return await answered


def _query(request: web.Request) -> str:
    return request.rel_url.raw_query_string
