"""What a client may send in one piece before and after it is admitted."""

from __future__ import annotations

from functools import partial

import pytest

from pychat.server.guard.bucket import Allowance, Rate
from tests.server.engine.conftest import Running, Start
from tests.server.engine.rawhttp import RawHttp
from tests.server.engine.rawsocket import RawSocket, frame, text

FIRST = 128 * 1024
EVENT = '42["a",""]'


def _event(size: int) -> str:
    return f'42["a","{"x" * (size - len(EVENT))}"]'


async def _server(start: Start) -> Running:
    return await start(
        first_payload=FIRST, pace=partial(Allowance, Rate(per_second=1e6, burst=1e6))
    )


@pytest.mark.direct(reason="aiohttp receives a whole message before its size is checked")
@pytest.mark.parametrize(
    "sent",
    [
        text(_event(FIRST + 1)),
        frame(0x01, b"4" * 70_000) + frame(0x00, b"4" * 70_000),
        frame(0x82, b"x" * (FIRST + 1)),
        text("4" * 900_000)[:400_000],  # its end never comes
    ],
    ids=["text", "fragments", "binary", "unfinished"],
)
async def test_too_much_on_a_websocket(start: Start, sent: bytes) -> None:
    server = await _server(start)
    raw = await (await RawSocket.open(server.port)).joined()
    raw.send(sent)
    assert await raw.close_code() == 1009
    assert server.handler.reasons == ["parse error"]
    assert server.handler.events == []
    raw.close()


async def test_enough_on_a_websocket(start: Start) -> None:
    server = await _server(start)
    raw = await (await RawSocket.open(server.port, limit=2**20)).joined()
    for size in (FIRST - 1, FIRST):
        raw.send(text(_event(size)))
        assert len((await raw.receive())[1]) == size
    server.handler.connections[0].admit()
    raw.send(text(_event(900_000)))
    assert len((await raw.receive())[1]) == 900_000
    raw.close()


@pytest.mark.parametrize("polled", [True, False])
async def test_a_body(start: Start, polled: bool) -> None:
    """Also of the first request on a connection, and of those after it."""
    server = await _server(start)
    joined = await RawHttp.joined(server.port)
    http = joined if polled else await RawHttp.open(server.port)
    http.target = joined.target
    assert (await http.post(_event(FIRST))).body == b"ok"
    assert (await http.post(_event(FIRST + 1))).status == 413
    server.handler.connections[0].admit()
    http = await RawHttp.open(server.port)
    http.target = joined.target
    for _ in range(2):
        assert (await http.post(_event(900_000))).body == b"ok"
