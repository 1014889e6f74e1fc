"""Whatever comes, in whatever order: no exception, an end at most, and no event out of it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from picows import WSMsgType
from picows.picows import _make_test_ws_frame  # type: ignore[attr-defined]  # made for tests

from pychat.server.engine.dispatcher import Dispatcher
from pychat.server.engine.flusher import Flusher
from pychat.server.engine.heartbeat import Wheel
from pychat.server.engine.session import Handshake, Polling, Session
from pychat.server.engine.websocket import WebSocket
from tests.server.engine.sansio import Echo, Heartbeat, Transport

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
    session = Session("sid", protocol, Handshake(b"", "", ""), dispatcher, Heartbeat())
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
        for kind, payload, fin, rsv in incoming:
            if kind is WSMsgType.CLOSE and len(payload) == 1:
                continue  # picows' parser refuses it
            cast("Any", socket).on_ws_frame(None, _make_test_ws_frame(kind, payload, fin, rsv))
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
