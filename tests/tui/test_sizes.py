"""No size of the terminal ends the app."""

from __future__ import annotations

import pytest

from tests.tui import scenes
from tests.tui.driving import wait_text

# Two hundred sizes take half a minute.
pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("start", "smallest"), [(80, 1), (160, 1), (100, 30), (120, 30)])
async def test_it_shrinks_to_any_width(start: int, smallest: int) -> None:
    """From where the list has its two widths: with an empty composer, which has a placeholder."""
    app = scenes.app(scenes.world())
    async with app.run_test(size=(start, 8)) as pilot:
        app.chat.open("mina")
        await wait_text(pilot, "Message 김민아")
        for width in range(smallest, 61 if smallest == 1 else 46):
            await pilot.resize_terminal(width, 8)
            await pilot.resize_terminal(start, 8)
        await wait_text(pilot, "Message 김민아")
