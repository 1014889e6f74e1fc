"""The app under test, driven by Pilot: what is on its screen, and waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual import events
from textual.app import App
from textual.pilot import Pilot

from pychat.tui.app import ChatApp

DEADLINE = 60.0
NAMES = {
    " ": "space",
    "\n": "ctrl+j",
    "/": "slash",
    ":": "colon",
    ".": "full_stop",
    "#": "number_sign",
}


def screen_text(app: App[None]) -> str:
    """What a person would read, row by row; nothing while Textual holds painting back, or a widget
    is on its way out: its component styles go before its place does."""
    if app._batch_count:
        return ""
    try:
        strips = app.screen._compositor.render_strips()
    except KeyError:
        return ""
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


async def wait_for(pilot: Pilot[None], condition: Callable[[], object], what: str = "") -> None:
    """Until it is so. Fails with what is on the screen instead."""
    deadline = asyncio.get_running_loop().time() + DEADLINE
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"{what or 'never so'}; on screen:\n{screen_text(pilot.app)}")
        await asyncio.sleep(0.03)
    await pilot.pause()


async def wait_text(pilot: Pilot[None], *texts: str) -> None:
    """Until all of it is on the screen."""
    await wait_for(
        pilot, lambda: all(text in screen_text(pilot.app) for text in texts), f"no {texts}"
    )


async def wait_gone(pilot: Pilot[None], text: str) -> None:
    """Until it is not on the screen."""
    await wait_for(pilot, lambda: text not in screen_text(pilot.app), f"still {text!r}")


async def write(pilot: Pilot[None], text: str) -> None:
    """Types into whatever has the focus, as fast as a terminal hands keys on."""
    for character in text:
        key = NAMES.get(character, character)
        printed = None if character == "\n" else character
        pilot.app.post_message(events.Key(key, printed))
    await pilot.pause()


async def start_with(pilot: Pilot[None], id: str) -> None:
    """Opens the conversation with somebody through the switcher, as a user would."""
    await pilot.press("ctrl+k")
    await wait_text(pilot, "Search people and rooms")
    await write(pilot, id)
    await wait_text(pilot, id)
    await pilot.press("enter")
    app = pilot.app
    assert isinstance(app, ChatApp)
    await wait_for(pilot, lambda: app.chat.current == id, f"{id} did not open")
