"""Polling requests answered on their connections: HTTP/1.1 without aiohttp.

A waiting poll needs only its connection and no task. Everything else that arrives on the connection
goes back to aiohttp: other paths and methods, upgrades, a new session's handshake, and every
request that is not plain.

A connection is borrowed from aiohttp with its first poll. It cannot be borrowed if the client has
already sent more than the request. Such a poll does not wait: it is answered at once, with a noop
if nothing is queued.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from aiohttp import HttpVersion11, web

from pychat.server.engine.answer import (
    HTTPAnswer,
    Refused,
    body_too_slow,
    cors,
    header_lines,
    refusal,
)
from pychat.server.engine.origins import page_origin
from pychat.server.engine.polling.borrow import Loan, borrow, received_whole
from pychat.server.engine.polling.head import MAX_HEAD, Reader, Request
from pychat.server.engine.polling.queue import NOOP_PACKET, Polling
from pychat.server.engine.polling.request import Allows, PollRequests, Shared
from pychat.server.engine.polling.transport import decode_body, receive, register_poll, take
from pychat.server.engine.session import TRANSPORT_CLOSE, TRANSPORT_ERROR, EngineSession

_REQUESTS_AT_ONCE: Final = 20
"""Requests of one connection that are answered before other connections have their turn."""

_HEAD_TOO_LARGE: Final = refusal(Refused(3, "Request header fields too large", 431))
_HEAD_TOO_SLOW: Final = refusal(Refused(3, "The request took too long", 408))
_BODY_TOO_SLOW: Final = refusal(body_too_slow())


class _Poll(NamedTuple):
    session: EngineSession
    polling: Polling
    script: str | None


class _Post(NamedTuple):
    session: EngineSession
    polling: Polling
    request: Request


class PollConnection(asyncio.Protocol):
    """One borrowed connection. It answers requests in order, one at a time.

    It starts with the request that aiohttp has received, which is still to be answered.
    """

    def __init__(
        self,
        shared: Shared,
        request: web.Request,
        transport: asyncio.Transport,
        reader: Reader,
        cors: bytes,
    ) -> None:
        self._shared = shared
        self._transport = transport
        self._reader = reader
        # aiohttp's router has chosen the engine by these.
        self._path = request.rel_url.raw_path.encode()
        self._host = request.host
        self._last = not request.keep_alive or request.version < HttpVersion11
        self._cors = cors
        self._received = b""
        self._busy = True
        self._serving = False
        self._stalled = False
        self._paused = False
        self._idle = False
        self._gone = False
        self._poll: _Poll | None = None
        self._post: _Post | None = None
        self._body: bytearray | None = None
        self._loan: Loan

    def borrowed(self, loan: Loan) -> None:
        """The connection was borrowed. Its deadlines start."""
        self._loan = loan
        self._shared.wheel.start(self._shared.idle, self)

    # --- answers

    def poll(self, session: EngineSession, polling: Polling, query: Mapping[str, str]) -> None:
        """Answer with the session's queued packets, as soon as there are some."""
        again = register_poll(session, polling, query)
        if again is not None:
            self.answer(again)
            return
        self._poll = _Poll(session, polling, query.get("j"))
        polling.polled = True
        if polling.upgrading and not polling.ready:
            polling.send(NOOP_PACKET)
        if polling.ready:
            self.flush()
        else:
            polling.on_ready = self._ready

    def _ready(self) -> None:
        self._shared.flusher.add(self)

    def flush(self) -> None:
        """Answer the waiting poll, unless the transport is closing."""
        if self._poll is None or self._transport.is_closing():
            return
        (session, polling, script), self._poll = self._poll, None
        polling.polled = False
        self._write(take(session, polling, script))
        if polling.ended:
            self._shared.forget(session)
        self._go_on()

    def answer(self, answer: HTTPAnswer) -> None:
        """Answer the current request."""
        self._write(answer)
        self._go_on()

    def _write(self, answer: HTTPAnswer) -> None:
        transport = self._transport
        if not transport.is_closing():
            transport.write(self._shared.write(answer, self._cors, close=self._last))
            if self._last:
                transport.close()

    def _end_with(self, answer: HTTPAnswer) -> None:
        self._last = True
        self._busy = True
        self._write(answer)

    # --- requests

    def data_received(self, data: bytes) -> None:
        """Handle a part of a head or of a body, or requests behind the current one."""
        self._idle = False
        if self._body is not None:
            self._body += data
            self._body_received(self._body)
            return
        self._received = self._received + data if self._received else data
        if not (self._busy or self._stalled):
            self._serve()
        elif len(self._received) > MAX_HEAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _go_on(self) -> None:
        self._busy = self._last
        self._idle = False
        if self._received and not (self._serving or self._busy or self._stalled):
            self._serve()
        if not (self._busy or self._stalled):
            self._read_on()

    def _read_on(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _serve(self) -> None:
        self._serving = True
        for _ in range(_REQUESTS_AT_ONCE):
            if not self._received or self._busy or self._stalled or not self._next():
                break
        else:
            if not (self._busy or self._stalled):
                self._busy = True
                asyncio.get_running_loop().call_soon(self._go_on)
        self._serving = False
        if self._gone:
            self._abandon()

    def _next(self) -> bool:
        """Start to answer the next request. Return False if there is none for the engine."""
        data = self._received
        end = data.find(b"\r\n\r\n")
        if end < 0 and len(data) <= MAX_HEAD:
            if self not in self._shared.heads:
                self._shared.wheel.start(self._shared.heads, self)
            return False
        self._shared.heads.stop(self)
        if not 0 <= end <= MAX_HEAD:
            self._end_with(_HEAD_TOO_LARGE)
            return False
        request = self._reader.read(data, end)
        if request is None or not self._begin(request, end + 4):
            self._give_back()
            return False
        return True

    def _begin(self, request: Request, start: int) -> bool:
        """Return False if aiohttp must answer the request."""
        query, head = request.query, request.head
        session = self._shared.sessions.get(query.get("sid", ""))
        if (
            session is None
            or query.get("transport") != "polling"
            or session.silent
            or request.path != self._path
            or head.host != self._host
        ):
            return False
        polling = session.polling
        if polling is None:
            return False
        if request.method == b"GET":
            if polling.polled or polling.ended:
                return False
            self._received = self._received[start:]
            self._busy = True
            self._cors = head.cors
            self.poll(session, polling, query)
            return True
        limit = session.first_payload or self._shared.max_payload
        if not session.open or polling.posted or head.size > limit:
            return False
        polling.posted = True
        self._busy = True
        self._cors = head.cors
        self._post = _Post(session, polling, request)
        body, self._received = self._received[start:], b""
        self._body_received(body)
        return True

    def _body_received(self, body: bytes | bytearray) -> None:
        post = self._post
        assert post is not None
        session, polling, request = post
        size = request.head.size
        if len(body) < size:
            if self._body is None:
                self._body = bytearray(body)
                self._shared.wheel.start(self._shared.bodies, self)
            return
        if self._body is not None:
            self._body = None
            self._shared.bodies.stop(self)
        self._received = bytes(body[size:])
        packets = decode_body(
            bytes(body[:size]), polling, script="j" in request.query, binary=request.head.binary
        )
        receive(session, packets, self._posted)

    def _posted(self, answer: HTTPAnswer) -> None:
        post, self._post = self._post, None
        if post is not None:
            post.polling.posted = False
        self.answer(answer)

    def _give_back(self) -> None:
        if self._transport.is_closing():
            # The client has gone. connection_lost is called next.
            self._busy = True
            return
        self._leave()
        data, self._received = self._received, b""
        self._busy = True
        self._read_on()
        self._loan.give_back(data)

    # --- ends

    def connection_lost(self, exc: Exception | None) -> None:
        """End the session of a waiting poll or an incomplete body, as Node's server does.

        A complete POST is still handled in its turn.
        """
        self._gone = True
        self._stalled = False
        self._loan.lost(exc)
        if self._busy:
            self._abandon()
        else:
            self._serve()

    def _abandon(self) -> None:
        self._leave()
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.polling.polled = False
            poll.polling.on_ready = None
            poll.session.end(TRANSPORT_CLOSE)
        self._abandon_body()

    def _leave(self) -> None:
        for queue in (self._shared.idle, self._shared.heads, self._shared.bodies):
            queue.stop(self)

    def may_be_idle(self) -> None:
        """Close the connection if nothing has happened since the last call."""
        idle, self._idle = self._idle, True
        if (idle and not self._busy) or self._transport.is_closing():
            self._transport.abort()
        else:
            self._shared.wheel.start(self._shared.idle, self)

    def abort(self) -> None:
        """Close the connection without an answer."""
        self._transport.abort()

    def head_is_late(self) -> None:
        """The rest of a request's head has not arrived in time."""
        self._end_with(_HEAD_TOO_SLOW)

    def body_is_late(self) -> None:
        """The rest of a request's body has not arrived in time."""
        self._abandon_body()
        self._end_with(_BODY_TOO_SLOW)

    def _abandon_body(self) -> None:
        if self._body is not None and self._post is not None:
            self._body = None
            self._post.polling.posted = False
            self._post.session.end(TRANSPORT_ERROR)

    def pause_writing(self) -> None:
        """The client does not read its answers. Its next request waits."""
        self._stalled = True
        self._loan.pause_writing()

    def resume_writing(self) -> None:
        """The client has read its answers."""
        self._stalled = False
        self._loan.resume_writing()
        if not self._busy:
            self._go_on()


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
