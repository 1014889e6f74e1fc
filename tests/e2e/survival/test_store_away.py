"""The database is killed and started again: senders get 503, and the server recovers by itself."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.survival.counting import count_all
from tests.e2e.survival.load import talking
from tests.processes import Serving
from tests.server.store import ferretdb

pytestmark = pytest.mark.e2e

TIMES = 3


async def health(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz") as answer:
        return answer.status


@pytest.mark.timeout(ferretdb.BUILD_SECONDS)
async def test_killed_and_started_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, port = tmp_path / "ferretdb", ferretdb.free_port()
    with ferretdb.running(folder, port) as database:
        store = f"{database.url}chat"
        server = Serving("--store", store, "--no-limits")
        async with talking(server.url, terminals=2, pause=0.1, slow=0.2) as town:
            for _ in range(TIMES):
                await town.ledger.acknowledged_more(random.randint(5, 20))
                # Only they can be refused: terminals send again.
                await town.ledger.acknowledged_by("program", "page")
                assert await health(server.url) == 200
                database.kill()
                await town.ledger.refused_more(2)
                assert any(terminal.client.status.waiting for terminal in town.terminals)
                assert await health(server.url) == 503
                database.start()
            await town.stop()
        assert await asyncio.to_thread(server.stop) == 0
        counts = await count_all(store, town.ledger)
    with capsys.disabled():
        print(f"\nthe store killed {TIMES} times: {counts}")
    assert f"no answer from {store}: is the database running?" in "".join(server.log)
    assert "Traceback" not in "".join(server.log)
    town.assert_nothing_wrong()
    counts.assert_nothing_wrong()
