"""Writes docs/reference/terminal.md's tables and pictures: ``python -m scripts.terminal_page``.

The tables come from the key and command tables, the pictures from the scenes that the snapshot
tests use. Everything between ``<!-- NAME -->`` and ``<!-- end -->`` is replaced.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from html import unescape
from pathlib import Path

import msgspec
from rich.cells import cell_len
from textual.pilot import Pilot

from pychat.client.models import NOT_LOGGED_IN, ConnectionState, Status
from pychat.tui.app import ChatApp
from pychat.tui.commands.keys import KEYS, show
from pychat.tui.commands.slash import COMMANDS
from pychat.tui.settings import Settings
from pychat.tui.themes import CHOICE
from tests.tui import scenes
from tests.tui.driving import wait_text
from tests.tui.scripted import NOW

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "reference" / "terminal.md"

Steps = Callable[[Pilot[None]], Awaitable[None]]


def keys() -> str:
    """The key table in Markdown."""
    rows = ["| Keys | What they do | Id |", "|---|---|---|"]
    for key in KEYS:
        names = ", ".join(show(name) for name in key.keys.split(","))
        rows.append(f"| {names} | {key.does} | `{key.id}` |")
    return "\n".join(rows)


def commands() -> str:
    """The command table in Markdown."""
    rows = ["| Command | What it does |", "|---|---|"]
    rows += [
        f"| `{f'/{command.name} {command.arguments}'.rstrip()}` | {command.does} |"
        for command in COMMANDS
    ]
    return "\n".join(rows)


def settings() -> str:
    """The settings and their defaults in TOML."""
    values = msgspec.to_builtins(Settings())
    written = "".join(
        f"{name} = {msgspec.json.encode(value).decode()}\n"
        for name, value in values.items()
        if not isinstance(value, dict)
    )
    return f"```toml\n[tui]\n{written}```"


def themes() -> str:
    """The themes that are offered."""
    return ", ".join(f"`{name}`" for name in CHOICE)


def page(text: str) -> str:
    """The page with its tables as they are now."""
    for name, made in {
        "keys": keys(),
        "commands": commands(),
        "settings": settings(),
        "themes": themes(),
    }.items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)",
            lambda match, made=made: f"{match[1]}{made}\n{match[2]}",  # type: ignore[misc]
            text,
            flags=re.DOTALL,
        )
    return text


async def open_bob(pilot: Pilot[None]) -> None:
    assert isinstance(pilot.app, ChatApp)
    await wait_text(pilot, "● alice")
    pilot.app.chat.open("bob")
    await wait_text(pilot, "Message Bob Marsh")


def then(*steps: str) -> Steps:
    """Bob's conversation, and these keys."""

    async def run(pilot: Pilot[None]) -> None:
        await open_bob(pilot)
        await pilot.press(*steps)
        await pilot.pause(0.5)

    return run


async def compact(pilot: Pilot[None]) -> None:
    await open_bob(pilot)
    assert isinstance(pilot.app, ChatApp)
    pilot.app.chat.choose_layout("compact")
    await pilot.pause(0.5)


async def first_screen(pilot: Pilot[None]) -> None:
    await wait_text(pilot, "● alice")


async def logging_in(pilot: Pilot[None]) -> None:
    await first_screen(pilot)
    pilot.app.client.set_connection(  # type: ignore[attr-defined] # a ChatApp over a scripted client
        Status(ConnectionState.REFUSED, NOW, reason=NOT_LOGGED_IN)
    )
    await wait_text(pilot, "Log in")


PICTURES: dict[str, tuple[Steps, tuple[int, int], str]] = {
    "welcome": (first_screen, (80, 24), "pychat-dark"),
    "login": (logging_in, (80, 24), "pychat-light"),
    "conversation": (open_bob, (100, 30), "pychat-light"),
    "message": (then("up", "up"), (80, 24), "pychat-dark"),
    "compact": (compact, (80, 24), "pychat-light"),
    "narrow": (open_bob, (40, 20), "pychat-dark"),
    "switcher": (then("ctrl+k", "b"), (80, 24), "pychat-dark"),
    "search": (then("ctrl+f", "o", "n", "c", "e", "enter"), (80, 24), "pychat-light"),
    "commands": (then("slash", "m"), (80, 24), "pychat-dark"),
    "palette": (then("ctrl+p", "m"), (80, 24), "pychat-dark"),
    "help": (then("f1"), (80, 24), "pychat-light"),
}


def widened(drawing: str) -> str:
    """Rich counts characters where a terminal counts cells: Korean would be squeezed."""

    def correct(match: re.Match[str]) -> str:
        text = unescape(match[4])
        width = float(match[2]) * cell_len(text) / len(text)
        return f"{match[1]}{width:g}{match[3]}{match[4]}<"

    return re.sub(r'(textLength=")([\d.]+)("[^>]*>)([^<]+)<', correct, drawing)


async def draw() -> None:
    """All the pictures."""
    for name, (steps, size, theme) in PICTURES.items():
        app = scenes.app(scenes.world(), theme)
        async with app.run_test(size=size) as pilot:
            await steps(pilot)
            drawing = widened(app.export_screenshot(title="pychat", simplify=True))
        (DOCS / "images" / f"terminal-{name}.svg").write_text(drawing, "utf-8")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
    asyncio.run(draw())
