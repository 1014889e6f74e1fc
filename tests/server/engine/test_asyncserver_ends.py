"""AsyncServer: disconnects, background tasks, shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pychat.server.engine import AsyncServer
from tests.server.engine.asyncsite import Serve, soon
from tests.server.engine.rawsocket import RawSocket, frame, text


def _says_goodbye(raw: RawSocket) -> None:
    raw.send(text("41"))


def _closes_the_websocket(raw: RawSocket) -> None:
    raw.send(frame(0x88, b""))


def _hangs_up(raw: RawSocket) -> None:
    raw.close()


def _sends_nonsense(raw: RawSocket) -> None:
    raw.send(text("4nonsense"))


def _is_silent(raw: RawSocket) -> None:
    """Until the server gives it up."""


@pytest.mark.parametrize(
    ("leaves", "reason"),
    [
        (_says_goodbye, "client disconnect"),
        (_closes_the_websocket, "transport close"),
        (_hangs_up, "transport close"),
        (_sends_nonsense, "transport error"),
        (_is_silent, "ping timeout"),
    ],
)
async def test_why_a_client_left(
    serve: Serve, leaves: Callable[[RawSocket], None], reason: str
) -> None:
    sio = AsyncServer(ping_interval=0.3, ping_timeout=0.7)
    left: asyncio.Queue[Any] = asyncio.Queue()

    @sio.event
    async def disconnect(sid: str, reason: str) -> None:
        left.put_nowait((reason, await sio.get_session(sid)))

    @sio.event
    async def connect(sid: str, environ: Any) -> None:
        await sio.save_session(sid, {"name": "alice"})

    site = await serve(sio)
    raw = await RawSocket.open(site.port)
    await raw.receive()
    raw.send(text("40"))
    assert (await raw.receive())[1].startswith(b"40{")
    leaves(raw)
    # What was stored for it is there as long as its handler runs.
    assert await soon(left.get()) == (reason, {"name": "alice"})
    raw.close()


async def test_sessions_are_kept_by_namespace(serve: Serve, sio: Any) -> None:
    sio.on("connect", lambda sid, environ: None, namespace="/admin")
    client, _ = await (await serve(sio)).client(namespaces=["/", "/admin"])
    await sio.save_session(client.get_sid(), {"in": "/"})
    await sio.save_session(client.get_sid("/admin"), {"in": "/admin"}, namespace="/admin")
    assert await sio.get_session(client.get_sid()) == {"in": "/"}
    assert await sio.get_session(client.get_sid("/admin"), namespace="/admin") == {"in": "/admin"}


async def test_background_tasks(serve: Serve, sio: Any) -> None:
    async def ticks(room: str, count: int) -> str:
        for number in range(count):
            await sio.emit("tick", number, room=room)
            await sio.sleep(0)
        return "done"

    client, gets = await (await serve(sio)).client()
    task = sio.start_background_task(ticks, client.get_sid(), count=3)
    assert await soon(task) == "done"
    assert [await soon(gets.get()) for _ in range(3)] == [("tick", n) for n in range(3)]


async def test_always_connect_lets_a_handler_of_connect_emit(serve: Serve) -> None:
    sio = AsyncServer(always_connect=True)

    @sio.event
    async def connect(sid: str, environ: Any) -> None:
        await sio.emit("welcome", "early", to=sid)

    site = await serve(sio)
    raw = await RawSocket.open(site.port)
    await raw.receive()
    raw.send(text("40"))
    assert (await raw.receive())[1].startswith(b"40{")
    assert (await raw.receive())[1] == b'42["welcome","early"]'
    raw.close()


async def test_shutdown_tells_everyone(serve: Serve, sio: Any) -> None:
    reasons: list[str] = []

    @sio.event
    async def disconnect(sid: str, reason: str) -> None:
        await asyncio.sleep(0)
        reasons.append(reason)

    site = await serve(sio)
    _, gets = await site.client(transports=["websocket"])
    _, other_gets = await site.client(transports=["polling"])
    await soon(sio.shutdown())
    assert reasons == ["server disconnect"] * 2
    assert await soon(gets.get()) == ("disconnect",)
    assert await soon(other_gets.get()) == ("disconnect",)
