"""Pages with old clients in a real browser, from another origin, with and without websockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from pychat.server.engine import SocketConnection, SocketServer
from tests.e2e.browser import chromium
from tests.e2e.engine.matrix import CORPUS, HERE, Relay, client_of, corpus_json

pytestmark = pytest.mark.e2e

PAGE = """<!doctype html><meta charset="utf-8">
<script>{before}</script>
<script src="/client.js"></script><script src="/peer.js"></script>
<script>
  window.result = new Promise((resolve) => fetch("/corpus.json").then((r) => r.json()).then(
    (corpus) => runPeer(io, "{url}", {options}, "page", corpus, 1, resolve)));
</script>"""


@asynccontextmanager
async def page_server(generation: str, page: str) -> AsyncIterator[str]:
    """The page on an origin of its own, as the original's usually is."""
    script = client_of(generation) / "dist" / "socket.io.js"

    async def index(request: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    async def corpus(request: web.Request) -> web.Response:
        return web.Response(text=corpus_json(), content_type="application/json")

    async def client(request: web.Request) -> web.FileResponse:
        return web.FileResponse(script)

    async def peer(request: web.Request) -> web.FileResponse:
        return web.FileResponse(HERE / "peer.js")

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/corpus.json", corpus)
    app.router.add_get("/client.js", client)
    app.router.add_get("/peer.js", peer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


NO_WEBSOCKET = "window.WebSocket = undefined;"


@pytest.mark.parametrize("generation", ["v1", "v2"])
@pytest.mark.parametrize(
    ("before", "options", "transport"),
    [
        ("", "{}", "websocket"),
        ("", "{transports: ['websocket']}", "websocket"),
        (NO_WEBSOCKET, "{}", "polling"),
        (NO_WEBSOCKET, "{forceJSONP: true}", "polling"),
    ],
    ids=["upgrade", "websocket", "no websocket", "jsonp"],
)
async def test_a_page(generation: str, before: str, options: str, transport: str) -> None:
    async with Relay(1) as relay, chromium() as browser:
        source = PAGE.replace("{before}", before).replace("{url}", relay.url)
        async with page_server(generation, source.replace("{options}", options)) as url:
            page = await browser.new_page()
            await page.goto(url)
            result = await asyncio.wait_for(page.evaluate("window.result"), 60)
        assert relay.wrong == []
    assert result == {
        "wrong": [],
        "acks": len(CORPUS),
        "asked": len(CORPUS),
        "transport": transport,
    }


ATTACK = """<!doctype html><meta charset="utf-8">
<script>
  const url = "{url}/socket.io/?transport=polling&EIO=";
  const loads = [];
  for (const eio of [3, 4]) {
    for (const tag of ["img", "script", "iframe", "audio"]) {
      loads.push(new Promise((resolve) => {
        const element = document.createElement(tag);
        element.onload = element.onerror = resolve;
        element.src = url + eio + "&j=0&" + tag;
        document.documentElement.append(element);
      }));
    }
    loads.push(fetch(url + eio, {mode: "no-cors"}));
    loads.push(fetch(url + eio, {mode: "no-cors", referrerPolicy: "no-referrer"}));
  }
  window.result = Promise.all(loads).then(() => "all answered");
</script>"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_page_of_another_site_opens_no_sessions(host: str) -> None:
    """The same site on another port, and another site."""
    engine, app = SocketServer(Silent()), web.Application()
    engine.attach(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with (
            chromium() as browser,
            page_server("v1", ATTACK.replace("{url}", address)) as url,
        ):
            page = await browser.new_page()
            await page.goto(url.replace("127.0.0.1", host))
            assert await asyncio.wait_for(page.evaluate("window.result"), 60) == "all answered"
            assert engine.client_count == 0
            # Whereas what the user has typed is the user's own.
            await page.goto(f"{address}/socket.io/?transport=polling&EIO=4")
            assert engine.client_count == 1
    finally:
        await runner.cleanup()


class Silent:
    """A handler that does nothing."""

    def connected(self, connection: SocketConnection) -> None:
        return None

    def event(
        self, connection: SocketConnection, event: str, payload: bytes, ack_id: int | None
    ) -> None:
        return None

    def disconnected(self, connection: SocketConnection, reason: str) -> None:
        return None
