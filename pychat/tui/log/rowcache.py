"""RowCache: rows and painted strips of the messages that were in view last."""

from __future__ import annotations

from typing import Final

from textual.cache import LRUCache
from textual.strip import Strip

from pychat.tui.log.rows import Row, rows_of
from pychat.tui.log.transcript import PENDING_KEY
from pychat.tui.log.viewport import Viewport

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
