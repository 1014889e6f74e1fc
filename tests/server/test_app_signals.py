"""``ChatServer.listen`` as a process: what SIGINT and SIGTERM do."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from tests.server.chat.peers import Peer

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's"),
]

SERVE = """
import sys, time
from pychat import ChatServer

class Slow:
    def __init__(self, store): self._store = store
    def __getattr__(self, name): return getattr(self._store, name)
    async def close(self):
        time.sleep(30)

server = ChatServer(sys.argv[1], accounts="open")
if len(sys.argv) > 2:
    server.store = Slow(server.store)
server.listen(0, ready=lambda server: print(server.url, flush=True))
"""


async def start(*arguments: str) -> tuple[Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, *arguments, stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
    assert url.startswith("http://127.0.0.1:")
    return process, url


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    process, url = await start(store)
    async with Peer(url, "alice") as alice:
        answer = await alice.send("alice", "kept")
        began = time.monotonic()
        process.send_signal(number)
        await asyncio.wait_for(alice.gone.wait(), 5)
        output, errors = await asyncio.wait_for(process.communicate(), 5)
        assert time.monotonic() - began < 5
    assert (process.returncode, output, errors) == (0, b"", b"")
    process, url = await start(store)
    try:
        async with Peer(url, "alice") as alice:
            page = await alice.ask("history", {"with": "alice"})
            assert [m["id"] for m in page["messages"]] == [answer["id"]]
    finally:
        process.kill()
        await process.communicate()


async def test_a_second_signal_ends_it_at_once() -> None:
    process, _ = await start("memory:", "slow")
    process.send_signal(signal.SIGTERM)
    # It hangs while it closes the store now, whenever that begins.
    async with asyncio.timeout(10):
        while process.returncode is None:
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.2)
    await process.communicate()
    assert process.returncode == -signal.SIGINT
