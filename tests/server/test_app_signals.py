"""``ChatServer.listen`` as a process: signals."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path

import pytest

from tests.server.chat.peers import Peer

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's"),
]

SERVE = """
import asyncio, sys, time
from pychat import ChatServer

class Slow:
    def __init__(self, store): self._store = store
    def __getattr__(self, name): return getattr(self._store, name)
    async def close(self):
        if sys.argv[2] == "hangs":
            time.sleep(30)
        await asyncio.sleep(2)
        await self._store.close()

server = ChatServer(sys.argv[1], accounts="open")
if len(sys.argv) > 2:
    server.store = Slow(server.store)
server.listen(0, ready=lambda server: print(server.url, flush=True))
"""


async def start(*arguments: str, before: str = "") -> tuple[Process, str]:
    # A shell may have started the tests with SIGHUP ignored.
    default = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", default + before + SERVE, *arguments, stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
    assert url.startswith("http://127.0.0.1:")
    return process, url


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    process, url = await start(store)
    async with Peer(url, "alice") as alice:
        answer = await alice.send("alice", "kept")
        process.send_signal(number)
        await asyncio.wait_for(alice.gone.wait(), 60)
        output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, output, errors) == (0, b"", b"")
    process, url = await start(store)
    try:
        async with Peer(url, "alice") as alice:
            page = await alice.ask("history", {"with": "alice"})
            assert [m["id"] for m in page["messages"]] == [answer["id"]]
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP])
async def test_a_signal_that_says_nothing_changes_nothing(number: signal.Signals) -> None:
    # As under nohup, where SIGHUP is ignored.
    ignore = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    process, url = await start("memory:", before=ignore if number == signal.SIGHUP else "")
    process.send_signal(number)
    async with Peer(url, "alice") as alice:
        assert (await alice.send("alice", "hello"))["code"] == "200"
    process.send_signal(signal.SIGTERM)
    output, errors = await asyncio.wait_for(process.communicate(), 5)
    assert (process.returncode, output, errors) == (0, b"", b"")


async def until_it_is_well(port: int) -> None:
    status = b""
    while status != b"HTTP/1.1 200 OK\r\n":
        with suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            status = await reader.readline()
            writer.close()
        await asyncio.sleep(0.05)


async def start_with_few_descriptors(loop: str, *arguments: str) -> tuple[Process, str]:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
    without = "sys.modules['uvloop'] = None\n" if loop == "asyncio" else ""
    return await start("memory:", *arguments, before=f"import sys\n{limited}{without}")


async def open_more_than_it_can_have(
    process: Process, url: str
) -> list[tuple[StreamReader, StreamWriter]]:
    """All at once, as a server that was busy for a moment finds them."""
    port = int(url.rpartition(":")[2])
    process.send_signal(signal.SIGSTOP)
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
    process.send_signal(signal.SIGCONT)
    return opened


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_with_no_descriptor_left_it_says_so_once_and_recovers(loop: str) -> None:
    process, url = await start_with_few_descriptors(loop)
    opened = await open_more_than_it_can_have(process, url)
    refused = 0
    for reader, _ in opened[100:]:
        with suppress(ConnectionError, TimeoutError):
            refused += b"503" in await asyncio.wait_for(reader.readline(), 1)
    assert refused > 10
    for _, writer in opened:
        writer.close()
    await asyncio.wait_for(until_it_is_well(int(url.rpartition(":")[2])), 60)
    async with Peer(url, "alice") as alice:
        assert (await alice.send("alice", "hello"))["code"] == "200"
    process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert errors.count(b"\n") == 1, errors
    assert b"nearly all of the 100 files and connections" in errors


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_with_no_descriptor_left_it_ends_cleanly(loop: str) -> None:
    # It still ends a second after the refusals, when asyncio's loop tries to listen again.
    process, url = await start_with_few_descriptors(loop, "slow")
    opened = await open_more_than_it_can_have(process, url)
    assert process.stderr is not None
    errors = await asyncio.wait_for(process.stderr.readline(), 60)
    assert b"nearly all of the 100 files and connections" in errors
    process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    for _, writer in opened:
        writer.close()
    assert process.returncode == 0
    assert errors == b""


async def test_a_second_signal_ends_it_at_once() -> None:
    process, _ = await start("memory:", "hangs")
    process.send_signal(signal.SIGTERM)
    # It hangs while it closes the store now, whenever that begins.
    async with asyncio.timeout(60):
        while process.returncode is None:
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.2)
    await process.communicate()
    assert process.returncode == -signal.SIGINT
