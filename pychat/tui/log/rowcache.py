"""The rows and painted strips of the messages that were in view lately."""

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
    """By message, row and width; forgets what is seen no more."""

    def __init__(self) -> None:
        self._rows: LRUCache[tuple[int, int], list[Row]] = LRUCache(MESSAGES)
        self._strips: LRUCache[tuple[int, int, int], Strip] = LRUCache(STRIPS)

    def rows(self, view: Viewport, chunk: int, index: int) -> tuple[int, list[Row]]:
        """The key of the message there, and its rows."""
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
        """A row that was painted before."""
        return self._strips.get((key, row, width), None)

    def keep(self, key: int, row: int, width: int, strip: Strip) -> None:
        """A row that has been painted."""
        self._strips[(key, row, width)] = strip

    def forget(self) -> None:
        """All of it."""
        self._rows.clear()
        self._strips.clear()

    def forget_strips(self) -> None:
        """The colours have changed."""
        self._strips.clear()

    def forget_from(self, key: int) -> None:
        """This message and those below it."""
        for place in list(self._rows.keys()):
            if place[0] >= key:
                self._rows.discard(place)
        for painted in list(self._strips.keys()):
            if painted[0] >= key:
                self._strips.discard(painted)

    def forget_pending(self) -> None:
        """The outbox."""
        self.forget_from(PENDING_KEY)
