"""Requests whose client has gone before they are handled."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest
from aiohttp import web

from pychat.server.engine import encode_event
from tests.server.engine.conftest import Start
from tests.server.engine.rawhttp import RawHttp


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
        self.opened.clear()
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
    written: list[bool] = []
    server.handler.connections[0].send(encode_event("a", b"1"), lambda: written.append(True))
    await queue.handle_after_its_end(other, other.request())
    assert not written
    assert server.handler.reasons == ["transport close"]
    assert server.server.client_count == 0


async def test_nobody_opens_a_session_and_is_gone(start: Start) -> None:
    queue = Queue()
    server = await start(app=queue.app)
    http = await RawHttp.open(server.port)
    await queue.handle_after_its_end(http, http.request())
    assert server.server.client_count == 0


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
