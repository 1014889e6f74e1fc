"""AsyncServer with python-socketio's Redis manager: several servers share their rooms."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import socketio

from pychat.server.engine import AsyncServer
from tests.server.engine.asyncsite import Serve, Site, soon
from tests.server.engine.rawsocket import RawSocket

CHANNEL = "test"


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of its own, which keeps nothing."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder: Path = tmp_path_factory.mktemp("redis")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "Ready to accept connections" in line:
            break
    yield f"redis://127.0.0.1:{port}/0"
    process.terminate()
    process.wait(10)
    process.stdout.close()


Join = Callable[[], Awaitable[Site]]


@pytest.fixture
async def join(serve: Serve, redis_url: str) -> AsyncIterator[Join]:
    """Starts servers that share their rooms; returns when each of them listens."""
    managers: list[Any] = []
    store = redis.asyncio.from_url(redis_url)

    async def join() -> Site:
        manager = socketio.AsyncRedisManager(redis_url, channel=CHANNEL)
        managers.append(manager)
        server = AsyncServer(client_manager=manager)
        site = await serve(server)
        # It listens from its first client on.
        await (await site.client())[0].disconnect()
        async with asyncio.timeout(60):
            while (await store.pubsub_numsub(CHANNEL))[0][1] < len(managers):  # noqa: ASYNC110  # Redis does not tell
                await asyncio.sleep(0.01)
        return site

    yield join
    for manager in managers:
        manager.thread.cancel()
        with suppress(asyncio.CancelledError):
            await manager.thread
        await manager.pubsub.aclose()
        await manager.redis.aclose()
    await store.aclose()


async def until_end(queue: asyncio.Queue[Any]) -> list[Any]:
    """What came before the event ``end``."""
    got = []
    while (item := await soon(queue.get()))[0] != "end":
        got.append(item)
    return got


async def test_an_event_reaches_the_rooms_of_every_server(join: Join) -> None:
    one, two = await join(), await join()
    a, a_gets = await one.client()
    b, b_gets = await two.client()
    await one.server.enter_room(a.get_sid(), "red")
    await two.server.enter_room(b.get_sid(), "red")

    await one.server.emit("all", {"from": "one"})
    await one.server.emit("red", ("two", ["arguments", None]), room="red")
    await one.server.emit("binary", {"a": b"\x00\xff", "b": [b"x" * 70_000]}, room="red")
    await one.server.emit("not a", 1, room="red", skip_sid=a.get_sid())
    await one.server.emit("only b", "한 😀", to=b.get_sid())
    await one.server.emit("end", to="red")

    both = [
        ("all", {"from": "one"}),
        ("red", "two", ["arguments", None]),
        ("binary", {"a": b"\x00\xff", "b": [b"x" * 70_000]}),
    ]
    assert await until_end(a_gets) == both
    assert await until_end(b_gets) == [*both, ("not a", 1), ("only b", "한 😀")]


async def test_one_server_moves_the_clients_of_another(join: Join) -> None:
    one, two = await join(), await join()
    b, b_gets = await two.client()
    sid = b.get_sid()
    await one.server.enter_room(sid, "red")
    await one.server.emit("in red", room="red")
    await one.server.leave_room(sid, "red")
    await one.server.emit("left red", room="red")
    await one.server.enter_room(sid, "blue")
    await one.server.close_room("blue")
    await one.server.emit("blue is closed", room="blue")
    await one.server.emit("end", to=sid)
    assert await until_end(b_gets) == [("in red",)]

    await one.server.disconnect(sid)
    assert await soon(b_gets.get()) == ("disconnect",)
    assert not two.server.manager.is_connected(sid, "/")


async def test_a_callback_comes_back_from_another_server(join: Join) -> None:
    one, two = await join(), await join()
    b, _ = await two.client()

    @b.on("question")
    async def question(data: Any) -> Any:
        return data, "and more"

    answers: asyncio.Queue[Any] = asyncio.Queue()
    await one.server.emit(
        "question", "what?", to=b.get_sid(), callback=lambda *answer: answers.put_nowait(answer)
    )
    assert await soon(answers.get()) == ("what?", "and more")
    assert await soon(one.server.call("question", [1], to=b.get_sid())) == ([1], "and more")


@pytest.mark.e2e
async def test_another_process_emits_without_a_server(join: Join, redis_url: str) -> None:
    site = await join()
    a, a_gets = await site.client()
    _, b_gets = await site.client()
    await site.server.enter_room(a.get_sid(), "red")
    program = f"""
import socketio
manager = socketio.RedisManager({redis_url!r}, channel={CHANNEL!r}, write_only=True)
manager.emit("red", {{"text": "한"}}, room="red")
manager.emit("bytes", b"\\x00")
manager.emit("end", None)
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await asyncio.wait_for(process.wait(), 60) == 0
    assert await until_end(a_gets) == [("red", {"text": "한"}), ("bytes", b"\x00")]
    assert await until_end(b_gets) == [("bytes", b"\x00")]


async def test_a_client_of_protocol_3_gets_it_too(join: Join) -> None:
    one, two = await join(), await join()
    raw = await RawSocket.open(two.port, "EIO=3&transport=websocket")
    await raw.receive()
    assert (await raw.receive())[1] == b"40"
    await one.server.emit("greeting", {"a": 1})
    assert (await raw.receive())[1] == b'42["greeting",{"a":1}]'
    await one.server.emit("bytes", b"\x01")
    assert (await raw.receive())[1] == b'451-["bytes",{"_placeholder":true,"num":0}]'
    assert (await raw.receive())[1] == b"\x04\x01"
    raw.close()
