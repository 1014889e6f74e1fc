"""The docs page says what the key table, the commands and the settings say."""

from __future__ import annotations

from scripts.terminal_page import PAGE, PICTURES, page


def test_the_page_is_made_from_the_tables() -> None:
    text = PAGE.read_text("utf-8")
    assert page(text) == text, "run python -m scripts.terminal_page"


def test_each_screen_has_its_picture() -> None:
    text = PAGE.read_text("utf-8")
    for name in PICTURES:
        picture = f"../images/terminal-{name}.svg"
        assert picture in text
        assert (PAGE.parent / picture).exists()
