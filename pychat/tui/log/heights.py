"""How high a transcript is at a width, and which message a row belongs to, without measuring all.

A chunk is measured when it comes into view; before that its height is a guess from its length.
Everything that walks the chunks does so in C (``accumulate``, ``bisect``) and only from the first
chunk that has changed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

from pychat.client.models import MessageInfo
from pychat.tui.log.transcript import Chunk, Transcript

Measure = Callable[[MessageInfo, MessageInfo | None], int]
"""Rows of a message that comes after another."""


class Heights:
    """Rows of a transcript at one width. ``measure`` must know the same width."""

    def __init__(self, transcript: Transcript, measure: Measure, width: int) -> None:
        self.transcript = transcript
        self._measure = measure
        self._tops: list[int] = []
        """Row where each chunk begins, and after the last one the total."""
        self._fresh = 0
        """So many of ``_tops`` are right."""
        self.set_width(width)

    def set_width(self, width: int) -> None:
        """Forgets what was measured; guesses are made anew from lengths, chunk by chunk."""
        self.width = max(1, width)
        for chunk in self.transcript.chunks:
            chunk.heights = None
            chunk.height = _guess(chunk, self.width)
        self._fresh = 0

    def changed(self, chunk: int, count: int = 1) -> None:
        """These chunks have other messages now, or their neighbours have."""
        for number in range(chunk, min(chunk + count, len(self.transcript.chunks))):
            item = self.transcript.chunks[number]
            item.heights = item.length = None
            item.height = _guess(item, self.width)
        self._fresh = min(self._fresh, chunk)

    def grew(self, chunk: int, index: int) -> None:
        """A message was put at the end of a chunk that may have been measured: measure it too."""
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
        """Rows of each message of a chunk, measured now if they were not."""
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
        """Rows of all of it."""
        return self._refreshed()[-1]

    def top(self, chunk: int) -> int:
        """Row where a chunk begins."""
        return self._refreshed()[chunk]

    def chunk_at(self, row: int) -> int:
        """The chunk that a row belongs to; the last one for rows past the end."""
        tops = self._refreshed()
        return max(0, min(bisect_right(tops, row) - 1, len(tops) - 2))

    def locate(self, row: int) -> tuple[int, int, int] | None:
        """Chunk, index and row within the message; measures that chunk. None past the end."""
        if not 0 <= row < self.total:
            return None
        chunk = self.chunk_at(row)
        heights = self.exact(chunk)
        left = row - self.top(chunk)
        for index, height in enumerate(heights):
            if left < height:
                return chunk, index, left
            left -= height
        return self.locate(row)  # the guess was too high: what is there now is known exactly

    def row_of(self, chunk: int, index: int) -> int:
        """Row where a message begins; measures its chunk."""
        return self.top(chunk) + sum(self.exact(chunk)[:index])


def _guess(chunk: Chunk, width: int) -> int:
    """Neither right nor far off: every other message has one row more, rows are full."""
    count = len(chunk.messages)
    if not count:
        return 0
    if chunk.length is None:
        chunk.length = sum(len(message.text) for message in chunk.messages)
    return count + count // 2 + chunk.length // width
