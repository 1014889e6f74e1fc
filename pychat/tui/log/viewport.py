"""Viewport: which rows of a transcript are in view, stable while the estimated heights change.

It is independent of widgets: sizes go in, rows come out.

A chunk is measured when it comes into view; until then its height is estimated from its length.
Only C functions (``accumulate``, ``bisect``) walk over the chunks, from the first changed one on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from pychat.client.models import MessageInfo
from pychat.tui.log.rows import ReaderContext, rows_of
from pychat.tui.log.transcript import PENDING_KEY, Chunk, Transcript

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


FAR: Final = 4
"""In heights of the view. After a longer jump the exact row at the top does not matter."""


@dataclass(slots=True)
class ScrollAnchor:
    """The scroll position: key and row of the message at the top, or the end of the transcript."""

    key: int = 0
    row: int = 0
    at_end: bool = True


@dataclass(slots=True)
class OpenTranscript:
    """A transcript with its reader context and scroll position."""

    transcript: Transcript
    reading: ReaderContext
    place: ScrollAnchor = field(default_factory=ScrollAnchor)

    @property
    def follows(self) -> bool:
        """Whether new messages scroll into view."""
        return self.place.at_end and self.transcript.reaches_end

    def let_go(self) -> bool:
        """Evict messages far from the scroll position, see ``Transcript.let_go``."""
        position = None if self.place.at_end else self.transcript.position(self.place.key)
        end = len(self.transcript.chunks) - 1
        return self.transcript.let_go(end if position is None else position[0])


class Viewport:
    """A view of ``opened``, ``width`` by ``height`` cells, both at least 1."""

    def __init__(self, opened: OpenTranscript, width: int, height: int) -> None:
        self.opened = opened
        self.width = width
        self.height = height
        self.heights = Heights(opened.transcript, self._measure, width)

    def _measure(self, message: MessageInfo, previous: MessageInfo | None) -> int:
        return len(rows_of(message, previous, self.width, self.opened.reading))

    @property
    def rows(self) -> int:
        """Total rows, measured or estimated."""
        return self.heights.total

    def resize(self, width: int, height: int) -> None:
        """Change the size. Call ``settle`` afterwards."""
        self.height = height
        if width != self.width:
            self.width = width
            self.heights.set_width(width)

    def settle(self) -> int:
        """Return the row that must be at the top after heights have changed."""
        if self.opened.place.at_end:
            self._measure_end()
            return max(0, self.rows - self.height)
        self._measure_from(self._row_of_place())
        return self._row_of_place()

    def show_new(self, seq: int) -> None:
        """Scroll to this message if more follows than fits, otherwise to the end."""
        transcript = self.opened.transcript
        position = transcript.position(seq)
        self.opened.place = ScrollAnchor()
        if position is not None:
            self._measure_from(self.heights.row_of(*position))
            below = self.heights.total - self.heights.row_of(*position)
            if below > self.height or not transcript.reaches_end:
                self.opened.place = ScrollAnchor(transcript.key(*position), at_end=False)

    def show(self, seq: int) -> bool:
        """Scroll to this message, a third below the top; False if it is not loaded."""
        transcript = self.opened.transcript
        position = transcript.position(seq)
        if position is None or transcript.key(*position) != seq:
            return False
        above = self.height // 3
        self._measure_from(max(0, self.heights.row_of(*position) - above))
        self.arrive(max(0, self.heights.row_of(*position) - above))
        return True

    def reveal(self, position: tuple[int, int], top: int) -> None:
        """Scroll as little as possible so that a message is in view, its end if it is too long.

        ``top``: the row at the top now.
        """
        first = self.heights.row_of(*position)
        end = first + self.heights.exact(position[0])[position[1]]
        if first < top and end - first <= self.height:
            self.arrive(first)
        elif first < top or end > top + self.height:
            self.arrive(max(0, end - self.height))

    def message_at(self, row: int) -> tuple[int, int] | None:
        """Return the position of the message at a row."""
        located = self.heights.locate(row)
        return None if located is None else located[:2]

    def moved(self, old: int, new: int) -> int:
        """Return the row that must be at the top when the user scrolls from one row to another.

        The distance counts from the message at the top, so that wrong estimates in between do not
        show.
        """
        before = self._row_of_place()
        self._measure_from(new)
        if abs(new - old) > FAR * self.height:
            return new
        return new + self._row_of_place() - before

    def arrive(self, top: int) -> None:
        """Set the scroll position: this row is at the top now."""
        located = self.heights.locate(top)
        if located is None:
            self.opened.place = ScrollAnchor()
        else:
            chunk, index, row = located
            at_end = self.opened.transcript.reaches_end and top >= self.rows - self.height
            self.opened.place = ScrollAnchor(self.opened.transcript.key(chunk, index), row, at_end)

    def in_view(self, top: int) -> tuple[int, int]:
        """Return the seqs of the first and last stored message whose end is in view.

        There is none if the last comes before the first.
        """
        transcript = self.opened.transcript
        located = self.heights.locate(top)
        first = transcript.key(*located[:2]) if located else PENDING_KEY
        below = self.heights.locate(top + self.height)
        if below is None:
            return min(first, transcript.last_seq + 1), transcript.last_seq
        previous = transcript.before(*below[:2])
        return min(first, transcript.last_seq + 1), previous.seq if previous is not None else 0

    def _row_of_place(self) -> int:
        place = self.opened.place
        position = self.opened.transcript.position(place.key)
        if position is None:
            return self.heights.total
        chunk, index = position
        rows = self.heights.exact(chunk)[index]
        return self.heights.row_of(chunk, index) + min(place.row, max(0, rows - 1))

    def _measure_end(self) -> None:
        """Measure chunks from the end until they fill the view."""
        rows, chunk = self.height, len(self.opened.transcript.chunks) - 1
        while chunk >= 0 and rows > 0:
            rows -= sum(self.heights.exact(chunk))
            chunk -= 1

    def _measure_from(self, row: int) -> None:
        """Measure every chunk that is in view from this row on."""
        chunk = self.heights.chunk_at(row)
        left = self.height + (row - self.heights.top(chunk))
        while chunk < len(self.opened.transcript.chunks) and left > 0:
            left -= sum(self.heights.exact(chunk))
            chunk += 1
