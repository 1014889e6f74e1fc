"""MessageLog: shows a transcript row by row; wraps, paints and caches only what is in view."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from rich.style import Style
from textual import events
from textual.cache import LRUCache
from textual.geometry import Offset, Size
from textual.message import Message as TextualMessage
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from pychat.client.models import Message
from pychat.tui.component_styles import component_style
from pychat.tui.log.heights import Heights
from pychat.tui.log.paint import INDENT, paint
from pychat.tui.log.rows import SENDER_STYLES, Reading, Row, rows_of
from pychat.tui.log.transcript import PENDING_KEY, Transcript

KEY_SHIFT: Final = 10
"""A place in the log that outlives insertions is (message key << 10) + row within the message."""
MAX_ROW: Final = (1 << KEY_SHIFT) - 1
BOTTOM_ROWS: Final = 1
"""Blank rows below the newest message."""
OLDER_MARGIN: Final = 30
"""So many rows from the top, older messages are asked for."""

STYLE_NAMES: Final = (
    *(f"sender-{number}" for number in range(SENDER_STYLES)),
    *("own", "faint", "day", "new", "new-rule", "error", "match"),
    *("code", "code-block", "strong", "emphasis", "struck", "link"),
    *(f"state-{state}" for state in ("sending", "sent", "delivered", "read", "failed")),
)


@dataclass(slots=True)
class Place:
    """Where a view of a transcript was left: the message at its top, or its end."""

    key: int = 0
    row: int = 0
    at_end: bool = True


@dataclass(slots=True)
class Opened:
    """A transcript with its reading and the place where it was left."""

    transcript: Transcript
    reading: Reading
    place: Place = field(default_factory=Place)


class MessageLog(ScrollView, can_focus=True):
    """A line-API widget over one ``Opened`` at a time. Follows the end while it is at the end."""

    ALLOW_SELECT = True
    MAX_HELD: ClassVar[int] = 10_000
    """So many messages, nobody has scrolled up: the older half is let go."""
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"message-log--{name}" for name in STYLE_NAMES}

    class OlderWanted(TextualMessage):
        """The top is near: older messages would be shown if there were any."""

    class Viewed(TextualMessage):
        """Other messages are in view; ``last_seq`` is the last stored one seen to its end."""

        def __init__(self, last_seq: int, at_end: bool) -> None:
            super().__init__()
            self.last_seq = last_seq
            self.at_end = at_end

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._opened: Opened | None = None
        self._heights: Heights | None = None
        self._rows: LRUCache[tuple[int, int], list[Row]] = LRUCache(512)
        self._strips: LRUCache[tuple[int, int, int], Strip] = LRUCache(2048)
        self._styles: dict[str, Style] = {}
        self._place = Place()
        self._first_new = 0
        self._settling = False
        self._pressed_at: tuple[int, int] | None = None
        """The place under the mouse button: offset in the row, place as in ``KEY_SHIFT``."""
        self._viewed: tuple[int, bool] | None = None

    # --- what is shown --------------------------------------------------------------------

    @property
    def opened(self) -> Opened | None:
        """What is shown now."""
        return self._opened

    def open(self, opened: Opened | None, first_new: int = 0) -> None:
        """Shows another transcript where it was left; None shows nothing. ``first_new``: from this
        seq on, if that is more than fits."""
        if self._opened is not None:
            self._opened.place = self._place
        self._opened = opened
        self._heights = None
        self._place = opened.place if opened is not None else Place()
        self._first_new = first_new
        self._viewed = None
        self.screen.clear_selection()
        self._forget()
        self._settle()

    def append(self, messages: Iterable[Message]) -> None:
        """Puts messages where they belong, which is nearly always the end."""
        if self._opened is None:
            return
        transcript, heights = self._opened.transcript, self._heights
        for message in messages:
            count, pending = len(transcript), len(transcript.pending)
            chunk, index = transcript.add(message)
            if heights is None:
                continue
            if len(transcript) == count:
                self._forget_message(transcript.key(chunk, index))
                heights.changed(chunk)
            elif index == len(transcript.chunks[chunk].messages) - 1:
                heights.grew(chunk, index)
            else:
                self._forget()
                heights.changed(chunk, 2)
            if message.seq and pending:
                self._changed_pending()
        if self._place.at_end and len(transcript) > self.MAX_HELD:
            # They come back from the client when somebody scrolls up to them.
            transcript.drop_older(self.MAX_HELD // 2)
            if heights is not None:
                heights.changed(0, len(transcript.chunks))
        self._settle()

    def change(self, message: Message) -> None:
        """The same message has another state: sent, failed, removed, discarded."""
        if self._opened is None:
            return
        transcript = self._opened.transcript
        pending = transcript.find_pending(message.client_id) if message.client_id else None
        if pending is not None:
            self._changed_pending()
            if message.seq or message.removed:
                transcript.remove_pending(pending)
                if message.seq:
                    self.append([message])
                    return
            else:
                transcript.pending[pending] = message
        elif message.seq and transcript.first_seq <= message.seq <= transcript.last_seq:
            self.append([message])
            return
        self._settle()

    def prepend(self, messages: list[Message]) -> None:
        """Older messages, oldest first; what is in view stays where it is."""
        if self._opened is None:
            return
        chunks = self._opened.transcript.add_older(messages)
        if self._heights is not None:
            # The first one that was here may no longer need its day line or its sender's name.
            self._heights.changed(0, chunks + 1)
        self._forget()
        self._settle()

    def reading_changed(self) -> None:
        """The reading (cursors, new line, highlight, names) has changed: look again."""
        self._forget()
        if self._heights is not None:
            self._heights.set_width(self._heights.width)
        self._settle()

    def states_changed(self) -> None:
        """Only the states of one's own messages may look different; no height changes."""
        self._forget()
        self.refresh()

    def _changed_pending(self) -> None:
        if self._heights is not None and self._opened is not None:
            self._heights.changed(len(self._opened.transcript.chunks) - 1)
        for key in list(self._rows.keys()):
            if key[0] >= PENDING_KEY:
                self._rows.discard(key)
        for place in list(self._strips.keys()):
            if place[0] >= PENDING_KEY:
                self._strips.discard(place)

    def _forget_message(self, key: int) -> None:
        width = self._width
        rows = self._rows.get((key, width), None) or []
        self._rows.discard((key, width))
        for row in range(len(rows)):
            self._strips.discard((key, row, width))

    def _forget(self) -> None:
        self._rows.clear()
        self._strips.clear()

    # --- where it is shown ----------------------------------------------------------------

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    @property
    def at_end(self) -> bool:
        """Whether new messages come into view by themselves."""
        return self._place.at_end

    def _measured(self) -> Heights | None:
        opened, width = self._opened, self._width
        if opened is None or width <= 0:
            return None
        if self._heights is None:
            self._heights = Heights(opened.transcript, self._measure, width)
        elif self._heights.width != width:
            self._heights.set_width(width)
        return self._heights

    def _measure(self, message: Message, previous: Message | None) -> int:
        assert self._opened is not None
        return len(rows_of(message, previous, self._width, self._opened.reading))

    def _settle(self) -> None:
        """Makes the place the top of the view again, after anything that changed heights."""
        heights = self._measured()
        if heights is None or self._opened is None:
            self.virtual_size = Size(0, 0)
            self.refresh()
            return
        height = self.scrollable_content_region.height
        if self._first_new:
            self._place = self._place_of_new(heights, height)
            self._first_new = 0
        if self._place.at_end:
            self._measure_back(heights, height)
            row = heights.total
        else:
            row = self._row_of_place(heights)
            self._measure_around(heights, row, height)
            row = self._row_of_place(heights)
        self._show(heights, row)

    def _place_of_new(self, heights: Heights, height: int) -> Place:
        position = heights.transcript.position(self._first_new)
        if position is None:
            return Place()
        self._measure_around(heights, heights.row_of(*position), height)
        fits = heights.total - heights.row_of(*position) <= height - BOTTOM_ROWS
        return Place() if fits else Place(heights.transcript.key(*position), at_end=False)

    def _show(self, heights: Heights, row: int) -> None:
        self._settling = True
        try:
            self.virtual_size = Size(self._width, heights.total + BOTTOM_ROWS)
            self.scroll_to(y=row, animate=False, force=True)
        finally:
            self._settling = False
        # Textual moves the thumb only while the bar is shown, which it may not be yet.
        self.vertical_scrollbar.position = self.scroll_y
        self._remember(heights)
        self.refresh()

    def _row_of_place(self, heights: Heights) -> int:
        assert self._opened is not None
        position = self._opened.transcript.position(self._place.key)
        if position is None:
            return heights.total
        chunk, index = position
        rows = heights.exact(chunk)[index]
        return heights.row_of(chunk, index) + min(self._place.row, rows - 1)

    def _measure_back(self, heights: Heights, rows: int) -> None:
        """Measures whole chunks from the end until they fill the view."""
        chunk = len(heights.transcript.chunks) - 1
        while chunk >= 0 and rows > 0:
            rows -= sum(heights.exact(chunk))
            chunk -= 1

    def _measure_around(self, heights: Heights, row: int, rows: int) -> None:
        """Measures every chunk between two rows; they move while this is done."""
        chunk = heights.chunk_at(row)
        left = rows + (row - heights.top(chunk))
        while chunk < len(heights.transcript.chunks) and left > 0:
            left -= sum(heights.exact(chunk))
            chunk += 1

    def _remember(self, heights: Heights) -> None:
        """Keeps the top of the view as a place, and tells what is seen."""
        assert self._opened is not None
        top = round(self.scroll_y)
        at_end = top >= self.max_scroll_y
        located = heights.locate(top)
        if located is None:
            self._place = Place(at_end=True)
        else:
            chunk, index, row = located
            self._place = Place(self._opened.transcript.key(chunk, index), row, at_end)
        if top < OLDER_MARGIN:
            self.post_message(self.OlderWanted())
        viewed = (self._last_seq_in_view(heights, top), at_end)
        if viewed != self._viewed:
            self._viewed = viewed
            self.post_message(self.Viewed(*viewed))

    def _last_seq_in_view(self, heights: Heights, top: int) -> int:
        transcript = heights.transcript
        bottom = top + self.scrollable_content_region.height
        if bottom >= heights.total:
            return transcript.last_seq
        located = heights.locate(bottom)
        if located is None:
            return transcript.last_seq
        chunk, index, _ = located
        previous = transcript.before(chunk, index)
        return previous.seq if previous is not None else 0

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._settling or round(old_value) == round(new_value):
            return
        heights = self._measured()
        if heights is None:
            return
        # The reader moved by so many rows from what was at the top: what was guessed about the
        # rows in between must not show.
        moved = round(new_value) - round(old_value)
        far = abs(moved) > 4 * self.size.height
        before = self._row_of_place(heights)
        self._measure_around(heights, round(new_value), self.size.height)
        after = self._row_of_place(heights)
        row = round(new_value) if far else round(new_value) + after - before
        self._show(heights, row)

    def scroll_to(self, x: float | None = None, y: float | None = None, **options: Any) -> None:
        """Never animated: rows that are only guessed would dance."""
        super().scroll_to(x, y, **{**options, "animate": False})

    def on_resize(self, event: events.Resize) -> None:
        self._forget()
        self._settle()

    def scroll_to_end(self) -> None:
        """Shows the newest message and follows."""
        self._place = Place(at_end=True)
        self._settle()

    def scroll_to_seq(self, seq: int) -> bool:
        """Brings a message into view, a third from the top; False if it is not here."""
        heights = self._measured()
        position = self._opened.transcript.position(seq) if self._opened else None
        if heights is None or self._opened is None or position is None:
            return False
        if self._opened.transcript.key(*position) != seq:
            return False
        row = max(0, heights.row_of(*position) - self.size.height // 3)
        self._measure_around(heights, row, self.size.height)
        self._show(heights, max(0, heights.row_of(*position) - self.size.height // 3))
        return True

    # --- painting -------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = {}
        self._strips.clear()

    def _style_map(self) -> dict[str, Style]:
        if not self._styles:
            self._styles = {"base": self.rich_style}
            for name in STYLE_NAMES:
                self._styles[name] = component_style(self, f"message-log--{name}")
            self._styles["selected"] = self.screen.get_component_rich_style("screen--selection")
        return self._styles

    def _rows_at(self, chunk: int, index: int) -> tuple[int, list[Row]]:
        assert self._opened is not None
        transcript, width = self._opened.transcript, self._width
        key = transcript.key(chunk, index)
        rows = self._rows.get((key, width), None)
        if rows is None:
            message = transcript.chunks[chunk].messages[index]
            rows = rows_of(message, transcript.before(chunk, index), width, self._opened.reading)
            self._rows[(key, width)] = rows
        return key, rows

    def render_line(self, y: int) -> Strip:
        heights, width = self._heights, self._width
        located = None
        if heights is not None:
            # A log that does not fill the view stands at its bottom, by the composer.
            lead = max(0, self.size.height - BOTTOM_ROWS - heights.total)
            located = heights.locate(round(self.scroll_y) + y - lead)
        styles = self._style_map()
        if located is None or width <= 0:
            return Strip.blank(self.size.width, styles["base"])
        chunk, index, number = located
        key, rows = self._rows_at(chunk, index)
        row = rows[min(number, len(rows) - 1)]
        place = (key << KEY_SHIFT) + min(number, MAX_ROW)
        selection = self.text_selection
        span = selection.get_span(place) if selection is not None else None
        if span is not None:
            start, end = span
            shown = (max(0, start - INDENT), end if end == -1 else max(0, end - INDENT))
            return paint(row, width, styles, shown).apply_offsets(0, place)
        strip = self._strips.get((key, number, width), None)
        if strip is None:
            strip = paint(row, width, styles).apply_offsets(0, place)
            self._strips[(key, number, width)] = strip
        return strip

    # --- selecting ------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._pressed_at = event.style.meta.get("offset")

    def on_click(self, event: events.Click) -> None:
        if event.style.link and event.chain == 1 and self.text_selection is None:
            self.app.open_url(event.style.link)

    def text_select_all(self) -> None:
        """Textual calls this at a double click: the message, not all of them."""
        if self._pressed_at is not None:
            key = self._pressed_at[1] >> KEY_SHIFT
            start, end = Offset(0, key << KEY_SHIFT), Offset(0, (key + 1) << KEY_SHIFT)
            self.screen.selections = {self: Selection(start, end)}

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected messages' text alone: no names, times, indents and breaks of ours."""
        if self._opened is None or not len(self._opened.transcript):
            return None
        transcript = self._opened.transcript
        first = selection.start.y if selection.start is not None else 0
        last = selection.end.y if selection.end is not None else (PENDING_KEY << 1) << KEY_SHIFT
        position = transcript.position(first >> KEY_SHIFT)
        parts: list[str] = []
        while position is not None:
            key, rows = self._rows_at(*position)
            if key << KEY_SHIFT > last:
                break
            for number, row in enumerate(rows):
                span = selection.get_span((key << KEY_SHIFT) + min(number, MAX_ROW))
                if span is None or row.kind != "text":
                    continue
                start, end = span
                to = len(row.text) if end == -1 else max(0, end - INDENT)
                parts.append(row.text[max(0, start - INDENT) : to])
                parts.append(row.joint)
            position = transcript.after(*position)
        return "".join(parts[:-1]), "\n"
