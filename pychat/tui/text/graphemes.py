"""Where one character that a person sees ends and the next begins, and how wide each is."""

from __future__ import annotations

from rich.cells import split_graphemes

Grapheme = tuple[int, int, int]
"""Start, end (code points) and width in cells."""

_FLAG_FIRST, _FLAG_LAST = "\U0001f1e6", "\U0001f1ff"


def graphemes(text: str) -> list[Grapheme]:
    """The graphemes of a text, covering it without a gap.

    Rich finds joined emoji, modifiers and combining marks; flags are two letters each with a
    width of their own, which Unicode (UAX 29, GB12) counts as one.
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
    """Where the grapheme begins that ends at ``index``."""
    # Nothing longer than this is one character to a person; a long line stays cheap.
    window = max(0, index - 64)
    spans = graphemes(text[window:index])
    return window + spans[-1][0] if spans else 0


def boundary_after(text: str, index: int) -> int:
    """Where the grapheme ends that begins at ``index``."""
    spans = graphemes(text[index : index + 64])
    return index + spans[0][1] if spans else len(text)
