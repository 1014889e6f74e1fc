"""However the terminal client ends, the terminal is as it was before, with the usual status."""

from __future__ import annotations

import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.pseudoterminal import PseudoTerminal
from tests.processes import PYCHAT, Serving, create_account
from tests.requirements import require_program

pytestmark = pytest.mark.e2e

CRASHING = """
import sys
from pychat.cli.main import main
from pychat.tui.app import ChatApp

def fail(self, *arguments):
    raise RuntimeError("a fault")

ChatApp.{where} = fail
main()
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Serving("--store", "memory:", "--accounts", "open") as server:
        create_account(server.url, "alice")
        yield server.url


@pytest.fixture(autouse=True)
def logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")


def connect(url: str, *more: str) -> list[str]:
    return [*PYCHAT, "connect", "--user", "alice", "--server", url, *more]


def check(terminal: PseudoTerminal) -> None:
    assert terminal.modes() == set()
    assert terminal.attributes() == terminal.before


ENDS = {
    "quit": ("\x11", 0),
    "end": ("\x04", 0),
    "terminate": (signal.SIGTERM, 143),
    "hang up": (signal.SIGHUP, 129),
    "interrupt": (signal.SIGINT, 130),
}


@pytest.mark.parametrize("end", ENDS)
async def test_on_the_first_screen(url: str, end: str) -> None:
    by, status = ENDS[end]
    with PseudoTerminal(connect(url)) as terminal:
        await terminal.expect("● alice")
        assert {25, 1000, 1049, 2004} <= terminal.modes()
        terminal.press("a draft")
        await terminal.expect("a draft")
        terminal.press(by) if isinstance(by, str) else terminal.kill(by)
        assert await terminal.exit_status() == status
        check(terminal)
    with PseudoTerminal(connect(url)) as terminal:
        await terminal.expect("a draft")


@pytest.mark.parametrize("end", ["quit", "terminate", "hang up", "interrupt"])
async def test_on_the_form(url: str, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.delenv("PYCHAT_PASSWORD")
    by, status = ENDS[end]
    with PseudoTerminal([*PYCHAT, "connect", "--server", url]) as terminal:
        await terminal.expect("Your id")
        terminal.press(by) if isinstance(by, str) else terminal.kill(by)
        assert await terminal.exit_status() == status
        check(terminal)


@pytest.mark.parametrize("end", ["quit", "terminate", "interrupt"])
async def test_before_there_is_anything_to_see(url: str, end: str) -> None:
    by, status = ENDS[end]
    with PseudoTerminal(connect(url)) as terminal:
        await terminal.until(
            lambda: not terminal.attributes()[3] & termios.ECHO, "the terminal is not taken"
        )
        terminal.press(by) if isinstance(by, str) else terminal.kill(by)
        assert await terminal.exit_status() == status
        check(terminal)
        assert "Traceback" not in terminal.text()
        assert "Error" not in terminal.text()


async def test_while_it_starts(url: str) -> None:
    with PseudoTerminal(connect(url)) as terminal:
        await terminal.until(lambda: 1049 in terminal.modes(), "nothing is drawn")
        terminal.press("typed early\x11")
        assert await terminal.exit_status() == 0
        check(terminal)
        assert "Traceback" not in terminal.text()
    with PseudoTerminal(connect(url), typed=b"with this") as terminal:
        await terminal.expect("typed earlywith this")


async def test_a_second_signal_does_not_wait(url: str) -> None:
    with PseudoTerminal(connect(url)) as terminal:
        await terminal.expect("● alice")
        terminal.kill(signal.SIGTERM)
        terminal.kill(signal.SIGHUP)
        assert await terminal.exit_status() in (129, 143)
        check(terminal)


async def test_the_window_is_closed(url: str) -> None:
    with PseudoTerminal(connect(url)) as terminal:
        await terminal.expect("● alice")
        terminal.press("kept all the same")
        await terminal.expect("kept all the same")
        terminal.hang_up()
        assert await terminal.exit_status() == 129
    with PseudoTerminal(connect(url)) as terminal:
        await terminal.expect("kept all the same")


@pytest.mark.parametrize("where", ["action_help", "on_ready", "on_mount", "on_unmount"])
async def test_a_fault_in_the_program(url: str, where: str) -> None:
    program = [sys.executable, "-c", CRASHING.format(where=where), *connect(url)[len(PYCHAT) :]]
    with PseudoTerminal(program) as terminal:
        if where in ("action_help", "on_unmount"):
            await terminal.expect("● alice")
            terminal.press("\x1bOP" if where == "action_help" else "\x11")
        assert await terminal.exit_status() == 1
        check(terminal)
        assert "fault in pychat" in terminal.text() or "internal error" in terminal.text()
        assert "Traceback" not in terminal.text()


async def test_the_demo(tmp_path: Path) -> None:
    with PseudoTerminal([*PYCHAT, "demo"]) as terminal:
        await terminal.expect("● guest")
        terminal.kill(signal.SIGTERM)
        assert await terminal.exit_status() == 143
        check(terminal)


@pytest.mark.parametrize("end", ["terminate", "hang up", "interrupt"])
async def test_without_a_screen(url: str, end: str) -> None:
    by, status = ENDS[end]
    with PseudoTerminal(connect(url, "--plain")) as terminal:
        await terminal.expect("Connected")
        assert isinstance(by, signal.Signals)
        terminal.kill(by)
        assert await terminal.exit_status() == status
        check(terminal)


@pytest.mark.parametrize("end", ["terminate", "hang up", "interrupt"])
async def test_while_a_password_is_typed(
    url: str, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.delenv("PYCHAT_PASSWORD")
    by, status = ENDS[end]
    with PseudoTerminal([*PYCHAT, "users", "--user", "new", "--server", url]) as terminal:
        await terminal.until(
            lambda: not terminal.attributes()[3] & termios.ECHO, "no password is asked for"
        )
        assert isinstance(by, signal.Signals)
        terminal.kill(by)
        assert await terminal.exit_status() == status
        check(terminal)


async def test_it_is_suspended_and_comes_back(url: str) -> None:
    shell = [require_program("bash"), "--norc", "--noprofile", "-i"]
    with PseudoTerminal(shell, environment={"PS1": "ready> "}) as terminal:
        await terminal.expect("ready> ")
        command = " ".join(connect(url))
        terminal.press(f"{command}\r")
        await terminal.expect("● alice")
        for _ in range(2):
            start = len(terminal.written)
            terminal.press("\x1a")
            await terminal.expect("Stopped", "ready> ", start=start)
            # The shell edits lines by itself: what the program has to give back is the rest.
            assert terminal.modes() - {2004} == set()
            terminal.press("stty -a; echo done\r")
            await terminal.expect("done", " echo ", " icanon ", start=start)
            start = len(terminal.written)
            terminal.press("fg\r")
            await terminal.expect("● alice", "Ctrl+K new chat", start=start)
            start = len(terminal.written)
            terminal.press("back again")
            await terminal.expect("back again", start=start)
        start = len(terminal.written)
        terminal.press("\x11")
        await terminal.expect("ready> ", start=start)
        assert terminal.modes() - {2004} == set()
        terminal.press("exit\r")
        assert await terminal.exit_status() == 0


async def test_where_no_shell_could_bring_it_back_it_goes_on(url: str) -> None:
    with PseudoTerminal(connect(url)) as terminal:
        await terminal.expect("● alice")
        start = len(terminal.written)
        terminal.press("\x1a")
        await terminal.expect("● alice", start=start)
        terminal.press("\x11")
        assert await terminal.exit_status() == 0
        check(terminal)
