"""Exhaustion: floods, the slow and the huge, against a process, while others want to talk.

Each attack runs for ``ATTACK_SECONDS``; with ``ATTACK_P99_MS`` (``nox -s attack``: 50) the others'
99th percentile must stay below it, else only a second, because machines differ.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pychat.protocol import MAX_BYTES_BEFORE_LOGIN
from tests.attack.bystander import bystanders
from tests.attack.process import ServerProcess, server_process
from tests.attack.report import Tell
from tests.attack.wire import browsing, connect, open_socket

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.alone,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory from /proc"),
]

SECONDS = float(os.environ.get("ATTACK_SECONDS", "2"))
P99_MS = float(os.environ.get("ATTACK_P99_MS", "inf"))
KEPT_MB = 40.0
"""An allocator gives back late and in large pieces."""

Attack = Callable[[ServerProcess, aiohttp.ClientSession], Awaitable[tuple[int, str]]]
"""Runs for some seconds; how often it tried and what it saw."""

ATTACKS: list[tuple[str, Attack]] = []


def attack(what: str) -> Callable[[Attack], Attack]:
    def register(run: Attack) -> Attack:
        ATTACKS.append((what, run))
        return run

    return register


def until_it_is_over() -> Callable[[], bool]:
    end = time.monotonic() + SECONDS
    return lambda: time.monotonic() < end


@asynccontextmanager
async def raw(server: ServerProcess) -> AsyncIterator[tuple[Any, Any]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def trickle(reader: asyncio.StreamReader, writer: Any, beginning: bytes) -> float:
    """A request's beginning, then two bytes a second; the seconds until the server has enough."""
    started = time.monotonic()
    with suppress(ConnectionError):
        writer.write(beginning)
        while not reader.at_eof() and time.monotonic() - started < 60:
            writer.write(b"X")
            await writer.drain()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await reader.read(1)
    return time.monotonic() - started


async def polling_request(server: ServerProcess, web: aiohttp.ClientSession) -> bytes:
    """The head of a POST of a new session's, up to its length."""
    async with web.get(f"{server.url}/socket.io/?EIO=4&transport=polling") as response:
        sid = json.loads((await response.text())[1:])["sid"]
    return f"POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: x\r\n".encode()


async def attacker(
    web: aiohttp.ClientSession, server: ServerProcess, name: str = "mallory"
) -> aiohttp.ClientWebSocketResponse:
    """Logged in, with nobody reading what comes."""
    socket = await open_socket(web, server.url)
    await socket.send_str("40")
    login = {"id": name, "password": "x password", "protocol": 1}
    await socket.send_str("420" + json.dumps(["login", login]))
    while not (await socket.receive_str()).startswith("430"):
        pass
    return socket


