"""Every documented key, as the bytes that terminals send for it, does what the table says."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from pychat.tui.commands.keys import KEYS, show
from tests.e2e.keys_app import DRAFT
from tests.e2e.pseudoterminal import PseudoTerminal
from tests.e2e.tmux import Terminal

pytestmark = pytest.mark.e2e

PATIENCE = 10.0

FINAL = {"up": "A", "down": "B", "end": "F", "home": "H"}
LEGACY_ALONE = {
    "enter": "\r",
    "escape": "\x1b",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "f1": "\x1bOP",
    "plus": "+",
}
KITTY_ALONE = LEGACY_ALONE | {"enter": "\x1b[13u", "escape": "\x1b[27u", "f1": "\x1b[P"}
ONLY_KITTY = {"shift+enter", "ctrl+question_mark"}
"""Other terminals send for them what they send for Enter and Backspace."""


def legacy(name: str) -> str:
    """As xterm sends it, and tmux."""
    *modifiers, key = name.split("+")
    if not modifiers:
        return LEGACY_ALONE.get(key, key)
    if key in FINAL:
        return f"\x1b[1;{3 if modifiers == ['alt'] else 5}{FINAL[key]}"
    if modifiers == ["alt"]:
        return "\x1b" + LEGACY_ALONE.get(key, key)
    assert modifiers == ["ctrl"]
    return chr(ord(key) & 0x1F)


def kitty(name: str, lock: int = 0) -> str:
    """As the kitty protocol has it; ``lock``: 128 while Num Lock is on."""
    *modifiers, key = name.split("+")
    bits = 1 + lock + sum({"shift": 1, "alt": 2, "ctrl": 4}[each] for each in modifiers)
    if key in FINAL:
        return f"\x1b[1;{bits}{FINAL[key]}"
    if not modifiers:
        return KITTY_ALONE.get(key, key)
    if key == "question_mark":
        return f"\x1b[63;{bits}u"
    return f"\x1b[{13 if key == 'enter' else ord(key)};{bits}u"


def urxvt(name: str) -> str:
    """Where it differs: Esc before an arrow for Alt."""
    *modifiers, key = name.split("+")
    if modifiers == ["alt"] and key in FINAL:
        return f"\x1b\x1b[{FINAL[key]}"
    if modifiers == ["ctrl"] and key in FINAL:
        return {"up": "\x1bOa", "down": "\x1bOb", "end": "\x1b[8^", "home": "\x1b[7^"}[key]
    return legacy(name)


class Row(NamedTuple):
    key: str
    action: str
    in_log: bool


ROWS = [Row(name, key.action, key.scope == "log") for key in KEYS for name in key.keys.split(",")]
LEGACY_ROWS = [row for row in ROWS if row.key not in ONLY_KITTY]
ENCODINGS: dict[str, tuple[Callable[[str], str], list[Row]]] = {
    "legacy": (legacy, LEGACY_ROWS),
    "kitty": (kitty, ROWS),
    "kitty-num-lock": (lambda name: kitty(name, 128), ROWS),
    "urxvt": (urxvt, LEGACY_ROWS),
}


class Log:
    """What the keys have done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken = 0

    async def next(self, what: str) -> tuple[str, str, str]:
        """The action, and the text in the composer before and after it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            lines = self._path.read_text().splitlines(True) if self._path.exists() else []
            if len(lines) > self._taken and lines[self._taken].endswith("\n"):
                action, before, after = json.loads(lines[self._taken])
                self._taken += 1
                return action, before, after
            assert time.monotonic() < deadline, f"{what} does nothing"
            await asyncio.sleep(0.02)


async def check(log: Log, press: Callable[[str], None], rows: list[Row]) -> None:
    await log.next("the start")
    wrong = []
    for row in rows:
        if row.in_log:
            press("alt+s")
            await log.next("Alt+S")
        press(row.key)
        try:
            action, before, after = await log.next(show(row.key))
        except AssertionError as error:
            wrong.append(str(error))
            continue
        if (action, before) != (row.action, DRAFT):
            wrong.append(f"{show(row.key)}: {action} with {before!r} instead of {row.action}")
        if after != {"send": "", "newline": DRAFT + "\n"}.get(action, after):
            wrong.append(f"{show(row.key)}: {after!r} after {action}")
    assert not wrong, wrong


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_pseudo_terminal(tmp_path: Path, encoding: str) -> None:
    encode, rows = ENCODINGS[encoding]
    command = [sys.executable, "-m", "tests.e2e.keys_app", str(tmp_path / "log")]
    with PseudoTerminal(command) as terminal:
        await check(Log(tmp_path / "log"), lambda key: terminal.press(encode(key)), rows)


TMUX = {"up": "Up", "down": "Down", "end": "End", "home": "Home", "enter": "Enter"} | {
    "escape": "Escape", "pageup": "PPage", "pagedown": "NPage", "f1": "F1", "plus": "+"
}  # fmt: skip


async def test_tmux(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.e2e.keys_app", str(tmp_path / "log")]
    with Terminal(command, tmp_path / "terminal") as terminal:

        def press(name: str) -> None:
            *modifiers, key = name.split("+")
            prefix = "".join({"alt": "M-", "ctrl": "C-"}[each] for each in modifiers)
            terminal.press(prefix + TMUX.get(key, key))

        await check(Log(tmp_path / "log"), press, LEGACY_ROWS)
