"""EmojiFitter: replaces emoji that the terminal draws with another width than expected.

Some terminals count code points: a thumb with a skin colour takes four cells instead of two, which
would shift the rest of the row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rich.cells import cell_len

from pychat.tui.text.graphemes import graphemes

SAMPLES: Final = {
    "joined": "\U0001f469\u200d\U0001f680",
    "modifier": "\U0001f44d\U0001f3fd",
    "flag": "\U0001f1e9\U0001f1ea",
    "keycap": "1\ufe0f\u20e3",
    "selector": "\u2764\ufe0f",
}
"""One emoji of each kind whose width differs between terminals."""

# Both patterns are linear: one class of characters, repeated.
_SPECIAL: Final = re.compile("[\u200d\u20e3\ufe0f\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff]")
_RUN: Final = re.compile(r"[0-9#*]?[^\x00-\x7f]+")
_MARKS: Final = {"\u200d": "joined", "\u20e3": "keycap", "\ufe0f": "selector"}
_FLAG_A: Final = 0x1F1E6


class EmojiFitter:
    """``measured``: cells of each of ``SAMPLES`` in this terminal, as far as known."""

    def __init__(self, measured: Mapping[str, int]) -> None:
        self._wrong = frozenset(
            kind for kind, cells in measured.items() if cells != _width(SAMPLES[kind])
        )

    def fit(self, output: str) -> str:
        """Return output in which every emoji has the expected width."""
        if not self._wrong or not _SPECIAL.search(output):
            return output
        return _RUN.sub(self._fit_run, output)

    def _fit_run(self, run: re.Match[str]) -> str:
        text = run[0]
        if not _SPECIAL.search(text):
            return text
        return "".join(self._plain(text[start:end], width) for start, end, width in graphemes(text))

    def _plain(self, character: str, width: int) -> str:
        """Return the first code point, or the letters of a flag, padded with spaces."""
        kinds = _kinds(character)
        if self._wrong.isdisjoint(kinds):
            return character
        if "flag" in kinds:
            plain = "".join(chr(ord(letter) - _FLAG_A + ord("A")) for letter in character)
        else:
            plain = character[0]
        return plain + " " * (width - cell_len(plain))


def _kinds(character: str) -> set[str]:
    """Return the kinds of an emoji. A joined emoji with a skin colour has two."""
    kinds = {kind for mark, kind in _MARKS.items() if mark in character}
    if any("\U0001f3fb" <= each <= "\U0001f3ff" for each in character[1:]):
        kinds.add("modifier")
    if len(character) == 2 and min(character) >= "\U0001f1e6" and max(character) <= "\U0001f1ff":
        kinds.add("flag")
    if "keycap" in kinds:
        kinds.discard("selector")
    return kinds


def _width(text: str) -> int:
    return sum(width for _, _, width in graphemes(text))
