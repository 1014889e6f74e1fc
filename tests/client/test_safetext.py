"""Text from other people, made safe for a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pychat.client.safetext import safe_text

HARMLESS = [
    "",
    "hello\n\tworld",
    "안녕하세요, 오늘 어때?",
    "日本語と中文",
    "السلام عليكم",
    "שלום",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇰🇷",
    "e\u0301 o\u0308 Việt Nam",
    "[/x] [bold red]not markup[/] **stars** `code`",
]

# Pairs of the text that was sent and what may be shown.
CORPUS = {
    "title (OSC 2)": ("\x1b]2;pwned\x07hi", "]2;pwnedhi"),
    "title (8-bit OSC)": ("\x9d2;pwned\x9chi", "2;pwnedhi"),
    "link (OSC 8)": ("\x1b]8;;http://evil\x1b\\x\x1b]8;;\x1b\\", "]8;;http://evil\\x]8;;\\"),
    "clipboard (OSC 52)": ("\x1b]52;c;cm0gLXJm\x07", "]52;c;cm0gLXJm"),
    "colour (CSI)": ("\x1b[31mred\x9b0m", "[31mred0m"),
    "clear screen": ("\x1bc\x1b[2J", "c[2J"),
    "bell, backspace, NUL, DEL": ("a\x07\x08\x00\x7fb", "ab"),
    "every C0 and C1": ("".join(map(chr, [*range(9), *range(11, 13), *range(14, 32)])), ""),
    "carriage return over a line": ("safe\rEVIL\r\nend", "safe\nEVIL\nend"),
    "next line, line separator": ("a\x85b\u2028c\u2029d", "a\nb\nc\nd"),
    "bidi override": ("photo\u202egpj.exe", "photogpj.exe"),
    "bidi isolates and marks": ("\u2066a\u2067b\u2068c\u2069\u200e\u200f\u061c", "abc"),
    "bidi embeddings": ("\u202aa\u202bb\u202dc\u202c", "abc"),
    "lone surrogates": ("a\ud800b\udfff", "a\ufffdb\ufffd"),
    "byte order mark": ("\ufeffa", "a"),
    "zalgo": ("Z" + "\u0301" * 500 + "a", "Z" + "\u0301" * 8 + "a"),
    "zalgo with joiners between": (
        "Z" + ("\u0301" * 8 + "\u200d") * 3,
        "Z" + "\u0301" * 8 + "\u200d" * 3,
    ),
}


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_is_unchanged(text: str) -> None:
    assert safe_text(text) == text


@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus(name: str) -> None:
    hostile, shown = CORPUS[name]
    assert safe_text(hostile) == shown


def test_one_line_stays_one_line() -> None:
    assert safe_text("a\nb\r\nc\td\u2028e", multiline=False) == "a b c d e"


@pytest.mark.e2e
def test_a_line_of_a_megabyte_is_processed() -> None:
    assert safe_text("한" * 1_000_000 + "\x1b") == "한" * 1_000_000


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_no_control_character_is_left(text: str) -> None:
    shown = safe_text(text)
    for character in shown:
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs")
        assert unicodedata.bidirectional(character) not in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        )  # fmt: skip
    assert safe_text(shown) == shown
    shown.encode()
