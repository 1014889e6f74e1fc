"""Pictures of each screen, compared with those that somebody has looked at.

``pytest tests/tui/test_snapshots.py --snapshot-update`` takes new ones: look at them, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from pychat.client.models import NOT_LOGGED_IN, ConnectionState, Status, UserInfo
from pychat.tui.app import ChatApp
from tests.tui import scenes
from tests.tui.driving import wait_text
from tests.tui.scripted import NOW

SIZES = [(80, 24), (40, 20), (200, 50)]
THEMES = ["pychat-dark", "pychat-light"]
Steps = Callable[[Pilot[None]], Awaitable[None]]


def _name(value: Any) -> str:
    if isinstance(value, tuple):
        return f"{value[0]}x{value[1]}"
    return str(getattr(value, "__name__", value))


async def open_bob(pilot: Pilot[None]) -> None:
    assert isinstance(pilot.app, ChatApp)
    await nothing(pilot)
    pilot.app.chat.open("bob")
    await wait_text(pilot, "Message Bob Marsh")


async def nothing(pilot: Pilot[None]) -> None:
    await wait_text(pilot, "● alice")


async def switcher(pilot: Pilot[None]) -> None:
    await open_bob(pilot)
    await pilot.press("ctrl+k", "b", "o")
    await wait_text(pilot, "Bobby Tables")


async def helped(pilot: Pilot[None]) -> None:
    await open_bob(pilot)
    await pilot.press("f1")
    await wait_text(pilot, "Conversations")


async def searched(pilot: Pilot[None]) -> None:
    await open_bob(pilot)
    await pilot.press("ctrl+f", *"once", "enter")
    await wait_text(pilot, "1 of 1")


async def completing(pilot: Pilot[None]) -> None:
    await open_bob(pilot)
    await pilot.press("slash", "m")
    await wait_text(pilot, "/mute")


async def refused(pilot: Pilot[None]) -> None:
    await nothing(pilot)
    pilot.app.client.set_connection(  # type: ignore[attr-defined] # a ChatApp over a scripted client
        Status(ConnectionState.REFUSED, NOW, reason="wrong password or token")
    )
    await wait_text(pilot, "wrong password")


async def unreachable(pilot: Pilot[None]) -> None:
    """The form of somebody who has not said who they are, over a server that is away."""
    client = pilot.app.client  # type: ignore[attr-defined] # a ChatApp over a scripted client
    client.user = ""
    client.unreachable = "http://chat.example:3000 does not answer: connection refused"
    client.set_connection(Status(ConnectionState.REFUSED, NOW, reason=NOT_LOGGED_IN))
    await wait_text(pilot, "Retrying")


async def offline(pilot: Pilot[None]) -> None:
    await open_bob(pilot)
    pilot.app.client.set_connection(  # type: ignore[attr-defined] # a ChatApp over a scripted client
        Status(ConnectionState.OFFLINE, NOW - 600, retry_at=NOW + 4, waiting=2)
    )
    await wait_text(pilot, "retrying")


@pytest.mark.e2e
@pytest.mark.parametrize("size", SIZES, ids=_name)
@pytest.mark.parametrize("theme", THEMES)
def test_a_conversation(snap_compare: Any, size: tuple[int, int], theme: str) -> None:
    client = scenes.world()
    scenes.failing(client)
    app = scenes.app(client, theme)
    assert snap_compare(app, terminal_size=size, run_before=open_bob)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("steps", "size", "theme"),
    [
        (nothing, (80, 24), "pychat-dark"),
        (nothing, (40, 20), "pychat-light"),
        (switcher, (80, 24), "pychat-dark"),
        (helped, (80, 24), "pychat-light"),
        (searched, (80, 24), "pychat-dark"),
        (completing, (80, 24), "pychat-light"),
        (refused, (80, 24), "pychat-dark"),
        (refused, (40, 20), "pychat-light"),
        (unreachable, (80, 24), "pychat-light"),
        (unreachable, (40, 20), "pychat-dark"),
        (offline, (80, 24), "pychat-light"),
    ],
    ids=_name,
)
def test_what_is_around_it(
    snap_compare: Any, steps: Steps, size: tuple[int, int], theme: str
) -> None:
    client = scenes.world()
    client.people = [UserInfo("bobby", "Bobby Tables", False)]
    app = scenes.app(client, theme)
    assert snap_compare(app, terminal_size=size, run_before=steps)
