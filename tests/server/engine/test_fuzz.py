"""Random input in random order: no exception, at most a closed session."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from picows import WSMsgType
from picows.picows import _make_test_ws_frame  # type: ignore[attr-defined]  # made for tests

from pychat.server.engine import SocketServer
from pychat.server.engine.heartbeat import Wheel
from pychat.server.engine.polling.head import MAX_HEAD, Reader
from pychat.server.engine.polling.queue import Polling
from pychat.server.engine.session import EngineSession, Handshake
from pychat.server.engine.socketio.dispatcher import Dispatcher
from pychat.server.engine.websocket.takeover import FrameReader
from pychat.server.engine.websocket.transport import Flusher, WebSocket
from tests.server.engine.rawhttp import RawHttp
from tests.server.engine.sansio import Echo, Heartbeat, Transport

pytestmark = pytest.mark.e2e  # they take too long for the fast part

FRAGMENTS = [
    "0", "1", "2", "3", "4", "5", "6", "b", "40", "41", "42", "43", "44", "45", "46", "451-", "-",
    "/admin,", ",", "7", "[", "]", "{", "}", '"a"', '"connect"', "null", "NaN", "1e999", "\\ud800",
    '{"_placeholder":true,"num":0}', "probe", "한", "😀", "\x00", "\x1e", " ", '["a"]', '42["a",1]',
]  # fmt: skip
packets = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join), st.text(max_size=20)
)
frames = st.tuples(
    st.sampled_from(list(WSMsgType)),
    st.one_of(packets.map(str.encode), st.binary(max_size=40)),
    st.booleans(),
    st.booleans(),
)


class Owner:
    """Nobody keeps these sockets."""

    def closing(self, socket: WebSocket) -> None:
        socket.transport.close()

    def gone(self, socket: WebSocket) -> None:
        pass

    def upgraded(self, socket: WebSocket) -> None:
        pass


class Engine:
    """What a dispatcher asks of its engine."""

    def __init__(self) -> None:
        self.wheel = Wheel(60)


def new_socket(protocol: int, *, probing: bool = False) -> tuple[WebSocket, Transport]:
    """Joined, or probing beside a session that polls."""
    engine = Engine()
    dispatcher = Dispatcher(Echo())
    dispatcher.watch_connecting(cast("Any", engine), 60)
    session = EngineSession("sid", protocol, Handshake(b"", "", ""), dispatcher, Heartbeat())
    socket = WebSocket(session, Flusher(), 1000, Owner(), probing=probing)
    transport = Transport()
    socket.transport = cast("Any", transport)
    if probing:
        session.polling = Polling(protocol)
    else:
        session.carrier = socket
    dispatcher.opened(session)
    session.receive("40")
    return socket, transport


@settings(max_examples=400, deadline=None)
@given(st.lists(frames, max_size=12), st.sampled_from([3, 4]), st.booleans())
def test_frames(incoming: list[Any], protocol: int, probing: bool) -> None:
    async def feed() -> None:
        socket, transport = new_socket(protocol, probing=probing)
        reader = FrameReader(socket, 1000)
        for kind, payload, fin, rsv in incoming:
            if kind is WSMsgType.CLOSE and len(payload) == 1:
                continue  # picows' parser refuses it
            cast("Any", reader).on_ws_frame(None, _make_test_ws_frame(kind, payload, fin, rsv))
        socket.flush()
        session = socket.session
        if not session.open:
            assert session.context is None
        assert transport.closing or session.open

    asyncio.run(feed())


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(packets, st.binary(max_size=9)), max_size=12), st.sampled_from([3, 4]))
def test_packets(incoming: list[str | bytes], protocol: int) -> None:
    async def feed() -> None:
        session = new_socket(protocol)[0].session
        for packet in incoming:
            if isinstance(packet, str):
                session.receive(packet)
            else:
                session.receive_binary(packet)
        assert session.open or session.context is None

    asyncio.run(feed())


LINES = [
    b"Host: a", b"Host:b", b"Host : a", b"Content-Length: 5", b"Content-Length: 0",
    b"content-length:7 ", b"Content-Length: +5", b"Content-Length: 5, 5", b"Content-Length: 1e1",
    b"Content-Length:", b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity",
    b"Transfer-Encoding:\x0bchunked", b"Connection: close", b"Connection: keep-alive",
    b"Connection: Upgrade", b"Upgrade: websocket", b"Expect: 100-continue", b"Origin: null",
    b"Content-Encoding: gzip", b"Content-Type: text/plain", b" folded", b"\tfolded", b": empty",
    b"no colon", b"X: \x00", b"X: \x80", b"X: \n\nGET / HTTP/1.1", b"X: a\rb", b"X: a\nb",
    b"GET /socket.io/?a HTTP/1.1", b"",
]  # fmt: skip
FIRST_LINES = [
    b"GET /socket.io/?a=b HTTP/1.1", b"POST /socket.io/?a=%20b&a HTTP/1.1", b"GET /?a HTTP/1.0",
    b"POST  /?a HTTP/1.1", b"get /?a HTTP/1.1", b"GET /?a#b HTTP/1.1", b"GET http://a/?b HTTP/1.1",
    b"GET /?\x80 HTTP/1.1", b"POST /?a HTTP/1.1 ", b"\r\nGET /?a HTTP/1.1", b"POST *?a HTTP/1.1",
]  # fmt: skip
header_lines = st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=12)), max_size=6)
heads = st.builds(
    lambda first, lines: b"\r\n".join([first, *lines]) + b"\r\n\r\n",
    st.one_of(st.sampled_from(FIRST_LINES), st.binary(max_size=20)),
    st.one_of(header_lines, header_lines.map(lambda lines: [b"Host: a", *lines])),
)


@settings(max_examples=1500, deadline=None)
@given(heads)
@example(b"POST /?a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
@example(b"POST /?a HTTP/1.1\r\nHost: a\r\nX: \n\nContent-Length: 5\r\n\r\n")
def test_heads(data: bytes) -> None:
    """A head that is read as a plain request means the same to aiohttp, with the same end."""
    end = data.find(b"\r\n\r\n")
    request = Reader(lambda origin, host: b"").read(data, end)
    if request is None:
        return

    async def as_aiohttp_does() -> list[Any]:
        loop = asyncio.get_running_loop()
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16)
        body, following = b"x" * request.head.size, b"GET /following HTTP/1.1\r\nHost: a\r\n\r\n"
        messages, upgraded, rest = parser.feed_data(data[: end + 4] + body + following)
        assert not upgraded
        assert not rest
        return [message for message, _ in messages]

    message, following = asyncio.run(as_aiohttp_does())
    assert following.path == "/following"
    assert message.method == request.method.decode()
    assert message.path.encode().partition(b"?")[0] == request.path
    assert not message.should_close
    assert not message.chunked


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            heads,
            st.binary(max_size=30),
            st.sampled_from(["GET", "POST", "PUT", "end", "part", "large"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_connections_that_poll(parts: list[bytes | str]) -> None:
    """Random input on one connection does not affect another one."""

    async def send() -> None:
        server = SocketServer(Echo())
        app = web.Application()
        server.attach(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        http, other = await RawHttp.joined(port), await RawHttp.joined(port)
        pieces = {
            "GET": http.request(),
            "POST": http.request("POST", '427["a",1]'),
            "PUT": http.request("PUT", "x"),
            "end": b"\r\n\r\n",
            "part": http.request("POST", "4")[:-9],
            "large": http.request(more=f"X: {'x' * MAX_HEAD}\r\n"),
        }
        for part in parts:
            http.send(pieces[part] if isinstance(part, str) else part)
            await asyncio.sleep(0)
        assert (await other.post('427["b",2]')).body == b"ok"
        assert (await other.get()).body == b"437[2]"
        http.close()
        await server.shutdown()
        await runner.cleanup()
        other.close()

    asyncio.run(send())


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Any:
    """No error is logged, not even by asyncio for an exception in a protocol's callback."""
    yield
    assert not [
        record
        for record in caplog.records
        if record.levelno >= logging.ERROR and record.name != "aiohttp.server"
    ]
