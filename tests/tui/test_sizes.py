"""No size of the terminal ends the app."""

from __future__ import annotations

import pytest

from tests.tui import scenes
from tests.tui.driving import wait_text

# A hundred sizes take a quarter of a minute.
pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("start", "widths"),
    [
        (80, range(1, 61, 2)),
        (160, range(2, 61, 2)),
        (100, range(30, 46, 2)),
        (120, range(31, 46, 2)),
    ],
)
async def test_it_shrinks_to_any_width(start: int, widths: range) -> None:
    """From where the list has its two widths: with an empty composer, which has a placeholder."""
    app = scenes.app(scenes.world())
    async with app.run_test(size=(start, 8)) as pilot:
        app.chat.open("mina")
        await wait_text(pilot, "Message 김민아")
        for width in widths:
            await pilot.resize_terminal(width, 8)
            await pilot.resize_terminal(start, 8)
        await wait_text(pilot, "Message 김민아")
