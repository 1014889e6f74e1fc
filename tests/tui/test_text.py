"""Graphemes, wrapping and inline Markdown: what a row of text may be."""

from __future__ import annotations

import random

import pytest
from msgspec import structs
from rich.cells import cell_len

from pychat.client.models import MessageInfo, QuoteInfo, ReactionInfo
from pychat.tui.log.rows import ReaderContext, rows_of
from pychat.tui.text.graphemes import boundary_after, boundary_before, fold, graphemes, wrap
from pychat.tui.text.markdown import format_message, links
from pychat.tui.text.names import Name
from tests.tui.scripted import NOW, stopped_clock

FAMILY = "👨\u200d👩\u200d👧\u200d👦"


@pytest.mark.parametrize("one", [FAMILY, "🇰🇷", "👍🏽", "❤️", "e\u0301", "한", "\u1112\u1161\u11ab"])
def test_what_a_person_calls_one_character_is_one(one: str) -> None:
    text = f"a{one}b"
    assert [text[start:end] for start, end, _ in graphemes(text)] == ["a", one, "b"]
    assert boundary_before(text, 1 + len(one)) == 1
    assert boundary_after(text, 1) == 1 + len(one)


def rows(text: str, width: int) -> list[str]:
    return [text[start:end] for start, end in wrap(text, width)]


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("", 10, [""]),
        ("hello world this is", 10, ["hello", "world this", "is"]),
        ("hällo wörld thïs is", 10, ["hällo", "wörld thïs", "is"]),
        ("x" * 25, 10, ["x" * 10, "x" * 10, "x" * 5]),
        ("안녕하세요 여러분 반갑습니다", 12, ["안녕하세요", "여러분", "반갑습니다"]),
        ("漢字漢字漢字abc 漢字", 7, ["漢字漢", "字漢字", "abc 漢", "字"]),
    ],
)
def test_text_breaks_where_people_break_it(text: str, width: int, expected: list[str]) -> None:
    assert rows(text, width) == expected


def test_no_row_is_too_wide_and_no_character_is_lost() -> None:
    rng = random.Random(7)
    letters = ["a", "é", "漢", "한", " ", FAMILY, "🇰🇷", "-", "  "]
    for _ in range(300):
        text = "".join(rng.choices(letters, k=rng.randrange(60)))
        width = rng.randrange(2, 30)
        for breaks in (wrap(text, width), fold(text, width)):
            for start, end in breaks:
                assert cell_len(text[start:end].rstrip()) <= width, (text, width)
            shown = "".join(text[start:end] for start, end in breaks)
            assert shown.replace(" ", "") == text.replace(" ", "")


def drawn(text: str) -> list[tuple[str, str]]:
    return [
        (line.text[start:end], style)
        for line in format_message(text)
        for start, end, style in line.spans
    ]


def test_inline_markdown_is_drawn_without_its_marks() -> None:
    text = "a **b** *c* _d_ `e` ~~f~~ https://x.org/y(z)."
    assert [line.text for line in format_message(text)] == ["a b c d e f https://x.org/y(z)."]
    assert drawn(text) == [
        ("b", "strong"),
        ("c", "emphasis"),
        ("d", "emphasis"),
        ("e", "code"),
        ("f", "struck"),
        ("https://x.org/y(z)", "link:https://x.org/y(z)"),
    ]


@pytest.mark.parametrize("text", ["2*3*4", "snake_case_name", "a ** b", "**", "`", "~~", "* item"])
def test_what_is_no_markdown_is_left_alone(text: str) -> None:
    assert [line.text for line in format_message(text)] == [text]
    assert drawn(text) == []


def test_a_fence_shows_its_lines_as_they_are() -> None:
    lines = format_message("see\n```python\nif **x**:\n    pass\n```\nend")
    assert [(line.text, line.code) for line in lines] == [
        ("see", False),
        ("if **x**:", True),
        ("    pass", True),
        ("end", False),
    ]


def test_links_come_without_the_sentence_around_them() -> None:
    text = "See https://a.example/x, (https://b.example/y) and https://a.example/x again."
    assert links(text) == ["https://a.example/x", "https://b.example/y"]


def test_the_time_above_a_message_is_never_off_by_more_than_five_minutes() -> None:
    reading = ReaderContext(stopped_clock(), Name)
    shown, previous = 0.0, None
    for minute in range(30):
        message = MessageInfo(
            "bob", "bob", "hi", f"c{minute}", seq=minute + 1, sent_at=NOW + 60 * minute
        )
        if any(row.kind == "head" for row in rows_of(message, previous, 80, reading)):
            shown = message.sent_at
        assert message.sent_at - shown < 300
        previous = message
    assert shown == NOW + 25 * 60


def test_a_message_shows_what_it_answers_and_what_was_changed() -> None:
    reading = ReaderContext(stopped_clock(), Name)
    message = MessageInfo(
        "#r", "bob", "Done", "c", "3-2", 2, NOW, edited=NOW + 60,
        reply_to=QuoteInfo(1, "ann", "Could\nyou \x1b[31mlook" + " at it" * 30),
        reactions=(ReactionInfo("👍", 2), ReactionInfo("\x1b]2;x", 1)),
    )  # fmt: skip
    texts = [row.text for row in rows_of(message, None, 40, reading) if row.kind != "blank"]
    assert texts[2].startswith("↪ ann: Could")
    assert texts[3] == "Done"
    assert texts[4].startswith("👍 2  ")
    assert texts[4].endswith("edited")
    assert all(text.isprintable() and cell_len(text) <= 40 for text in texts)
    unseen = rows_of(structs.replace(message, reply_to=QuoteInfo(1)), None, 40, reading)
    assert "↪ a message that you cannot read" in [row.text for row in unseen]


def test_mentions_are_marked() -> None:
    reading = ReaderContext(stopped_clock(), Name)
    text = "**@Bob** and @bob's, not @bobby or me@bob, @ann lee"
    message = MessageInfo(
        "#r", "bob", text, "c", "3-2", 2, NOW, mentions=("bob", "ann lee"), mentioned=True
    )

    def marked(message: MessageInfo, style: str) -> list[str]:
        return [
            row.text[start:end]
            for row in rows_of(message, None, 80, reading)
            for start, end, name in row.spans
            if name == style
        ]

    assert marked(message, "mention") == ["@Bob", "@bob", "@ann lee"]
    other = structs.replace(message, mentioned=False)
    assert (marked(other, "mention"), len(marked(other, "mention-other"))) == ([], 3)
