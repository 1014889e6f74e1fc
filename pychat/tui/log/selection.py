"""Selections in the log: places that survive insertions, and the selected text."""

from __future__ import annotations

from typing import Final

from textual.geometry import Offset
from textual.selection import Selection

from pychat.tui.log.paint import INDENT
from pychat.tui.log.rowcache import RowCache
from pychat.tui.log.transcript import PENDING_KEY
from pychat.tui.log.viewport import Viewport

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
            to = len(row.text) if end == -1 else max(0, end - INDENT)
            parts.append(row.text[max(0, start - INDENT) : to])
            parts.append(row.joint)
        position = transcript.after(*position)
    return "".join(parts[:-1])