async def pour(socket: aiohttp.ClientWebSocketResponse, frames: list[str]) -> int:
    """Sends these frames again and again, reading nothing but what must be; how many."""
    sent = 0
    with suppress(ConnectionError, aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(SECONDS):
            for frame in cycle(frames):
                if socket.closed:
                    break
                await socket.send_str(frame)
                sent += 1
                if sent % len(frames) == 0:
                    await asyncio.sleep(0)
    return sent


async def drain(socket: aiohttp.ClientWebSocketResponse) -> int:
    """Reads and forgets; how many answers said 429."""
    refused = 0
    async for frame in socket:
        refused += '"429"' in str(frame.data)[:200]
    return refused


async def pour_and_drain(
    web: aiohttp.ClientSession, server: ServerProcess, connections: int, frames: list[str]
) -> tuple[int, str]:
    sockets = [await attacker(web, server, f"mallory {n}") for n in range(connections)]
    readers = [asyncio.create_task(drain(socket)) for socket in sockets]
    sent = sum(await asyncio.gather(*(pour(socket, frames) for socket in sockets)))
    cut = sum(socket.closed for socket in sockets)
    for socket in sockets:
        # The server reads a flood at its pace: a close would come after all of it.
        if socket._response.connection is not None:
            socket._response.connection.transport.abort()  # type: ignore[union-attr]  # it is open
    refused = sum(await asyncio.gather(*readers))
    return sent, f"{refused:,} refused with 429, {cut} of {connections} connections closed"


@attack("a thousand websockets from one address")
async def many_sockets(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    opened: list[aiohttp.ClientWebSocketResponse] = []
    statuses: dict[str, int] = {}

    async def open_one() -> None:
        try:
            opened.append(await open_socket(web, server.url))
        except aiohttp.WSServerHandshakeError as error:
            statuses[str(error.status)] = statuses.get(str(error.status), 0) + 1
        except (ConnectionError, aiohttp.ClientError):
            statuses["cut"] = statuses.get("cut", 0) + 1

    await asyncio.gather(*(open_one() for _ in range(1000)))
    assert set(statuses) <= {"429", "cut"}, statuses
    assert len(opened) < 500, f"{len(opened)} were let in"
    for socket in opened:
        await socket.close()
    return 1000, f"{len(opened)} let in, the others refused: {statuses}"


@attack("a thousand connections that say nothing")
async def idle_connections(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    pairs = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(1000)]
    await asyncio.sleep(1)
    cut = sum(reader.at_eof() or b"429" in reader._buffer for reader, _ in pairs)
    for _, writer in pairs:
        writer.close()
    assert cut > 500, f"only {cut} were refused"
    return 1000, f"{cut} refused with 429"


@attack("a thousand connections that poll one session")
async def many_polls(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    post, pairs, served = await polling_request(server, web), [], 0
    for _ in range(1000):
        with suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            pairs.append((reader, writer))
            # A second request, so that the server has taken it for a connection that polls.
            for _ in range(2):
                writer.write(post + b"Content-Length: 1\r\n\r\n6")
                answer = await reader.read(1000)
                if not answer.startswith(b"HTTP/1.1 200 "):
                    break
            else:
                served += 1
    for _, writer in pairs:
        writer.close()
    assert 0 < served < 500, f"{served} were served at a time"
    return 1000, f"{served} served at a time"


@attack("headers that come a byte at a time on a connection that polls")
async def slow_polls(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    post = await polling_request(server, web)

    async with raw(server) as (reader, writer):
        for _ in range(2):
            writer.write(post + b"Content-Length: 1\r\n\r\n6")
            answer = await reader.readuntil(b"\r\n\r\nok")
            assert answer.startswith(b"HTTP/1.1 200 ")
        lasted = await trickle(reader, writer, post)
    assert lasted < 30, f"it was kept for {lasted:.0f} s"
    return 1, f"closed after {lasted:.0f} s"


@attack("headers that come a byte at a time")
async def slow_headers(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    async def one() -> float:
        async with raw(server) as (reader, writer):
            return await trickle(reader, writer, b"GET / HTTP/1.1\r\nHost: x\r\n")

    lasted = await asyncio.gather(*(one() for _ in range(50)))
    assert max(lasted) < 30, f"one was kept for {max(lasted):.0f} s"
    return len(lasted), f"closed after {max(lasted):.0f} s"


@attack("a request's body that comes a byte at a time")
async def slow_bodies(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    async def trickle() -> float:
        url = f"{server.url}/socket.io/?EIO=4&transport=polling"
        async with web.get(url) as response:
            sid = json.loads((await response.text())[1:])["sid"]
        started = time.monotonic()
        async with raw(server) as (reader, writer):
            writer.write(
                f"POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: x\r\n"
                "Content-Length: 100000\r\n\r\n".encode()
            )
            with suppress(ConnectionError):
                while not reader.at_eof() and time.monotonic() - started < 90:
                    writer.write(b"4")
                    await writer.drain()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.5):
                            if await reader.read(1):
                                break
        return time.monotonic() - started

    lasted = await asyncio.gather(*(trickle() for _ in range(50)))
    assert min(lasted) > 1, "it was refused before it could be slow"
    assert max(lasted) < 60, f"one was kept for {max(lasted):.0f} s"
    return len(lasted), f"closed after {max(lasted):.0f} s"


@attack("rounds of 100 messages that are sent by half")
async def half_sent(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    """By frames and by bodies, of many sizes: what they leave is in pieces."""
    upgrade = (
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )

    async def half(number: int) -> Any:
        size = 60_000 + 600 * number
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        if number % 2:
            writer.write(upgrade)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"\x81\xff" + (size + 100).to_bytes(8) + bytes(4) + b"x" * size)
        else:
            writer.write(await polling_request(server, web))
            writer.write(b"Content-Length: %d\r\n\r\n" % (size + 100) + b"x" * size)
        with suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(writer.drain(), 5)
        return writer

    before, peak = server.resident(), 0.0
    for _ in range(4):
        writers = await asyncio.gather(*(half(number) for number in range(100)))
        await asyncio.sleep(0.5)
        peak = max(peak, server.resident())
        for writer in writers:
            writer.transport.abort()
    return 400, f"grew by {max(0, peak - before):.0f} MB at most"


@attack("pings of a client that never reads the pongs")
async def unread_pongs(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    before, peak, sent = server.resident(), 0.0, 0
    async with raw(server) as (reader, writer):
        writer.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        ping = b"\x89\xfd\0\0\0\0" + b"p" * 125
        going = until_it_is_over()
        with suppress(ConnectionError, TimeoutError):
            while going():
                writer.write(ping * 1000)
                sent += 1000
                async with asyncio.timeout(1):
                    await writer.drain()
                peak = max(peak, server.resident())
    assert peak < before + KEPT_MB, f"grew by {peak - before:.0f} MB"
    return sent, f"grew by {max(0, peak - before):.0f} MB at most"


@attack("somebody who never reads what is said to ALL")
async def slow_reader(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    readers = [await attacker(web, server, f"sleeper {n}") for n in range(5)]
    for reader in readers:
        reader._response.connection.transport.pause_reading()  # type: ignore[union-attr]  # it is open
    before, peak = server.resident(), 0.0
    message = {"sender": "mallory", "recepient": "ALL", "command": "chat", "data": "x" * 60_000}
    loud = await connect(web, server.url)
    await loud.login("mallory")
    going, said = until_it_is_over(), 0
    while going():
        answer = await loud.ask("message", message)
        said += answer["code"] == "200"
        if answer["code"] == "429":
            await asyncio.sleep(answer["retryAfter"])
        peak = max(peak, server.resident())
    await loud.close()
    assert peak < before + 60 + KEPT_MB, f"grew by {peak - before:.0f} MB"
    return said, f"grew by {max(0, peak - before):.0f} MB at most"


@attack("compressed bombs, 100 MB each")
async def gzip_bombs(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    bomb = gzip.compress(b"4" * 100_000_000, compresslevel=9)
    assert len(bomb) < MAX_BYTES_BEFORE_LOGIN, "it would be refused by its own length"
    before, peak = server.resident(), 0.0
    statuses: dict[int, int] = {}
    times = 5
    for _ in range(times):
        async with web.get(f"{server.url}/socket.io/?EIO=4&transport=polling") as response:
            sid = json.loads((await response.text())[1:])["sid"]
        with suppress(ConnectionError, aiohttp.ClientError):
            async with web.post(
                f"{server.url}/socket.io/?EIO=4&transport=polling&sid={sid}",
                data=bomb,
                headers={"Content-Encoding": "gzip"},
            ) as response:
                statuses[response.status] = statuses.get(response.status, 0) + 1
        peak = max(peak, server.resident())
    assert peak < before + KEPT_MB
    assert set(statuses) <= {400, 413}, statuses
    return times, f"refused: {statuses}"


@attack("compressed websocket frames, which were not agreed on")
async def deflated_frames(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    for _ in range(3):
        async with raw(server) as (reader, writer):
            writer.write(
                b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
                b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"permessage-deflate" not in head
            writer.write(b"\xc1\x84\0\0\0\0ABCD")
            async with asyncio.timeout(5):
                await reader.read(-1)
    return 3, "no compression agreed, connection closed"


@attack("polls with half a million packets")
async def many_packets(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    async def post(body: bytes) -> str:
        async with web.get(f"{server.url}/socket.io/?EIO=4&transport=polling") as response:
            sid = json.loads((await response.text())[1:])["sid"]
        url = f"{server.url}/socket.io/?EIO=4&transport=polling&sid={sid}"
        try:
            async with asyncio.timeout(SECONDS), web.post(url, data=body) as response:
                return str(response.status)
        except TimeoutError:
            return "still being read"

    bodies = [b"6\x1e" * 400_000 + b"6", b"3\x1e" * 400_000 + b"3", b"4\x1e" * 400_000 + b"4"]
    became = await asyncio.gather(*(post(body) for body in bodies))
    return len(bodies), f"answered {dict(Counter(became))}"


async def ask_again_and_again(server: ServerProcess, paths: list[str]) -> tuple[int, str]:
    """On 50 connections that are kept open, eight requests under way on each."""
    statuses: Counter[str] = Counter()

    async def ask() -> None:
        requests = "".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths * 4)
        async with raw(server) as (reader, writer):
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while going():
                    writer.write(requests.encode())
                    for _ in range(len(paths) * 4):
                        head = await reader.readuntil(b"\r\n\r\n")
                        length = re.search(rb"(?i)content-length: (\d+)", head)
                        await reader.readexactly(int(length[1]) if length else 0)
                        statuses[head.split(b" ", 2)[1].decode()] += 1

    going = until_it_is_over()
    await asyncio.gather(*(ask() for _ in range(50)))
    return statuses.total(), f"answered {dict(statuses)}"


@attack("a flood of requests for pages and health")
async def page_flood(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    return await ask_again_and_again(server, ["/healthz", "/"])


@attack("a flood of handshakes")
async def handshake_flood(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    path = "/socket.io/?EIO=4&transport=polling"
    return await ask_again_and_again(server, [path, path + "&sid=unknown"])


@attack("a flood of frames that mean nothing")
async def noop_flood(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    return await pour_and_drain(web, server, 10, ["6"] * 500)


@attack("a flood of events that are no events")
async def nonsense_flood(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    return await pour_and_drain(web, server, 10, ['42["nonsense",{}]'] * 500)


@attack("a flood of malformed messages")
async def malformed_flood(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    return await pour_and_drain(web, server, 10, ['427["message",{"sender":1}]'] * 500)


@attack("a flood of messages")
async def message_flood(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    message = {"sender": "mallory 0", "recepient": "ALL", "command": "chat", "data": "x"}
    frames = [
        "421" + json.dumps(["message", {**message, "sender": f"mallory {n}"}]) for n in range(10)
    ]
    return await pour_and_drain(web, server, 10, frames * 50)


@attack("a flood of the largest frames")
async def giant_flood(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    giant = '42["message",{"data":[' + "0," * 490_000 + "0]}]"
    return await pour_and_drain(web, server, 10, [giant])


@attack("a flood of 60 kB messages to ALL")
async def loud_flood(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    frames = [
        "421"
        + json.dumps(
            ["message", {"sender": f"mallory {n}", "recepient": "ALL", "data": "x" * 60_000}]
        )
        for n in range(10)
    ]
    return await pour_and_drain(web, server, 10, frames)


@attack("a flood of rooms")
async def room_flood(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    frames = [
        "421" + json.dumps(["room", {"command": "create", "roomId": f"{n}{'r' * 55}"}])
        for n in range(2000)
    ]
    return await pour_and_drain(web, server, 10, frames)


@attack("a flood of logins")
async def login_flood(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    login = ["login", {"id": "nobody", "password": "x password", "protocol": 1}]
    return await pour_and_drain(web, server, 10, ["421" + json.dumps(login)] * 10)


@attack("a flood of searches and histories")
async def query_flood(server: ServerProcess, web: aiohttp.ClientSession) -> tuple[int, str]:
    queries = [
        ["search", {"text": "x"}],
        ["history", {"with": "ALL", "limit": 100}],
        ["users", {"query": ""}],
        ["conversations", {}],
    ]
    return await pour_and_drain(web, server, 10, ["421" + json.dumps(q) for q in queries] * 20)


# One of each kind, where nobody asked for all (``nox -s attack``): all of them take minutes.
OF_EACH_KIND = {
    "a thousand websockets from one address",
    "a request's body that comes a byte at a time",
    "somebody who never reads what is said to ALL",
    "compressed bombs, 100 MB each",
    "a flood of messages",
    "a flood of the largest frames",
    "a flood of requests for pages and health",
}
CHOSEN = [
    (what, run) for what, run in ATTACKS if "ATTACK_SECONDS" in os.environ or what in OF_EACH_KIND
]


@pytest.mark.parametrize(("what", "run"), CHOSEN, ids=[what for what, _ in CHOSEN])
async def test_others_are_served_throughout(
    tmp_path: Path, tell: Tell, what: str, run: Attack
) -> None:
    async with server_process(tmp_path) as server, browsing() as web:
        async with bystanders(server.url) as watched:
            before = server.resident()
            used, started = server.processor_time(), time.monotonic()
            times, became = await run(server, web)
            await asyncio.sleep(max(0.0, started + SECONDS - time.monotonic()))
            busy = (server.processor_time() - used) / (time.monotonic() - started)
        # It looks every 5 s for memory to give back.
        for _ in range(20):
            kept = server.resident() - before
            if kept < KEPT_MB / 4:
                break
            await asyncio.sleep(0.5)
        experience = watched.experience
        tell(what, times, f"{became}; {experience}; busy {busy:.0%}, kept {kept:+.0f} MB")
        assert server.errors() == []
        assert server.process.returncode is None
        assert experience.failed == 0
        assert experience.p99 < P99_MS, str(experience)
        assert kept < KEPT_MB, f"{kept:.0f} MB were kept"
