"""``pychat connect`` and nothing else: the form on the screen asks for the rest."""

from __future__ import annotations

import termios
from pathlib import Path

import pytest

from pychat.cli.settings.files import login_file
from tests.e2e.pseudoterminal import PseudoTerminal
from tests.e2e.tmux import Terminal
from tests.processes import PYCHAT, Serving, create_account

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
            await terminal.expect("There is no account alice", "Create account alice")
            terminal.press("Enter")
            await terminal.expect("Welcome, alice", "● alice")
            terminal.press("C-d")
            assert await terminal.exit_status() == 0


async def test_a_damaged_cache_does_not_prevent_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    with Serving("--store", "memory:") as server:
        create_account(server.url, "alice")
        cache = login_file(server.url, "alice", ".db")
        cache.write_bytes(b"\xa5\x00\xff{" * 5_000)
        connect = [*PYCHAT, "connect", "--user", "alice", "--server", server.url]
        with PseudoTerminal(connect, columns=120) as terminal:
            await terminal.expect("● alice", "renamed")
            terminal.press("\x11")
            assert await terminal.exit_status() == 0
        with PseudoTerminal(connect) as terminal:
            await terminal.expect("● alice")
            assert "renamed" not in terminal.text()
        assert cache.with_name(f"{cache.name}.unusable-1").exists()


async def test_the_form_takes_what_was_typed_before_it_was_there() -> None:
    with (
        Serving("--store", "memory:") as server,
        PseudoTerminal([*PYCHAT, "connect", "--server", server.url]) as terminal,
    ):
        await terminal.until(
            lambda: not terminal.attributes()[3] & termios.ECHO, "the terminal is not taken"
        )
        terminal.press("alice\ta good password\r")
        await terminal.expect("Create account alice")
        terminal.press("\r")
        await terminal.expect("Welcome, alice", "● alice")
