"""``kill -9`` of ``pychat import`` at random instants: started again, it goes on."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest

from pychat.server.store import open_store
from pychat.server.store.transfer.exporting import export_lines
from tests.e2e.survival.test_killed_server import SEED
from tests.processes import PYCHAT, run_pychat
from tests.server.store import ferretdb
from tests.server.store.conftest import Populated

pytestmark = pytest.mark.e2e

ROUNDS = int(os.environ.get("SURVIVAL_ROUNDS") or 4)


async def an_export(folder: Path, messages: int) -> list[bytes]:
    """Some accounts in pairs; every third message has no client id."""
    store = open_store(f"sqlite:///{folder}/source.db")
    await store.open()
    chat = Populated(store)
    accounts = [await chat.account(f"user{number}") for number in range(6)]
    for one, other in pairwise(accounts):
        pair = await store.open_pair(one.key, other.key)
        await store.append(
            [
                chat.message(pair, one, f"number {number}", uuid4().bytes if number % 3 else None)
                for number in range(messages // 5)
            ]
        )
    lines = [line async for line in export_lines(store)]
    await store.close()
    return lines


def kill_midway(address: str, lines: Sequence[bytes], fed: int) -> None:
    """After it was given so many lines, of which it has read all but what fits in a pipe."""
    process = subprocess.Popen(
        [*PYCHAT, "import", "--store", address, "-"],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(b"".join(lines[:fed]))
    process.stdin.flush()
    process.kill()
    process.wait()
    process.stdin.close()


async def survive(
    address: str, folder: Path, messages: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = await an_export(folder, messages)
    random_ = random.Random(SEED)
    # Ever farther, so that each one has something to go on from.
    for fed in sorted(random_.randrange(len(lines)) for _ in range(ROUNDS)):
        await asyncio.to_thread(kill_midway, address, lines, fed)
    done = await asyncio.to_thread(
        run_pychat, "import", "--store", address, "-", input=b"".join(lines)
    )
    assert done.returncode == 0, done.stderr
    checked = await asyncio.to_thread(run_pychat, "store", "check", "--store", address)
    again = await asyncio.to_thread(run_pychat, "export", "--store", address, "-")
    lost = len(set(lines) - set(again.stdout.encode().splitlines(keepends=True)))
    with capsys.disabled():
        print(
            f"\nimport killed {ROUNDS} times, seed {SEED}: {done.stderr.splitlines()[-1]}", end=""
        )
        print(f" Lines {len(lines)}, lost {lost}")
    assert checked.returncode == 0, checked.stdout
    assert again.stdout.encode() == b"".join(lines)


async def test_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await survive(f"sqlite:///{tmp_path}/chat.db", tmp_path, 20_000, capsys)


@pytest.mark.timeout(ferretdb.BUILD_SECONDS)
async def test_mongodb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ferretdb.running(tmp_path / "ferretdb") as database:
        await survive(f"{database.url}chat", tmp_path, 2_000, capsys)
