"""A server on a free port with a recording handler, and clients for it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from pychat.server.engine import (
    AsyncServer,
    SocketConnection,
    SocketServer,
    encode_event,
    versions,
)
from tests.server.engine.asyncsite import Serve, Site


class Recorder:
    """Echoes events, acknowledges with the payload, and lets tests wait for what happened."""

    def __init__(self) -> None:
        self.connections: list[SocketConnection] = []
        self.events: list[tuple[str, Any]] = []
        self.reasons: list[str] = []
        self._changed = asyncio.Event()

    def connected(self, connection: SocketConnection) -> None:
        self.connections.append(connection)
        self._changed.set()

    def event(
        self, connection: SocketConnection, event: str, payload: bytes, ack_id: int | None
    ) -> None:
        self.events.append((event, json.loads(payload)))
        self._changed.set()
        if event == "fail":
            raise RuntimeError("as the test asked")
        if event == "leave":
            connection.close()
        elif ack_id is not None:
            connection.acknowledge(ack_id, payload)
        else:
            connection.send(encode_event(event, payload))

    def disconnected(self, connection: SocketConnection, reason: str) -> None:
        self.reasons.append(reason)
        self._changed.set()

    async def until(self, condition: Callable[[Recorder], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()


class Running:
    """One server, its handler, and an HTTP client."""

    def __init__(
        self, server: SocketServer, handler: Recorder, port: int, runner: web.AppRunner
    ) -> None:
        self.server = server
        self.handler = handler
        self.port = port
        self._runner = runner
        self.url = f"http://127.0.0.1:{port}/socket.io/"
        self.http = aiohttp.ClientSession()

    async def until_polled(self) -> None:
        """Wait until a poll waits on each session that polls."""
        sessions = self.server._engine.sessions.values()
        async with asyncio.timeout(60):
            # The engine sets no event for this.
            while not all(it.polling is None or it.polling.polled for it in sessions):  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Stop as the application does."""
        await self.http.close()
        await self._runner.cleanup()

    async def get(self, query: str, **kwargs: Any) -> tuple[int, str]:
        async with self.http.get(f"{self.url}?{query}", **kwargs) as response:
            return response.status, await response.text()

    async def post(self, query: str, body: str | bytes, **kwargs: Any) -> tuple[int, str]:
        async with self.http.post(f"{self.url}?{query}", data=body, **kwargs) as response:
            return response.status, await response.text()

    async def open_polling(self, protocol: int = 4, extra: str = "") -> str:
        """Open a session that has joined ``/``. Return the query of its requests."""
        query = f"EIO={protocol}&transport=polling{extra}"
        _, body = await self.get(query)
        sid = re.search(r'sid\\?":\\?"([\w-]+)', body)
        assert sid
        query += f"&sid={sid[1]}"
        if protocol == 4:
            assert await self.post(query, "40") == (200, "ok")
            _, body = await self.get(query)
            assert body.startswith("40{")
        return query

    async def open_websocket(self, protocol: int = 4) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket whose session has joined ``/``."""
        ws = await self.http.ws_connect(f"{self.url}?EIO={protocol}&transport=websocket")
        assert (await ws.receive_str())[0] == "0"
        if protocol == 4:
            await ws.send_str("40")
        assert (await ws.receive_str()).startswith("40")
        return ws


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of BOTH_LOOPS on both."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.stem in BOTH_LOOPS:
        loops["uvloop"] = uvloop.new_event_loop
    return loops


BOTH_LOOPS = ("test_websocket", "test_pollconnection", "test_gone", "test_admitted")
"""Their code depends on the loop's transport."""
SLOW_PART = {("asyncio", "direct"), ("uvloop", "public")}
"""The fast part runs each loop and each path of these once, the e2e part the other two pairs."""
PUBLIC_IN_FAST_PART = ("test_handshake", "test_polling", "test_shutdown", "test_websocket")
"""These cover every line of the public path. The other modules run on it in the e2e part."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that start a server on both paths, unless they are marked ``direct``."""
    if "path" in metafunc.fixturenames:
        marks = [] if metafunc.definition.path.stem in PUBLIC_IN_FAST_PART else [pytest.mark.e2e]
        paths: list[Any] = ["direct"]
        if metafunc.definition.get_closest_marker("direct") is None:
            paths.append(pytest.param("public", marks=marks))
        metafunc.parametrize("path", paths, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in BOTH_LOOPS and item.path.parent == Path(__file__).parent:
            variant = set(item.name.partition("[")[2].removesuffix("]").split("-"))
            if any(variant.issuperset(pair) for pair in SLOW_PART):
                item.add_marker(pytest.mark.e2e)


@pytest.fixture
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The engine's path: direct, or public as with untested versions of aiohttp and picows."""
    path: str = request.param
    if path == "public":
        monkeypatch.setattr(versions, "AIOHTTP", "0")
        monkeypatch.setattr(versions, "_log", lambda untested: None)
    return path


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(path: str) -> AsyncIterator[Start]:
    """Start servers with options of SocketServer, ``ssl`` and options of aiohttp."""
    running: list[Running] = []

    async def start(
        *,
        ssl: Any = None,
        app: web.Application | None = None,
        keep_alive: float = 75,
        **options: Any,
    ) -> Running:
        handler = Recorder()
        server = SocketServer(handler, **options)
        app = app or web.Application()
        server.attach(app)

        async def shut_down(app: web.Application) -> None:
            await server.shutdown()

        app.on_shutdown.append(shut_down)
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, keepalive_timeout=keep_alive
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl)
        await site.start()
        port = runner.addresses[0][1]
        running.append(Running(server, handler, port, runner))
        return running[-1]

    yield start
    for server in running:
        await server.stop()


@pytest.fixture
async def serve(path: str) -> AsyncIterator[Serve]:
    """Start an AsyncServer. It and its clients end with the test."""
    sites: list[Site] = []

    async def serve(server: Any) -> Site:
        app = web.Application()
        server.attach(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        sites.append(Site(server, runner))
        return sites[-1]

    yield serve
    for site in sites:
        for client in site.clients:
            await client.disconnect()
        await site.runner.cleanup()


@pytest.fixture
async def sio(path: str) -> AsyncServer:
    return AsyncServer(async_mode="aiohttp", ping_interval=5)
