"""``pychat connect`` and nothing else: the form on the screen asks for the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.tmux import Terminal
from tests.processes import PYCHAT, Serving

pytestmark = pytest.mark.e2e


async def test_who_one_is_is_asked_on_the_screen(tmp_path: Path) -> None:
    with Serving("--store", "memory:") as server:
        connect = [*PYCHAT, "connect", "--server", server.url]
        with Terminal(connect, tmp_path / "terminal") as terminal:
            await terminal.expect("Log in", server.url, "Your id")
            terminal.write("alice")
            terminal.press("Tab")
            terminal.write("a good password")
            terminal.press("Enter")
            await terminal.expect("Welcome, alice", "● alice")
            terminal.press("C-d")
            assert await terminal.exit_status() == 0
