"""The characters that count as invisible are those of Unicode."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import unicodedata

import pytest

from pychat.visible import BLANK, IGNORABLE, shown_name, shows_only, visible

EVERY = [chr(code) for code in range(sys.maxunicode + 1)]
SHOWN_THOUGH = {"\N{BLANK SYMBOL}"}
"""Its name only speaks of what it stands for."""


def _ignorable(character: str) -> bool:
    return re.fullmatch(f"[{IGNORABLE}]", character) is not None


@pytest.mark.e2e
def test_what_unicodedata_tells_of_them() -> None:
    """It does not have the property, but most of what the property is made of (UAX #44)."""
    words = re.compile(
        r"VARIATION SELECTOR|HANGUL .*FILLER|VOWEL INHERENT|GRAPHEME JOINER|ZERO WIDTH|INVISIBLE"
    )
    # Formats that show something: number signs before digits, marks of annotations and hieroglyphs.
    prepended = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")
    shown = re.compile("[\ufff9-\ufffb\U00013430-\U0001343f]")
    for character in EVERY:
        name = unicodedata.name(character, "")
        format = unicodedata.category(character) == "Cf"
        if words.search(name) or (
            format and not prepended.match(character) and not shown.match(character)
        ):
            assert _ignorable(character), name
        elif _ignorable(character):
            assert not name, name


@pytest.mark.e2e
def test_blanks_are_those_that_are_called_so() -> None:
    called = re.compile(r"\bBLANK\b|\bNULL NOTEHEAD|\bSCRIPT FILLER\b")
    found = {c for c in EVERY if called.search(unicodedata.name(c, "")) and not _ignorable(c)}
    assert found - SHOWN_THOUGH == set(BLANK)


@pytest.mark.e2e
def test_what_javascript_tells_of_them() -> None:
    """It has the property, of a Unicode version of its own."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not there")
    code = """const found = [];
    for (let i = 0; i <= 0x10ffff; i++)
      if (/\\p{Default_Ignorable_Code_Point}/u.test(String.fromCodePoint(i))) found.push(i);
    console.log(JSON.stringify(found));"""
    done = subprocess.run([node, "-e", code], capture_output=True, check=True)
    found = set(json.loads(done.stdout))
    assert {code for code in range(sys.maxunicode + 1) if _ignorable(chr(code))} == found


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("bob\ufe0f", "bob"),
        ("  b\u3164o\u200bb ", "bob"),
        ("a \u00a0\u3000\u2003b", "a b"),
        ("\u3164\u2800", ""),
        ("\x00\x1b\x85", ""),
        ("한국 ❤", "한국 ❤"),
    ],
)
def test_what_is_seen(text: str, seen: str) -> None:
    assert visible(text) == seen


@pytest.mark.parametrize("name", ["I❤️U", "❤︎", "bob smith", "한국", "é", "a-b_c.d", "1.0"])
def test_names_that_hide_nothing(name: str) -> None:
    assert shows_only(name)
    assert shown_name(name, "id") == name


@pytest.mark.parametrize("name", ["bob\ufe0f", "한\ufe0f", "a  b", "a\u00a0b", "\ufe0f", "❤\ufe00"])
def test_names_that_hide_something(name: str) -> None:
    assert not shows_only(name)
