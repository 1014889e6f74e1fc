"""A server that lost its store refuses requests, disconnects its clients and ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from pychat.server.chat.delivery import Delivery
from pychat.server.listening import ServeError
from pychat.server.store import StoreLost, StoreUnavailable
from pychat.server.store.memory import MemoryStore
from tests.attack.wire import Closed, connect
from tests.processes import Serving
from tests.serving import serving

MESSAGE = {"sender": "alice", "recepient": "ALL", "data": "into nothing"}


async def test_clients_of_a_lost_store_are_refused_and_disconnected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "chat.db"
    async with serving(f"sqlite:///{path}") as server, aiohttp.ClientSession() as web:
        alice = await connect(web, server.url)
        await alice.login("alice")
        assert (await alice.ask("message", MESSAGE))["code"] == "200"
        path.unlink()
        assert (await alice.ask("message", MESSAGE))["code"] == "503"
        async with asyncio.timeout(60):
            await alice.closed.wait()
            failure = await server.failure()
        assert isinstance(failure, StoreLost)
        for name in ("healthz", "readyz", "socket.io/?EIO=4&transport=polling"):
            assert (await web.get(f"{server.url}/{name}")).status == 503
    critical = [r for r in caplog.records if r.levelno == logging.CRITICAL]
    assert [r.getMessage().count(str(path)) for r in critical] == [1]


async def test_a_part_of_the_server_that_ends_ends_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def break_down(self: Delivery, why: str) -> None:
        raise RuntimeError("a fault")

    async with serving() as server, aiohttp.ClientSession() as web:
        alice = await connect(web, server.url)
        await alice.login("alice")
        monkeypatch.setattr(Delivery, "_log_failing", break_down)
        async with asyncio.timeout(60):
            with pytest.raises((Closed, TimeoutError)):
                await alice.ask("message", MESSAGE)
            await alice.closed.wait()
            assert isinstance(await server.failure(), ServeError)


class FullStore(MemoryStore):
    async def check_ready(self) -> None:
        raise StoreUnavailable("the disk is full")


async def test_the_log_has_one_line_however_often_health_is_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(FullStore(), limits=False) as server, aiohttp.ClientSession() as web:
        for _ in range(5):
            assert (await web.get(f"{server.url}/readyz")).status == 503
    assert [r.getMessage() for r in caplog.records if "disk is full" in r.getMessage()] == [
        "store unavailable: the disk is full"
    ]


@pytest.mark.e2e
def test_the_process_ends_with_one_line_and_starts_again_on_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with Serving("--store", f"sqlite:///{path}") as server:
        path.rename(tmp_path / "moved.db")
        deadline = time.monotonic() + 20
        while server._process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert server.stop(signal.SIGTERM) == 1
        errors = [line for line in server.log if line.startswith("Error: ")]
        assert errors == [
            f"Error: {path} was removed or moved while it was in use: put it back, or restore a"
            " backup with 'pychat store restore', and start again\n"
        ]
        assert "Traceback" not in "".join(server.log)
    (tmp_path / "moved.db").rename(path)
    with Serving("--store", f"sqlite:///{path}") as server:
        assert server.stop() == 0
