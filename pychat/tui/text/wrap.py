"""Break a line of text into rows of a width in cells, as offsets into the text."""

from __future__ import annotations

from pychat.tui.text.graphemes import graphemes

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
