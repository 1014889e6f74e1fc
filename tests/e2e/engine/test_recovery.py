"""Connection state recovery with Socket.IO's own client 4.8."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE
from typing import Any

import pytest
from aiohttp import web

from pychat.server.engine import AsyncServer
from tests.e2e.engine.matrix import HERE, TRANSPORTS, client_of
from tests.requirements import require_program

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_javascript_client_recovers(transport: str) -> None:
    sio: Any = AsyncServer(connection_state_recovery=60)
    away = asyncio.Event()
    sio.on("disconnect", lambda sid, reason: away.set())
    app = web.Application()
    sio.attach(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    process = await asyncio.create_subprocess_exec(
        require_program("node", "nodejs"), HERE / "recovery.js", client_of("v4"),
        f"http://127.0.0.1:{runner.addresses[0][1]}", TRANSPORTS[transport],
        stdin=PIPE, stdout=PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None

    async def told() -> list[Any]:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        return list(json.loads(line))

    try:
        _, sid, recovered = await told()
        assert recovered is False
        await sio.enter_room(sid, "club")
        for turn in range(3):
            await sio.emit("news", f"seen {turn}")
            assert await told() == ["news", f"seen {turn}"]
            away.clear()
            process.stdin.write(b"\n")
            assert (await told())[0] == "disconnect"
            await asyncio.wait_for(away.wait(), 60)
            await sio.emit("news", f"missed {turn}", room="club")
            told_since = [await told(), await told()]
            # An event that comes with the connection is shown after it.
            assert told_since == [["connect", sid, True], ["news", f"missed {turn}"]]
    finally:
        process.kill()
        await process.communicate()
        await runner.cleanup()
