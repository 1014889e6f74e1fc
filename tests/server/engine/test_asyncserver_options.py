"""AsyncServer: options of python-socketio are implemented, refused or ignored as documented."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import aiohttp
import engineio
import pytest
import socketio
from aiohttp import web

from pychat.server.engine import AsyncServer
from tests.server.engine.asyncsite import Serve, soon
from tests.server.engine.rawhttp import RawHttp

DOCS = Path(__file__).parents[3] / "docs" / "reference" / "library.md"

# Each option of python-socketio's, with values that are taken and values that are refused.
OPTIONS: dict[str, tuple[list[Any], list[Any]]] = {
    "client_manager": ([None, socketio.AsyncManager()], [socketio.Manager(), "redis://"]),
    "logger": ([True, False], []),
    "engineio_logger": ([True, False], []),
    "serializer": (["default"], ["msgpack", "pickle", socketio.packet.Packet]),
    "json": ([None], []),
    "async_handlers": ([True, False], []),
    "always_connect": ([True, False], []),
    "namespaces": ([None, ["/a"], "*"], []),
    "async_mode": ([None, "aiohttp"], ["asgi", "sanic", "tornado", "threading"]),
    "ping_interval": ([25, (20, 5)], []),
    "ping_timeout": ([20], []),
    "max_http_buffer_size": ([1_000_000], []),
    "allow_upgrades": ([True, False], []),
    "http_compression": ([True, False], []),
    "compression_threshold": ([1024], []),
    "cookie": ([None], ["io", {"name": "io"}, lambda: "io"]),
    "cors_allowed_origins": (
        [None, "*", [], ["*"], "http://a.example", ["http://a.example"], lambda origin: True],
        [],
    ),
    "cors_credentials": ([True], [False]),
    "monitor_clients": ([None, True, False], []),
    "transports": (["polling", ["websocket"], None], ["webtransport", [], ["polling", "x"]]),
}
NOT_SUPPORTED = {"instrument"}


def test_no_option_of_theirs_is_forgotten() -> None:
    theirs = {"engineio_logger"}
    for base in (*socketio.AsyncServer.__mro__, *engineio.AsyncServer.__mro__):
        theirs |= {
            name
            for name, parameter in inspect.signature(base.__init__).parameters.items()
            if name != "self" and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        }
    assert set(OPTIONS) == theirs


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_is_taken_or_refused_by_name(option: str) -> None:
    taken, refused = OPTIONS[option]
    for value in taken:
        assert AsyncServer(**{option: value}).async_mode == "aiohttp"
    for value in refused:
        with pytest.raises(ValueError, match=option):
            AsyncServer(**{option: value})


def test_what_is_no_option_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown option: no_such_option"):
        AsyncServer(no_such_option=1)


async def test_a_coroutine_function_would_allow_every_origin() -> None:
    async def ask(origin: str) -> bool:
        return False

    with pytest.raises(ValueError, match="cors_allowed_origins"):
        AsyncServer(cors_allowed_origins=ask)


def test_every_method_of_theirs_is_here_with_the_same_arguments() -> None:
    for name, theirs in inspect.getmembers(socketio.AsyncServer, inspect.isfunction):
        if name.startswith("_"):
            continue
        ours = inspect.signature(getattr(AsyncServer, name))
        if name not in NOT_SUPPORTED:
            assert list(ours.parameters) == list(inspect.signature(theirs).parameters), name


async def test_what_is_not_supported_says_so() -> None:
    server = AsyncServer()
    with pytest.raises(NotImplementedError, match="instrument"):
        server.instrument()
    with pytest.raises(TypeError, match="aiohttp"):
        server.attach(object())
    with pytest.raises(TypeError, match="aiohttp"):
        await server.handle_request({"type": "http"}, None, None)


def test_the_docs_have_all_of_it() -> None:
    _, _, section = DOCS.read_text().partition("### AsyncServer: what is not supported")
    assert section
    listed = set(re.findall(r"`(\w+)", section.partition("\n#")[0]))
    refused = {name for name, (_, refused) in OPTIONS.items() if refused}
    assert refused | NOT_SUPPORTED <= listed
    for name in ("http_compression", "compression_threshold", "monitor_clients", "engineio_logger"):
        assert name in listed


async def test_handlers_one_after_the_other(serve: Serve) -> None:
    sio = AsyncServer(async_handlers=False)
    log: list[Any] = []
    done, left = asyncio.Event(), asyncio.Event()

    @sio.event
    async def step(sid: str, n: int) -> int:
        log.append(("start", n))
        await asyncio.sleep(0.001 if n % 2 else 0.003)
        log.append(("end", n))
        if n == 4:
            raise RuntimeError("as the test asked")
        if n == 9:
            done.set()
            await asyncio.sleep(0.01)
            log.append("over")
        return n

    @sio.event
    async def other(sid: str) -> str:
        return "at once"

    @sio.event
    async def disconnect(sid: str, reason: str) -> None:
        log.append("left")
        left.set()

    site = await serve(sio)
    client, _ = await site.client(transports=["websocket"])
    another, _ = await site.client(transports=["websocket"])
    for n in range(10):
        await client.emit("step", n)
    # Nobody else waits.
    assert await another.call("other") == "at once"
    await soon(done.wait())
    await client.disconnect()
    await soon(left.wait())
    assert log == [(what, n) for n in range(10) for what in ("start", "end")] + ["over", "left"]
    with pytest.raises(RuntimeError, match="async_handlers"):
        await sio.call("x", to="y")


async def test_a_client_whose_events_pile_up_is_cut(serve: Serve) -> None:
    sio = AsyncServer(async_handlers=False)
    go_on = asyncio.Event()
    count = 0

    @sio.event
    async def wait(sid: str) -> None:
        nonlocal count
        count += 1
        await go_on.wait()

    site = await serve(sio)
    client, gets = await site.client(transports=["websocket"])
    for _ in range(2000):
        await client.emit("wait")
    assert await soon(gets.get()) == ("disconnect",)
    go_on.set()
    await sio.shutdown()
    assert 1024 <= count <= 1025


@pytest.mark.parametrize("arguments", [1, 2])
async def test_origins_that_a_function_allows(serve: Serve, arguments: int) -> None:
    allowed, asked = {"http://page.example"}, []

    def one(origin: str) -> bool:
        return origin in allowed

    def two(origin: str, environ: Any) -> bool:
        asked.append((environ["HTTP_ORIGIN"], environ["PATH_INFO"], environ["REMOTE_ADDR"]))
        return origin in allowed

    site = await serve(AsyncServer(cors_allowed_origins=one if arguments == 1 else two))
    page = "Origin: http://page.example\r\n"
    http = await RawHttp.open(site.port)
    opened = await http.get(page)
    assert opened.headers["access-control-allow-origin"] == "http://page.example"
    http.target += "&sid=" + opened.body.decode().partition('"sid":"')[2].partition('"')[0]
    assert (await http.post("40", page)).status == 200
    answer = await http.get(page)
    assert answer.body.startswith(b"40{")
    assert answer.headers["access-control-allow-origin"] == "http://page.example"
    # A poll that waits, and one that is not allowed any more.
    http.send(http.request(more=page))
    await site.server.emit("e", 1)
    assert (await http.receive()).body == b'42["e",1]'
    allowed.clear()
    assert (await http.post("3", page)).status == 403
    assert (await http.post("3", f"Origin: http://127.0.0.1:{site.port}\r\n")).status == 403
    # A program.
    async with aiohttp.ClientSession() as web:
        url = f"http://127.0.0.1:{site.port}/socket.io/?EIO=4&transport=polling"
        assert (await web.get(url)).status == 200
    if arguments == 2:
        assert set(asked) == {
            ("http://page.example", "/socket.io/", "127.0.0.1"),
            (f"http://127.0.0.1:{site.port}", "/socket.io/", "127.0.0.1"),
        }


async def test_a_function_that_fails_allows_nothing(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(origin: str) -> bool:
        raise RuntimeError("as the test asked")

    site = await serve(AsyncServer(cors_allowed_origins=fail))
    http = await RawHttp.open(site.port)
    assert (await http.get("Origin: http://page.example\r\n")).status == 403
    assert "as the test asked" in caplog.text


def test_an_application_of_aiohttp_is_one() -> None:
    AsyncServer().attach(web.Application(), socketio_path="/chat/")
