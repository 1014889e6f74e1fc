"""Keys pressed faster than screens open and close: nothing ends, nothing goes astray."""

from __future__ import annotations

import random

import pytest
from textual import events

from pychat.client import ChatClient
from pychat.tui.app import ChatApp
from pychat.tui.commands.keys import KEYS
from pychat.tui.settings import Settings
from tests.serving import serving
from tests.tui.driving import start_with, wait_text, write

pytestmark = pytest.mark.e2e

NAMES = [name for key in KEYS if key.id != "quit" for name in key.keys.split(",")]
EDITING = ["enter", "enter", "escape", "up", "down", "tab", "shift+tab", "backspace", "pageup"]
TEXTS = ["hi", "bob", "/", "/help", "/search x", ":smi", "#room", "**b**", "x.example.org"]


@pytest.mark.parametrize("seed", range(2))
async def test_it_goes_on_whatever_is_pressed(seed: int) -> None:
    rng = random.Random(seed)
    async with serving(accounts="open", limits=False) as server:
        async with ChatClient(server.url, user="bob") as bob:
            await bob.send("ALL", "https://example.org")
        app = ChatApp(ChatClient(server.url, user="alice", password="x password"), Settings())
        async with app.run_test(size=(rng.choice([40, 80, 110]), 24)) as pilot:
            await wait_text(pilot, "● alice")
            for _ in range(40):
                for _ in range(rng.randint(1, 6)):
                    if rng.random() < 0.3:
                        await write(pilot, rng.choice(TEXTS))
                    else:
                        app.post_message(events.Key(rng.choice(NAMES + EDITING), None))
                if rng.random() < 0.5:
                    await pilot.pause()
            for _ in range(8):
                await pilot.press("escape")
            await start_with(pilot, "bob")
            app.chat.view.composer.load("")
            await write(pilot, "still here")
            await pilot.press("enter")
            await wait_text(pilot, "still here")
