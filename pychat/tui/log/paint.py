"""Paint rows as Textual strips, keep those in view last, and return the text of selected ones."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.geometry import Offset
from textual.selection import Selection
from textual.strip import Strip

from pychat.client.models import DeliveryStatus
from pychat.tui.log.rows import FILE, GLYPHS, QUOTE, STATE_WIDTH, Row, rows_of, text_width
from pychat.tui.log.transcript import PENDING_KEY
from pychat.tui.log.viewport import Viewport
from pychat.tui.text.markdown import LINK

INDENT: Final = 2
"""Cells to the left of every row."""

MAX_LINK: Final = 2083
"""Maximum length of a clickable link, from the OSC 8 convention."""

Styles = Mapping[str, Style]


def paint(
    row: Row,
    width: int,
    styles: Styles,
    selected: tuple[int, int] | None = None,
    *,
    at_cursor: bool = False,
) -> Strip:
    """Paint a row of exactly ``width`` cells.

    ``selected``: start and end of the selection in its text; end -1 is the end of the row.
    ``at_cursor``: the row belongs to the message that the cursor is at.
    """
    base = styles["base"]
    if at_cursor and row.kind in ("text", "note"):
        # The bar shows the cursor in themes and terminals without shades, too.
        return _painted(row, width, {**styles, "base": base + styles["cursor"]}, selected, bar=True)
    return _painted(row, width, styles, selected, bar=row.hit)


def _painted(
    row: Row, width: int, styles: Styles, selected: tuple[int, int] | None, *, bar: bool
) -> Strip:
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
    column -= sum(cell_len(text) for text, _ in row.before)
    text_cells = min(cell_len(row.text), column)
    margin = Segment("▌ ", base + styles["bar"]) if bar else Segment(" " * INDENT, base)
    before = [Segment(text, base + styles[name] if name else base) for text, name in row.before]
    segments = [margin, *before, *_fragments(row, styles, selected)]
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
    if name == FILE:
        return styles["link"] + Style(meta={"file": True})
    if name.startswith(QUOTE):
        return styles["faint"] + Style(meta={"quote": int(name.removeprefix(QUOTE))})
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


def text_start(row: Row) -> int:
    """Return the number of characters to the left of a row's text."""
    return INDENT + sum(len(text) for text, _ in row.before)


MESSAGES: Final = 512
STRIPS: Final = 2048


class RowCache:
    """LRU caches of rows, by message and width, and of strips, by message, row and width."""

    def __init__(self) -> None:
        self._rows: LRUCache[tuple[int, int], list[Row]] = LRUCache(MESSAGES)
        self._strips: LRUCache[tuple[int, int, int], Strip] = LRUCache(STRIPS)

    def rows(self, view: Viewport, chunk: int, index: int) -> tuple[int, list[Row]]:
        """Return the key and the rows of the message at a position."""
        transcript, width = view.opened.transcript, view.width
        key = transcript.key(chunk, index)
        rows = self._rows.get((key, width), None)
        if rows is None:
            message = transcript.chunks[chunk].messages[index]
            previous = transcript.above(chunk, index)
            count = transcript.removed_from(chunk, index)
            rows = rows_of(message, previous, width, view.opened.reading, count)
            self._rows[(key, width)] = rows
        return key, rows

    def strip(self, key: int, row: int, width: int) -> Strip | None:
        """Return a painted row, if it is cached."""
        return self._strips.get((key, row, width), None)

    def keep(self, key: int, row: int, width: int, strip: Strip) -> None:
        """Cache a painted row."""
        self._strips[(key, row, width)] = strip

    def forget(self) -> None:
        """Clear both caches."""
        self._rows.clear()
        self._strips.clear()

    def forget_strips(self) -> None:
        """Drop the painted rows: the colours have changed."""
        self._strips.clear()

    def forget_from(self, key: int) -> None:
        """Drop a message and those below it."""
        for place in list(self._rows.keys()):
            if place[0] >= key:
                self._rows.discard(place)
        for painted in list(self._strips.keys()):
            if painted[0] >= key:
                self._strips.discard(painted)

    def forget_pending(self) -> None:
        """Drop the messages of the outbox."""
        self.forget_from(PENDING_KEY)


KEY_SHIFT: Final = 10
"""The y coordinate of a selection is (message key << 10) + row within the message."""
MAX_ROW: Final = (1 << KEY_SHIFT) - 1


def place_of(key: int, row: int) -> int:
    """Return the y coordinate of a row of a message."""
    return (key << KEY_SHIFT) + min(row, MAX_ROW)


def message_at(place: int) -> Selection:
    """Return a selection of the whole message at a y coordinate."""
    key = place >> KEY_SHIFT
    return Selection(Offset(0, place_of(key, 0)), Offset(0, place_of(key + 1, 0)))


def selected_text(view: Viewport, cache: RowCache, selection: Selection) -> str:
    """Return the selected text of messages, without names, times, indents and line wrapping."""
    transcript = view.opened.transcript
    first = selection.start.y if selection.start is not None else 0
    last = selection.end.y if selection.end is not None else place_of(PENDING_KEY << 1, 0)
    position = transcript.position(first >> KEY_SHIFT)
    parts: list[str] = []
    while position is not None:
        key, rows = cache.rows(view, *position)
        if place_of(key, 0) > last:
            break
        for number, row in enumerate(rows):
            span = selection.get_span(place_of(key, number))
            if span is None or row.kind != "text":
                continue
            start, end = span
            left = text_start(row)
            to = len(row.text) if end == -1 else max(0, end - left)
            parts.append(row.text[max(0, start - left) : to])
            parts.append(row.joint)
        position = transcript.after(*position)
    return "".join(parts[:-1])
