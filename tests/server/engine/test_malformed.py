"""Malformed input ends its session at once and disturbs no other client."""

from __future__ import annotations

import logging
import time
from statistics import median

import aiohttp
import pytest

from tests.server.engine.conftest import Running, Start
from tests.server.engine.malformed import bodies, frames
from tests.server.engine.rawsocket import RawSocket, text

AT_ONCE = 0.1
"""Seconds, of the median: a busy machine has slow moments."""


class Others:
    """Well-behaved clients, one of each kind."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []
        self._polling: list[tuple[int, str]] = []
        self._said = 0

    async def come(self) -> None:
        for protocol in (3, 4):
            self._sockets.append(await self._server.open_websocket(protocol))
            self._polling.append((protocol, await self._server.open_polling(protocol)))

    async def are_served(self) -> None:
        """Each is echoed what it says, and nothing else was heard of anybody."""
        for socket in self._sockets:
            event = self._next()
            await socket.send_str(event)
            assert await socket.receive_str() == event
        for protocol, query in self._polling:
            event = self._next()
            payload = f"{len(event)}:{event}" if protocol == 3 else event
            assert await self._server.post(query, payload) == (200, "ok")
            assert await self._server.get(query) == (200, payload)
        assert self._server.handler.events == [("fine", n + 1) for n in range(self._said)]

    def _next(self) -> str:
        self._said += 1
        return f'42["fine",{self._said}]'


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture):  # type: ignore[no-untyped-def]
    """It is no error of the server's."""
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.e2e
@pytest.mark.direct(reason="aiohttp accepts frames without a mask")
@pytest.mark.parametrize("protocol", [3, 4])
async def test_on_a_websocket(start: Start, protocol: int) -> None:
    server = await start(max_payload=1000)
    others = Others(server)
    await others.come()
    took: list[float] = []
    query = f"EIO={protocol}&transport=websocket"
    for sent, code in frames(protocol):
        raw = await RawSocket.open(server.port, query)
        assert (await raw.receive())[1].startswith(b"0{")
        if protocol == 4:
            raw.send(text("40"))
        assert (await raw.receive())[1].startswith(b"40")
        began = time.monotonic()
        raw.send(sent + text('42["after"]'))
        assert await raw.close_code() == code, sent
        took.append(time.monotonic() - began)
        assert server.handler.reasons == ["parse error"] * len(took), sent
        raw.close()
        await others.are_served()
    assert median(took) < AT_ONCE


@pytest.mark.e2e
@pytest.mark.parametrize("protocol", [3, 4])
async def test_on_polling(start: Start, protocol: int) -> None:
    server = await start(max_payload=1000)
    others = Others(server)
    await others.come()
    took: list[float] = []
    for content_type, body in bodies(protocol):
        query = await server.open_polling(protocol)
        post = query + "&j=0" if "form" in content_type else query
        began = time.monotonic()
        status, _ = await server.post(post, body, headers={"Content-Type": content_type})
        took.append(time.monotonic() - began)
        assert status in (200, 400), body
        assert server.handler.reasons == ["parse error"] * len(took), body
        assert (await server.get(query))[0] == 400
        await others.are_served()
    assert median(took) < AT_ONCE
