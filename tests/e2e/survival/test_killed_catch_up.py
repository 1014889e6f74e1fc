"""``kill -9`` while a page of the original protocol is given what it missed."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import pytest

from pychat.server.store import open_store
from tests.e2e.survival.counting import count_all
from tests.e2e.survival.people import Ledger, OriginalPage
from tests.e2e.survival.test_killed_server import SEED
from tests.processes import Serving
from tests.server.store.conftest import Populated

pytestmark = pytest.mark.e2e

KILLS = 6
WRITERS = 5
MESSAGES_EACH = 600


async def write_to_reader(address: str, ledger: Ledger) -> None:
    store = open_store(address)
    await store.open()
    chat = Populated(store)
    reader = await store.create_account("reader", "", None, 1)
    for number in range(WRITERS):
        writer = await chat.account(f"writer{number}")
        pair = await store.open_pair(writer.key, reader.key)
        texts = [f"{writer.id}>reader {n}" for n in range(MESSAGES_EACH)]
        ledger.sent.update(texts)
        for text, where in zip(texts, await chat.say(pair, writer, *texts), strict=True):
            ledger.acknowledge(text, where.seq)
    await store.close()


async def given(ledger: Ledger, different: int) -> None:
    """Returns when the page has got so many different messages."""
    async with asyncio.timeout(60):
        while len(set(ledger.given["reader"])) < different:
            await ledger.news()


async def test_all_of_it_comes_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"sqlite:///{tmp_path}/chat.db"
    ledger = Ledger()
    await write_to_reader(address, ledger)
    options = ("--store", address, "--accounts", "open", "--no-limits")
    server = Serving(*options)
    over = asyncio.Event()
    reader = OriginalPage(ledger, server.url, "reader", 0.0)
    reading = asyncio.create_task(reader.read(over))
    random_ = random.Random(SEED)
    for most in sorted(random_.sample(range(1, len(ledger.sent)), KILLS)):
        await given(ledger, most)
        assert await asyncio.to_thread(server.stop, signal.SIGKILL) == -signal.SIGKILL
        server = await asyncio.to_thread(Serving, *options, port=server.port)
    await given(ledger, len(ledger.sent))
    over.set()
    await reading
    assert await asyncio.to_thread(server.stop) == 0
    counts = await count_all(address, ledger)
    with capsys.disabled():
        print(f"\ncatch-up killed {KILLS} times, seed {SEED}: {counts}")
    counts.assert_nothing_wrong()
    # A kill comes sooner than the proof counts, so each time all of it may come again.
    assert counts.repeated <= KILLS * len(ledger.sent)
