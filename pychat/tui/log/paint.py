"""Paint rows: named styles become colours, rows become Textual strips."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from pychat.client.models import DeliveryStatus
from pychat.tui.log.rows import GLYPHS, STATE_WIDTH, Row, text_width
from pychat.tui.text.markdown import LINK

INDENT: Final = 2
"""Cells to the left of every row."""

MAX_LINK: Final = 2083
"""Maximum length of a clickable link, from the OSC 8 convention."""

Styles = Mapping[str, Style]


def paint(row: Row, width: int, styles: Styles, selected: tuple[int, int] | None = None) -> Strip:
    """Paint a row of exactly ``width`` cells.

    ``selected``: start and end of the selection in its text; end -1 is the end of the row.
    """
    base = styles["base"]
    column = text_width(width)
    if row.kind == "blank":
        return Strip.blank(width, base)
    if row.kind == "day":
        return _centred(row, width, column, styles)
    if row.kind == "new":
        return _rule(row, width, column, styles)
    code = bool(row.spans) and row.spans[0][2] == "code-block"
    fill = base + styles["code-block"] if code else base
    text_cells = min(cell_len(row.text), column)
    margin = Segment("▌ ", base + styles["bar"]) if row.hit else Segment(" " * INDENT, base)
    segments = [margin, *_fragments(row, styles, selected)]
    if code:
        segments.append(Segment(" " * (column - text_cells), fill))
        text_cells = column
    state = _state(row.state)
    gap = column - text_cells + STATE_WIDTH - cell_len(state)
    segments.append(Segment(" " * gap, base))
    if row.state:
        segments.append(Segment(state, base + styles[f"state-{row.state}"]))
    return Strip(segments).adjust_cell_length(width, base)


def _state(state: DeliveryStatus | None) -> str:
    return GLYPHS[state] if state else ""


def _fragments(row: Row, styles: Styles, selected: tuple[int, int] | None) -> list[Segment]:
    """Cut the text where a style begins or ends. Later spans are drawn over earlier ones."""
    spans = row.spans
    if selected is not None:
        start, end = selected
        end = len(row.text) if end == -1 else min(end, len(row.text))
        if start < end:
            spans = [*spans, (start, end, "selected")]
    base = styles["base"]
    if not spans:
        return [Segment(row.text, base)]
    cuts = sorted({0, len(row.text), *(s for s, _, _ in spans), *(e for _, e, _ in spans)})
    coming = sorted(range(len(spans)), key=lambda index: spans[index][0], reverse=True)
    here: list[int] = []
    segments = []
    for start, end in pairwise(cuts):
        while coming and spans[coming[-1]][0] <= start:
            insort(here, coming.pop())
        here = [index for index in here if spans[index][1] >= end]
        style = base
        for _, _, name in (spans[index] for index in here):
            if name:
                style = style + _style(name, styles)
        if row.text[start:end]:
            segments.append(Segment(row.text[start:end], style))
    return segments


def _style(name: str, styles: Styles) -> Style:
    """Return a style; for a link with its target (OSC 8). Safe text has no escape in it."""
    if name.startswith(LINK):
        if len(name) > MAX_LINK:  # every row of it would repeat the whole link
            return styles["link"]
        return styles["link"] + Style(link=name.removeprefix(LINK))
    return styles[name]


def _centred(row: Row, width: int, column: int, styles: Styles) -> Strip:
    left = INDENT + max(0, (column - cell_len(row.text)) // 2)
    segments = [
        Segment(" " * left, styles["base"]),
        Segment(row.text, styles["base"] + styles["day"]),
    ]
    return Strip(segments).adjust_cell_length(width, styles["base"])


def _rule(row: Row, width: int, column: int, styles: Styles) -> Strip:
    label = f" {row.text}"
    line = set_cell_size("", max(0, column + STATE_WIDTH - cell_len(label))).replace(" ", "─")
    segments = [
        Segment(" " * INDENT, styles["base"]),
        Segment(line, styles["base"] + styles["new-rule"]),
        Segment(label, styles["base"] + styles["new"]),
    ]
    return Strip(segments).adjust_cell_length(width, styles["base"])
