"""Two terminals and a page on one ``pychat serve``: messages all ways, across a restart."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.browser import chromium
from tests.e2e.page.chatpage import ChatPage
from tests.e2e.tmux import Terminal
from tests.processes import PYCHAT, Serving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


class ChatTerminal(Terminal):
    """``pychat connect`` in a terminal."""

    def __init__(self, user: str, url: str, folder: Path) -> None:
        super().__init__(
            [*PYCHAT, "connect", "--user", user, "--server", url],
            folder / user,
            columns=100,
            rows=30,
        )
        self.user = user

    async def log_in(self) -> None:
        await self.expect("Password")
        self.write(f"secret of {self.user}")
        self.press("Enter")
        await self.expect("Create account")
        self.press("Enter")
        await self.expect("Welcome")

    async def begin(self, user: str) -> None:
        self.press("C-k")
        self.write(user)
        await self.expect(f"● {user}")
        self.press("Enter")
        await self.expect(f"Message {user}")

    def say(self, text: str) -> None:
        self.write(text)
        self.press("Enter")

    async def open(self, user: str) -> None:
        self.press("C-k")
        self.write(user)
        self.press("Enter")
        await self.expect(f"Message {user}")


async def test_terminals_and_page_message_each_other_across_a_restart(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'chat.db'}"
    async with chromium() as browser:
        server = Serving("--store", store)
        url, port = server.url, server.port
        try:
            with (
                ChatTerminal("alice", url, tmp_path) as alice,
                ChatTerminal("carol", url, tmp_path) as carol,
            ):
                bob = await ChatPage.open(browser, url)
                await bob.log_in("bob")
                await alice.log_in()
                await carol.log_in()

                await alice.begin("bob")
                alice.say("from alice, 안녕")
                await expect(bob.row("alice")).to_contain_text("from alice, 안녕")
                await alice.expect("from alice, 안녕")
                await bob.begin("alice")
                await bob.write("from bob 🙂")
                await alice.expect("from bob 🙂")
                await bob.expect_state("from bob 🙂", "read")

                await carol.begin("alice")
                carol.say("from carol")
                await alice.expect("from carol")
                await bob.begin("carol")
                await bob.write("bob to carol")
                await carol.expect("bob to carol")

                assert server.stop(signal.SIGTERM) == 0
                await alice.expect("offline")
                alice.say("typed in between")
                await expect(bob.page.get_by_text("No connection.")).to_be_visible()
                await bob.begin("alice")
                await bob.write("bob in between")

                server = Serving("--store", store, port=port)
                await expect(bob.message("typed in between")).to_have_count(1)
                await alice.expect("bob in between")
                screen = await alice.expect("typed in between", "from alice, 안녕", "from bob 🙂")
                for text in ("typed in between", "bob in between", "from alice, 안녕"):
                    log = [line for line in screen.splitlines() if f" {text}" in line]
                    # Once in the log, and perhaps once as the last line in the list.
                    assert len([line for line in log if "you: " + text not in line]) <= 2, screen
                texts = await bob.texts()
                assert sorted(texts) == sorted(
                    ["from alice, 안녕", "from bob 🙂", "typed in between", "bob in between"]
                )
                assert bob.problems == []

                alice.press("C-q")
                assert await alice.exit_status() == 0
        finally:
            server.stop()
