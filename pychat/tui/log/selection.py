"""Where a row stands in a selection, and what text a selection holds."""

from __future__ import annotations

from typing import Final

from textual.geometry import Offset
from textual.selection import Selection

from pychat.tui.log.paint import INDENT
from pychat.tui.log.rowcache import RowCache
from pychat.tui.log.transcript import PENDING_KEY
from pychat.tui.log.viewport import Viewport

KEY_SHIFT: Final = 10
"""A place in the log that outlives insertions is (message key << 10) + row within the message."""
MAX_ROW: Final = (1 << KEY_SHIFT) - 1


def place_of(key: int, row: int) -> int:
    """The place of a message's row: what a selection has for y."""
    return (key << KEY_SHIFT) + min(row, MAX_ROW)


def message_at(place: int) -> Selection:
    """The whole message that has a row at this place."""
    key = place >> KEY_SHIFT
    return Selection(Offset(0, place_of(key, 0)), Offset(0, place_of(key + 1, 0)))


def selected_text(view: Viewport, cache: RowCache, selection: Selection) -> str:
    """The selected messages' text alone: no names, times, indents and breaks of ours."""
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
