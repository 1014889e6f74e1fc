"""The demo's bot: what it answers, and whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pychat.cli.commands.bot import BOT, HELP, TRICKS, demo_bot
from pychat.client import ChatClient
from tests.client.watcher import Watcher, started
from tests.serving import serving


@pytest.fixture
async def alice() -> AsyncIterator[Watcher]:
    """Chats with the bot."""
    async with (
        serving(accounts="open") as server,
        ChatClient(server.url, user=BOT) as bot,
        started(ChatClient(server.url, user="alice", password="")) as watcher,
    ):
        task = asyncio.create_task(demo_bot(bot, pause=0).run())
        yield watcher
        task.cancel()


async def test_answers(alice: Watcher) -> None:
    for said, answered in {
        "good evening": "You said: good evening",
        "reverse one two three": "three two one",
        "shout hooray": "HOORAY!",
        "Hello!": "Hello alice! Write **help** to see what I can do.",
        "help": HELP,
        "roll 99d1": "Write it as **roll 2d6**: up to 20 dice of 2 to 999 sides.",
    }.items():
        await alice.client.send(BOT, said)
        await alice.added(answered)


async def test_speaks_in_company_only_when_it_is_named(alice: Watcher) -> None:
    for text in ("anything", "a robotic pipeline", "Bot, shout to all", "thank you, pip!"):
        await alice.client.send("ALL", text)
    await alice.added("TO ALL!")
    await alice.added("You are welcome. 🙂")
    assert not [text for text in alice.texts if text.startswith("You said")]


def test_dice_add_up() -> None:
    throws, total = TRICKS["roll"]("3d6", "alice").removeprefix("🎲 ").split(" = ")
    numbers = [int(throw) for throw in throws.split(" + ")]
    assert len(numbers) == 3
    assert all(1 <= number <= 6 for number in numbers)
    assert sum(numbers) == int(total)
    assert TRICKS["roll"]("d", "alice").startswith("Write it as **roll 2d6**")
