"""Requests whose client has gone before they are handled."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import ssl
import tracemalloc
from functools import partial
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from pychat.server.engine import encode_event
from pychat.server.guard.bucket import Allowance, Rate
from tests.server.engine.conftest import Start
from tests.server.engine.rawhttp import RawHttp
from tests.server.engine.rawsocket import RawSocket, frame
from tests.turns import turns


class Queue:
    """An app in front of which requests wait while it is closed, whoever has sent them."""

    def __init__(self) -> None:
        self.app = web.Application(middlewares=[self._wait])
        self.opened = asyncio.Event()
        self.opened.set()
        self._waits = asyncio.Event()
        self._handled = asyncio.Event()

    @web.middleware
    async def _wait(self, request: web.Request, handler):  # type: ignore[no-untyped-def]
        if self.opened.is_set():
            return await handler(request)
        self._waits.set()
        await self.opened.wait()
        while request.transport is not None:  # noqa: ASYNC110  # aiohttp tells nobody
            await asyncio.sleep(0)
        try:
            return await handler(request)
        finally:
            self._handled.set()

    async def handle_after_its_end(self, http: RawHttp, request: bytes) -> None:
        """Returns when it has been handled."""
        for event in (self.opened, self._waits, self._handled):
            event.clear()
        http.send(request)
        await self._waits.wait()
        http.writer.close()
        self.opened.set()
        await self._handled.wait()


async def test_a_poll_of_somebody_who_has_gone_takes_nothing_along(start: Start) -> None:
    queue = Queue()
    server = await start(app=queue.app)
    http = await RawHttp.joined(server.port)
    other = await RawHttp.open(server.port)
    other.target = http.target
    received: list[bool] = []
    connection = server.handler.connections[0]
    connection.send(encode_event("a", b"1"))
    connection.when_received(lambda: received.append(True))
    await queue.handle_after_its_end(other, other.request())
    assert not received
    assert server.handler.reasons == ["transport close"]
    assert server.server.client_count == 0


async def test_nobody_opens_a_session_and_is_gone(start: Start) -> None:
    queue = Queue()
    server = await start(app=queue.app)
    http = await RawHttp.open(server.port)
    await queue.handle_after_its_end(http, http.request())
    assert server.server.client_count == 0


@pytest.mark.direct(reason="aiohttp does not hand over the body of a client that has gone")
async def test_a_whole_post_of_somebody_who_has_gone_is_handled(start: Start) -> None:
    queue = Queue()
    server = await start(app=queue.app)
    http = await RawHttp.joined(server.port)
    other = await RawHttp.open(server.port)
    other.target = http.target
    text = "x" * 200_000
    await queue.handle_after_its_end(other, other.request("POST", f'42["a","{text}"]'))
    assert server.handler.events == [("a", text)]
    assert (await http.get()).body == f'42["a","{text}"]'.encode()
    other = await RawHttp.open(server.port)
    other.target = http.target
    await queue.handle_after_its_end(other, other.request("POST", '42["a","not whole"]')[:-1])
    assert len(server.handler.events) == 1
    assert server.handler.reasons == ["transport error"]


@pytest.mark.direct(reason="aiohttp does not hand over the body of a client that has gone")
@pytest.mark.parametrize("pace", [None, Rate(per_second=200, burst=1)])
async def test_posts_behind_one_another_are_handled_though_their_client_has_gone(
    start: Start, pace: Rate | None
) -> None:
    """In their order; also where the first is read at its pace for longer than its client stays."""
    server = await start(pace=None if pace is None else partial(Allowance, pace))
    http = await RawHttp.joined(server.port)
    packets = iter(range(330))
    posts = [
        http.request("POST", "\x1e".join(f'42["a",{next(packets)}]' for _ in range(count)))
        for count in (30, *[1] * 299)
    ]
    half = posts.pop()[:-1]
    http.send(b"".join(posts) + half)
    http.writer.close()
    await server.handler.until(lambda it: it.reasons == ["transport error"])
    assert server.handler.events == [("a", number) for number in range(328)]


async def test_what_breaks_off_over_tls_is_no_error(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is what is no TLS any more, on a connection that aiohttp has or one that polls."""
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    server = await start(ssl=server_side)
    for fresh in (True, False):
        http = await RawHttp.joined(server.port, client_side)
        last = await RawHttp.open(server.port, client_side) if fresh else http
        last.target = http.target
        last.send(last.request("POST", '42["a",1]')[:-1])
        await turns()
        raw = last.writer.get_extra_info("socket")
        os.write(raw.fileno(), b"this is no TLS record")
        await server.handler.until(lambda it: len(it.reasons) == 1 + (not fresh))  # noqa: B023
    assert server.handler.reasons == ["transport error"] * 2
    await server.stop()
    gc.collect()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_requests_of_somebody_who_has_gone_are_no_error(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """The answers to the first ones cannot be written; the last one is for aiohttp."""
    server = await start()
    for number in range(10):
        http = await RawHttp.joined(server.port)
        page = b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
        http.send(http.request("POST", f'42["a",{number}]') * 30 + page)
        http.writer.transport.abort()
        await server.handler.until(lambda it: ("a", number) in it.events)  # noqa: B023  # at once
    await server.stop()
    gc.collect()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("how", ["body", "fragments", "frame"])
async def test_what_was_sent_by_half_is_not_kept(start: Start, how: str) -> None:
    """Not even until a collection of garbage, which a server that has little to do puts off."""
    server = await start()
    half = 500_000

    async def send_half() -> None:
        if how == "body":
            http = await RawHttp.joined(server.port)
            other = await RawHttp.open(server.port)
            other.target = http.target
            other.send(other.request("POST", "4" * 2 * half)[:-half])
            await other.writer.drain()
            other.writer.close()
        else:
            raw = await (await RawSocket.open(server.port)).joined()
            message = b"4" * half
            raw.send(frame(0x01, message) if how == "fragments" else frame(0x81, message)[:-1])
            await raw.writer.drain()
            raw.close()

    await send_half()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for number in range(2, 12):
            await send_half()
            await server.handler.until(lambda it: len(it.reasons) == number)  # noqa: B023
        await asyncio.sleep(0)
        current, _ = tracemalloc.get_traced_memory()
        assert current < 3 * half
    finally:
        tracemalloc.stop()
        gc.enable()
