"""``kill -9`` of the server at random instants under load: what was acknowledged is there."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.survival.counting import Counts, count_all
from tests.e2e.survival.load import Town, talking
from tests.processes import Serving
from tests.server.store import ferretdb

pytestmark = pytest.mark.e2e

SEED = int(os.environ.get("SURVIVAL_SEED") or random.randrange(2**32))
ROUNDS = int(os.environ.get("SURVIVAL_ROUNDS") or 8)


async def kill_and_restart(
    server: Serving, town: Town, random_: random.Random, store: str, most: int
) -> Serving:
    """Now and then it is killed while everybody is still coming back."""
    if random_.random() < 0.75:
        await town.ledger.acknowledged_more(random_.randint(1, most))
    await asyncio.sleep(random_.uniform(0, 0.3))
    town.assert_nothing_wrong()
    assert await asyncio.to_thread(server.stop, signal.SIGKILL) == -signal.SIGKILL
    return await asyncio.to_thread(Serving, "--store", store, "--no-limits", port=server.port)


async def killed(
    store: str, rounds: int, most: int, capsys: pytest.CaptureFixture[str], **load: float
) -> Counts:
    random_ = random.Random(SEED)
    started = time.monotonic()
    server = Serving("--store", store, "--no-limits")
    async with talking(server.url, **load) as town:  # type: ignore[arg-type]  # by name
        for _ in range(rounds):
            server = await kill_and_restart(server, town, random_, store, most)
        await town.stop()
    assert await asyncio.to_thread(server.stop) == 0
    counts = await count_all(store, town.ledger)
    with capsys.disabled():
        print(
            f"\nkill -9, {rounds} rounds, seed {SEED}, {time.monotonic() - started:.0f} s: {counts}"
        )
    town.assert_nothing_wrong()
    return counts


@pytest.mark.timeout(300)
async def test_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = await killed(f"sqlite:///{tmp_path}/chat.db", ROUNDS, 100, capsys)
    assert counts.acknowledged > ROUNDS * 20
    counts.assert_nothing_wrong()


@pytest.mark.timeout(ferretdb.BUILD_SECONDS)
async def test_mongodb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ferretdb.running(tmp_path / "ferretdb") as database:
        counts = await killed(
            f"{database.url}chat", ROUNDS, 10, capsys, terminals=2, pause=0.2, slow=0.5
        )
    assert counts.acknowledged > ROUNDS
    counts.assert_nothing_wrong()
