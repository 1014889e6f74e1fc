"""Secondary text can be read: its contrast is WCAG's 4.5 to 1 at least, in both of our themes."""

from __future__ import annotations

import pytest
from rich.color import Color
from textual.pilot import Pilot

from tests.tui import scenes
from tests.tui.driving import wait_text

ENOUGH = 4.5


def _luminance(color: Color) -> float:
    parts = [value / 255 for value in color.get_truecolor()]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrasts(pilot: Pilot[None]) -> dict[str, float]:
    """Of each piece of text with letters in it that is on the screen."""
    found: dict[str, float] = {}
    for strip in pilot.app.screen._compositor.render_strips():
        for text, style, _ in strip:
            if style is None or not any(map(str.isalnum, text)):
                continue
            assert style.color is not None
            assert style.bgcolor is not None
            dark, light = sorted((_luminance(style.color), _luminance(style.bgcolor)))
            found[text.strip()] = (light + 0.05) / (dark + 0.05)
    return found


@pytest.mark.e2e
@pytest.mark.parametrize("theme", ["pychat-dark", "pychat-light"])
async def test_all_text_can_be_read(theme: str) -> None:
    app = scenes.app(scenes.world(), theme)
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_text(pilot, "To start a chat")
        seen = contrasts(pilot)
        app.chat.open("bob")
        await wait_text(pilot, "Message Bob Marsh")
        # Not where the cursor stands, which is reversed.
        seen |= {text: each for text, each in contrasts(pilot).items() if text != "M"}
    assert {text: round(each, 1) for text, each in seen.items() if each < ENOUGH} == {}
