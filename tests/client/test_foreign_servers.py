"""Servers that are not chat servers or redirect: one-line errors, and no leaked credentials."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from logging import ERROR

import pytest
from aiohttp import WSMsgType, web

from pychat.client import ChatClient, ServerUnreachable
from tests.client.scripted import ScriptedServer, scripted

SECRET = "the password"
OPEN = {"sid": "s", "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 1e6}


@pytest.fixture
async def elsewhere() -> AsyncIterator[ScriptedServer]:
    async with scripted() as server:
        yield server


@asynccontextmanager
async def answering(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    """Run a server that answers every request with ``handle``."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def reason(url: str) -> str:
    """Return the one-line reason why the server cannot be reached."""
    async with asyncio.timeout(30):
        with pytest.raises(ServerUnreachable) as unreachable:
            async with ChatClient(url, user="alice", password=SECRET):
                pass
    text = str(unreachable.value)
    assert text.isprintable()
    assert len(text) < 2_000
    return text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_is_not_followed(
    elsewhere: ScriptedServer, status: int
) -> None:
    async def redirect(request: web.Request) -> web.Response:
        target = f"{elsewhere.url}{request.rel_url}"
        return web.Response(status=status, headers={"Location": target})

    async with answering(redirect) as url:
        said = await reason(url)
        assert said == f"{url} redirects to {elsewhere.url}: use that address if you trust it"
    assert elsewhere.asked == []


@pytest.mark.parametrize("status", [302, 307, 308])
async def test_a_redirected_login_is_not_sent_to_another_origin(
    elsewhere: ScriptedServer, status: int
) -> None:
    bodies: list[str] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.text())
        return web.Response(text="ok")

    async with answering(take) as target:

        async def poll(request: web.Request) -> web.Response:
            if request.query["transport"] == "websocket":
                return web.Response(status=400)
            if request.method == "POST":
                body = await request.text()
                if "login" in body:
                    asked.set()
                    return web.Response(status=status, headers={"Location": f"{target}/x"})
                return web.Response(text="ok")
            if "sid" not in request.query:
                return web.Response(text=f"0{json.dumps(OPEN)}")
            if not connected.is_set():
                connected.set()
                return web.Response(text='40{"sid":"n"}')
            await asked.wait()
            return web.Response(status=400)

        connected, asked = asyncio.Event(), asyncio.Event()
        async with answering(poll) as url:
            await reason(url)
    assert bodies == []


async def test_a_redirect_within_the_origin_is_followed(elsewhere: ScriptedServer) -> None:
    async with ChatClient(elsewhere.url, user="alice", password=SECRET) as client:
        assert client.user == "alice"


@pytest.mark.parametrize(
    "first",
    [
        "0{}",
        "0[]",
        "0null",
        '0"text"',
        "0",
        "",
        "9",
        "x" * 1_000,
        '0{"sid":1}',
        '0{"sid":"s","upgrades":[],"pingInterval":"x","pingTimeout":{}}',
        '0{"sid":"s","upgrades":7,"pingInterval":1e999,"pingTimeout":-1}',
        "\x1b]52;c;AAAA\x07",
    ],
    ids=lambda text: ascii(text)[:24],
)
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_an_invalid_handshake_is_reported(first: str, transport: str) -> None:
    async def greet(request: web.Request) -> web.StreamResponse:
        if request.query["transport"] != transport:
            return web.Response(status=400, text="{", content_type="application/json")
        if transport == "polling":
            return web.Response(text=first)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(first)
        await socket.close()
        return socket

    async with answering(greet) as url:
        assert "is not a chat server" in await reason(url)


async def test_an_endless_answer_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pychat.client.connection.http.MAX_BODY", 100_000)
    sent = 0

    async def pour(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        if request.query["transport"] == "websocket":
            return web.Response(status=400)
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 100_000_000:
            sent += 50_000
            await response.write(b"x" * 50_000)
        return response

    async with answering(pour) as url:
        await reason(url)
    assert sent < 50_000_000


FRAMES = [
    "4",
    "9",
    "7x",
    "42",
    "42[",
    "42[]",
    '42["x"',
    "42[[1]]",
    '42["connect"]',
    '42["disconnect"]',
    '42["message",1]',
    "40[1]",
    "41",
    "43",
    "43[]",
    "43x[]",
    "439[1]",
    '44"x"',
    "451-[",
    "45",
    "4{",
    "4/x,[",
    "6",
    "1",
    "\x1b",
]


@pytest.mark.parametrize("frame", ["", *FRAMES], ids=ascii)
async def test_invalid_frames_are_reported_or_ignored(
    frame: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server sends something else instead of the answer to the login."""

    async def serve(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(f"0{json.dumps(OPEN)}")
        async for received in socket:
            if received.type is not WSMsgType.TEXT:
                continue
            if received.data.startswith("40"):
                await socket.send_str('40{"sid":"n"}')
            elif received.data.startswith("42"):
                await socket.send_str(frame)
                await socket.close()
        return socket

    async with answering(serve) as url:
        await reason(url)
    gc.collect()  # a failed task logs its exception when it is collected
    told = [record for record in caplog.records if not record.name.startswith("pychat")]
    assert [record.getMessage() for record in told if record.levelno >= ERROR] == []
