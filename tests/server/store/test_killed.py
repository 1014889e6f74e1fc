"""Acknowledged messages and changes survive a process that is killed at any moment."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path

import pytest

from pychat.server.store import open_store
from pychat.server.store.sqlite import SQLiteStore
from pychat.server.store.transfer.exporting import check
from tests.server.store import ferretdb

Answered = dict[bytes, tuple[int, int]]
Changes = dict[tuple[int, int], tuple[int, str]]
"""Rev and text by place."""


async def append_until_killed(address: str, answered: Answered, changes: Changes) -> None:
    """Kill the process at a random moment after its first answers."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.server.store.appending",
        address,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines = random.randint(1, 300)
    while line := await process.stdout.readline():
        if not line.endswith(b"\n"):
            break
        conversation, seq, client_id, *change = line.decode().split()
        place = int(conversation), int(seq)
        answered[bytes.fromhex(client_id)] = place
        if change:
            changes[place] = int(change[0]), change[1]
        lines -= 1
        if lines == 0:
            process.send_signal(signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL


async def compare(address: str, answered: Answered, changes: Changes) -> dict[str, int]:
    """Open the store and compare it with the answers."""
    store = open_store(address)
    await store.open()
    assert [problem async for problem in check(store) if problem] == []
    stored: dict[bytes, tuple[int, int]] = {}
    doubled = unchanged = 0
    for conversation in {conversation for conversation, _ in answered.values()}:
        after, more, rev = 0, True, 0
        revs = set[int]()
        while more:
            page, more, rev = await store.history(
                conversation, first_seq=1, before=None, after=after, limit=1000
            )
            for message in page:
                after = message.seq
                assert message.client_id is not None
                doubled += message.client_id in stored
                stored[message.client_id] = (conversation, message.seq)
                revs.add(message.rev)
                change = changes.get((conversation, message.seq))
                unchanged += change not in (None, (message.rev, message.data))
        assert revs - {0} == set(range(1, rev + 1))
    if isinstance(store, SQLiteStore):
        await store.index()
    await store.close()
    lost = [key for key, place in answered.items() if stored.get(key) != place]
    return {
        "answered": len(answered),
        "stored": len(stored),
        "lost": len(lost),
        "doubled": doubled,
        "changed": len(changes),
        "unchanged": unchanged,
    }


async def killed(address: str, rounds: int, capsys: pytest.CaptureFixture[str]) -> None:
    answered: Answered = {}
    changes: Changes = {}
    for _ in range(rounds):
        await append_until_killed(address, answered, changes)
    counts = await compare(address, answered, changes)
    with capsys.disabled():
        print(f"\n{rounds} rounds of kill -9: {counts}")
    assert counts["answered"] >= rounds
    assert (counts["lost"], counts["doubled"], counts["unchanged"]) == (0, 0, 0)


@pytest.mark.e2e
async def test_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await killed(f"sqlite:///{tmp_path}/chat.db", 2, capsys)


@pytest.mark.e2e
async def test_sqlite_often(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await killed(f"sqlite:///{tmp_path}/chat.db", 20, capsys)


@pytest.mark.e2e
@pytest.mark.timeout(ferretdb.BUILD_SECONDS)
async def test_mongodb(mongodb: ferretdb.Server, capsys: pytest.CaptureFixture[str]) -> None:
    await killed(f"{mongodb.url}killed", 3, capsys)
