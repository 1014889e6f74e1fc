"""Heights: rows of a transcript at a width, and the message at a row, without measuring all.

A chunk is measured when it comes into view; until then its height is estimated from its length.
Only C functions (``accumulate``, ``bisect``) walk over the chunks, from the first changed one on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

from pychat.client.models import MessageInfo
from pychat.tui.log.transcript import Chunk, Transcript

Measure = Callable[[MessageInfo, MessageInfo | None], int]
"""Returns the rows of a message that follows another one."""


class Heights:
    """Rows of a transcript at one width, in cells. ``measure`` must use the same width."""

    def __init__(self, transcript: Transcript, measure: Measure, width: int) -> None:
        self.transcript = transcript
        self._measure = measure
        self._tops: list[int] = []
        """First row of each chunk, then the total."""
        self._fresh = 0
        """Number of valid items in ``_tops``."""
        self.set_width(width)

    def set_width(self, width: int) -> None:
        """Change the width: estimate all heights again."""
        self.width = max(1, width)
        for chunk in self.transcript.chunks:
            chunk.heights = None
            chunk.height = _estimate(chunk, self.width)
        self._fresh = 0

    def changed(self, chunk: int, count: int = 1) -> None:
        """Estimate the heights of chunks whose messages, or neighbours, have changed."""
        for number in range(chunk, min(chunk + count, len(self.transcript.chunks))):
            item = self.transcript.chunks[number]
            item.heights = item.length = None
            item.height = _estimate(item, self.width)
        self._fresh = min(self._fresh, chunk)

    def grew(self, chunk: int, index: int) -> None:
        """Measure a message added at the end of a chunk, if the chunk is measured."""
        item = self.transcript.chunks[chunk]
        if item.heights is None or index != len(item.heights):
            self.changed(chunk, 2)
            return
        rows = self._measure(item.messages[index], self.transcript.above(chunk, index))
        item.heights.append(rows)
        item.height += rows
        item.length = None
        self._fresh = min(self._fresh, chunk + 1)

    def exact(self, chunk: int) -> list[int]:
        """Return the rows of each message of a chunk; measure them if necessary."""
        item = self.transcript.chunks[chunk]
        if item.heights is None:
            item.heights = heights = [
                self._measure(message, self.transcript.above(chunk, index))
                for index, message in enumerate(item.messages)
            ]
            height = sum(heights)
            if height != item.height:
                item.height = height
                self._fresh = min(self._fresh, chunk + 1)
        return item.heights

    def _refreshed(self) -> list[int]:
        chunks = self.transcript.chunks
        if self._fresh <= len(chunks):
            keep = max(0, self._fresh - 1)
            top = self._tops[keep] if keep < self._fresh else 0
            heights = [chunk.height for chunk in chunks[keep:]]
            self._tops[keep:] = accumulate(heights, initial=top)
            self._fresh = len(chunks) + 1
        return self._tops

    @property
    def total(self) -> int:
        """Rows of the transcript, measured or estimated."""
        return self._refreshed()[-1]

    def top(self, chunk: int) -> int:
        """Return the first row of a chunk."""
        return self._refreshed()[chunk]

    def chunk_at(self, row: int) -> int:
        """Return the chunk at a row; the last one for rows past the end."""
        tops = self._refreshed()
        return max(0, min(bisect_right(tops, row) - 1, len(tops) - 2))

    def locate(self, row: int) -> tuple[int, int, int] | None:
        """Return chunk, index and row within the message at a row; None past the end.

        Measures the chunk.
        """
        if not 0 <= row < self.total:
            return None
        chunk = self.chunk_at(row)
        heights = self.exact(chunk)
        left = row - self.top(chunk)
        for index, height in enumerate(heights):
            if left < height:
                return chunk, index, left
            left -= height
        return self.locate(row)  # the estimate was too high; now the chunk is measured

    def row_of(self, chunk: int, index: int) -> int:
        """Return the first row of a message; measures its chunk."""
        return self.top(chunk) + sum(self.exact(chunk)[:index])


def _estimate(chunk: Chunk, width: int) -> int:
    """Estimate: rows are full, and every other message has one row more (name, day)."""
    count = len(chunk.messages)
    if not count:
        return 0
    if chunk.length is None:
        chunk.length = sum(len(message.text) for message in chunk.messages)
    return count + count // 2 + chunk.length // width
