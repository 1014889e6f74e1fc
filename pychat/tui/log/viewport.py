"""Viewport: which rows of a transcript are in view, stable while heights change.

It is independent of widgets: sizes go in, rows come out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pychat.client.models import MessageInfo
from pychat.tui.log.heights import Heights
from pychat.tui.log.rows import ReaderContext, rows_of
from pychat.tui.log.transcript import PENDING_KEY, Transcript

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
