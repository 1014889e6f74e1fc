"""Grapheme boundaries and widths: what people see as one character (UAX 29)."""

from __future__ import annotations

from rich.cells import split_graphemes

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
