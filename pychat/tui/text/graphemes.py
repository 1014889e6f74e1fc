"""Graphemes: boundaries, widths, breaking lines between them, and emoji that terminals misdraw.

Some terminals count code points: a thumb with a skin colour takes four cells instead of two, which
would shift the rest of the row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rich.cells import cell_len, split_graphemes

Grapheme = tuple[int, int, int]
"""Start, end (code points) and width in cells."""

_FLAG_FIRST, _FLAG_LAST = "\U0001f1e6", "\U0001f1ff"


def graphemes(text: str) -> list[Grapheme]:
    """Return the graphemes of a text; they cover it without a gap.

    Rich finds joined emoji, modifiers and combining marks, but splits flags, which are two letters
    and one grapheme (UAX 29, GB12).
    """
    spans, _ = split_graphemes(text)
    if not any(_FLAG_FIRST <= character <= _FLAG_LAST for character in text):
        return spans
    merged: list[Grapheme] = []
    half_flag = False
    for start, end, width in spans:
        is_flag_letter = _FLAG_FIRST <= text[start] <= _FLAG_LAST
        if is_flag_letter and half_flag:
            first, _, first_width = merged[-1]
            merged[-1] = (first, end, first_width + width)
            half_flag = False
        else:
            merged.append((start, end, width))
            half_flag = is_flag_letter
    return merged


def boundary_before(text: str, index: int) -> int:
    """Return the start of the grapheme that ends at ``index``."""
    # No real grapheme is longer than 64 code points, so a long line costs little.
    window = max(0, index - 64)
    spans = graphemes(text[window:index])
    return window + spans[-1][0] if spans else 0


def boundary_after(text: str, index: int) -> int:
    """Return the end of the grapheme that begins at ``index``."""
    spans = graphemes(text[index : index + 64])
    return index + spans[0][1] if spans else len(text)


Span = tuple[int, int]
"""Start and end, in code points."""


def wrap(text: str, width: int) -> list[Span]:
    """Break a line (without newlines) at spaces, or between characters where there is none.

    Spaces at a break belong to no row. An empty line is one empty row. Chinese and Japanese break
    between any two characters; Korean words are kept whole.
    """
    if len(text) * 2 <= width:
        return [(0, len(text))]
    if text.isascii():
        return _wrap_ascii(text, width)
    return _wrap_graphemes(text, width)


def fold(text: str, width: int) -> list[Span]:
    """Break a line of code at the width and keep every character."""
    if text.isascii():
        return [(start, min(start + width, len(text))) for start in range(0, len(text), width)] or [
            (0, 0)
        ]
    rows: list[Span] = []
    start = used = 0
    for begin, _, cells in graphemes(text):
        if used + cells > width and begin > start:
            rows.append((start, begin))
            start, used = begin, 0
        used += cells
    rows.append((start, len(text)))
    return rows


def _wrap_ascii(text: str, width: int) -> list[Span]:
    rows: list[Span] = []
    start, end = 0, len(text)
    while end - start > width:
        cut = text.rfind(" ", start + 1, start + width + 1)
        if cut == -1:
            cut = resume = start + width
        else:
            resume = cut + 1
        rows.append((start, cut))
        while resume < end and text[resume] == " ":
            resume += 1
        start = resume
    rows.append((start, end))
    return rows


def _wrap_graphemes(text: str, width: int) -> list[Span]:
    rows: list[Span] = []
    start = used = 0
    # The last possible break in this row: end of the row, start of the next row, and the cells
    # up to there.
    brk: tuple[int, int, int] | None = None
    previous_wide = False
    for begin, end, cells in graphemes(text):
        space = text[begin] == " "
        wide = cells == 2 and text[begin] > "\u2e80" and not "가" <= text[begin] <= "힣"
        if not space and begin > start and (wide or previous_wide) and text[begin - 1] != " ":
            brk = (begin, begin, used)
        if used + cells > width and not space and begin > start:
            if brk is None:
                brk = (begin, begin, used)
            cut, resume, cells_before = brk
            rows.append((start, cut))
            used -= cells_before
            start = resume
            brk = None
        if space:
            trailing = brk is not None and brk[1] == begin
            cut = brk[0] if brk is not None and trailing else begin
            brk = (cut, end, used + cells) if cut > start else brk
        used += cells
        previous_wide = wide
    rows.append((start, len(text)))
    return rows


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
