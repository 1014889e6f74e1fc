"""MessageLog: the widget that shows a transcript; it lays out and paints only rows in view."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message as TextualMessage
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from pychat.client.models import MessageInfo
from pychat.tui.commands.keys import bindings
from pychat.tui.log.cursor import MessageCursor
from pychat.tui.log.paint import (
    KEY_SHIFT,
    RowCache,
    message_at,
    paint,
    place_of,
    selected_text,
    text_start,
)
from pychat.tui.log.rows import SENDER_STYLES, Row
from pychat.tui.log.viewport import OpenTranscript, Viewport
from pychat.tui.themes import component_style

MARGIN: Final = 30
"""More messages are fetched when the view is this close, in rows, to the end of the loaded ones."""

RIGHT_BUTTON: Final = 3

EMPTY: Final = Row("No messages yet", kind="day")

STYLE_NAMES: Final = (
    *(f"sender-{number}" for number in range(SENDER_STYLES)),
    *("own", "faint", "day", "new", "new-rule", "error", "match", "hit", "bar", "cursor"),
    *("mention", "mention-other"),
    *("code", "code-block", "strong", "emphasis", "struck", "link"),
    *(f"state-{state}" for state in ("sending", "sent", "delivered", "read", "failed")),
)


class MessageLog(ScrollView, can_focus=True):
    """A scroll view of one transcript at a time. At the end it follows new messages."""

    ALLOW_SELECT = True
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"message-log--{name}" for name in STYLE_NAMES}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move_cursor(-1)", show=False),
        Binding("down,j", "move_cursor(1)", show=False),
        *bindings("log"),
    ]

    class CursorMoved(TextualMessage):
        """Another message is selected, or none."""

    class CursorLeft(TextualMessage):
        """The cursor moved below the newest message."""

    class Typed(TextualMessage):
        """Text was typed or pasted while no message is selected; it belongs to the composer."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class QuoteClicked(TextualMessage):
        """A quote of this seq was clicked."""

        def __init__(self, seq: int) -> None:
            super().__init__()
            self.seq = seq

    class FileClicked(TextualMessage):
        """The row of a message's file was clicked."""

        def __init__(self, message: MessageInfo) -> None:
            super().__init__()
            self.message = message

    class MenuWanted(TextualMessage):
        """The right mouse button was pressed on the selected message, at this place."""

        def __init__(self, x: int, y: int) -> None:
            super().__init__()
            self.x = x
            self.y = y

    class OlderWanted(TextualMessage):
        """The view is near the oldest loaded message."""

    class NewerWanted(TextualMessage):
        """The view is near the newest loaded message, and newer ones exist."""

    class Viewed(TextualMessage):
        """Other messages are in view: ``seqs`` is from ``Viewport.in_view``."""

        def __init__(self, opened: OpenTranscript, seqs: tuple[int, int], at_end: bool) -> None:
            super().__init__()
            self.opened = opened
            self.seqs = seqs
            self.at_end = at_end

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._opened: OpenTranscript | None = None
        self._view: Viewport | None = None
        self._cache = RowCache()
        self._cursor = MessageCursor()
        self._styles: dict[str, Style] = {}
        self._first_new = 0
        self._settling = False
        self._telling = False
        self._viewed: tuple[tuple[int, int], bool] | None = None
        self._pressed_at: tuple[int, int] | None = None
        """Where the mouse button was pressed: offset in the row, and y as from ``place_of``."""

    # --- what is shown --------------------------------------------------------------------

    @property
    def opened(self) -> OpenTranscript | None:
        """The transcript that is shown."""
        return self._opened

    @property
    def at_end(self) -> bool:
        """Whether new messages scroll into view."""
        return self._opened is None or self._opened.follows

    def open(self, opened: OpenTranscript | None, first_new: int = 0) -> None:
        """Show a transcript at its scroll position; None shows nothing.

        ``first_new``: scroll to this seq if more follows than fits.
        """
        self._opened = opened
        self._view = None
        self._first_new = first_new
        self._viewed = None
        self.select(None)
        self.screen.clear_selection()
        self._cache.forget()
        self._settle()

    def append(self, messages: Iterable[MessageInfo]) -> None:
        """Insert messages by seq, nearly always at the end."""
        if self._opened is None:
            return
        transcript = self._opened.transcript
        for message in messages:
            if not transcript.takes(message):
                continue
            count = len(transcript)
            chunk, index = transcript.add(message)
            if message.removed:
                self._cache.forget()  # the row above shows their number
            if self._view is None:
                continue
            heights = self._view.heights
            if len(transcript) > count and index == len(transcript.chunks[chunk].messages) - 1:
                heights.grew(chunk, index)
            else:
                heights.changed(chunk, 2)
                self._cache.forget_from(transcript.key(chunk, index))
            if message.seq and transcript.pending:
                self._pending_changed()
        self._let_go()
        self._settle()

    def _let_go(self) -> None:
        """Evict messages far from the view; scrolling there fetches them again."""
        if self._opened is not None and self._opened.let_go():
            self._cache.forget_pending()  # other messages may wait when it is loaded again
            if self._view is not None:
                self._view.heights.changed(0, len(self._opened.transcript.chunks))

    def change(self, message: MessageInfo) -> None:
        """Update a message that was sent, failed, removed or discarded."""
        if self._opened is None:
            return
        transcript = self._opened.transcript
        self._cursor.changed(message)
        pending = transcript.find_pending(message.client_id) if message.client_id else None
        if pending is not None:
            if message.seq or message.removed:
                transcript.remove_pending(pending)
            else:
                transcript.pending[pending] = message
            self._pending_changed()
        if message.seq and (pending is not None or message.seq >= transcript.first_seq):
            self.append([message])
        else:
            self._settle()

    def prepend(self, messages: list[MessageInfo]) -> None:
        """Insert older messages, oldest first, without moving what is in view."""
        if self._opened is None:
            return
        chunks = self._opened.transcript.add_older(messages)
        if self._view is not None:
            # The first message so far may lose its day line or heading.
            self._view.heights.changed(0, chunks + 1)
        self._cache.forget()
        self._let_go()
        self._settle()

    def reading_changed(self) -> None:
        """Lay out again: the line of new messages or names have changed, and heights with them."""
        self._cache.forget()
        self._view = None
        self._settle()

    def states_changed(self) -> None:
        """Paint again: cursors or highlights have changed, but no heights."""
        self._cache.forget()
        self.refresh()

    def _pending_changed(self) -> None:
        self._cache.forget_pending()
        if self._view is not None:
            self._view.heights.changed(len(self._view.opened.transcript.chunks) - 1)

    # --- where it is shown ----------------------------------------------------------------

    def _current_view(self) -> Viewport | None:
        """Return the viewport at the current size; None without a transcript or a size."""
        width, height = self.scrollable_content_region.size
        if self._opened is None or width <= 0 or height <= 0:
            return None
        if self._view is None:
            self._view = Viewport(self._opened, width, height)
        else:
            self._view.resize(width, height)
        return self._view

    def _settle(self) -> None:
        """Restore the scroll position after heights have changed."""
        view = self._current_view()
        if view is None:
            self.virtual_size = Size(0, 0)
            self.refresh()
            return
        if self._first_new:
            view.show_new(self._first_new)
            self._first_new = 0
        self._show(view, view.settle())

    def _show(self, view: Viewport, row: int) -> None:
        self._settling = True
        try:
            self.virtual_size = Size(view.width, view.rows)
            self.scroll_to(y=row, animate=False, force=True)
        finally:
            self._settling = False
        # Textual moves the thumb only while the scrollbar is shown, which may come later.
        self.vertical_scrollbar.position = self.scroll_y
        top = round(self.scroll_y)
        view.arrive(top)
        if top < MARGIN:
            self.post_message(self.OlderWanted())
        if top + view.height > view.rows - MARGIN and not view.opened.transcript.reaches_end:
            self.post_message(self.NewerWanted())
        if not self._telling:
            self._telling = True
            self.call_next(self._tell_view)
        self.refresh()

    def _tell_view(self) -> None:
        """Post ``Viewed`` once per turn: only what is painted was in view."""
        self._telling = False
        if self._view is None:
            return
        viewed = (self._view.in_view(round(self.scroll_y)), self.at_end)
        if viewed != self._viewed:
            self._viewed = viewed
            self.post_message(self.Viewed(self._view.opened, *viewed))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        old, new = round(old_value), round(new_value)
        if self._settling or old == new or self._view is None:
            return
        if (self._view.width, self._view.height) != self.scrollable_content_region.size:
            return  # a resize by Textual, not scrolling by the user
        self._show(self._view, self._view.moved(old, new))

    def scroll_to(self, x: float | None = None, y: float | None = None, **options: Any) -> None:
        """Scroll without animation: rows with estimated heights would jump."""
        super().scroll_to(x, y, **{**options, "animate": False})

    def on_resize(self, event: events.Resize) -> None:
        self._cache.forget()
        self._settle()

    def scroll_to_end(self) -> None:
        """Show the newest message and follow new ones."""
        if self._opened is not None:
            self._opened.place.at_end = True
            self._settle()

    def scroll_to_seq(self, seq: int) -> bool:
        """Scroll to a message, a third below the top; False if it is not loaded."""
        view = self._current_view()
        if view is None or not view.show(seq):
            return False
        self._show(view, view.settle())
        return True

    # --- the cursor -----------------------------------------------------------------------

    @property
    def selected(self) -> MessageInfo | None:
        """The message that the cursor is at."""
        return None if self._opened is None else self._cursor.message(self._opened.transcript)

    def select(self, message: MessageInfo | None) -> None:
        """Move the cursor to a loaded message, which comes into view; None hides the cursor."""
        self._cursor.select(message)
        view = self._view
        position = None if view is None else self._cursor.position(view.opened.transcript)
        if view is not None and position is not None:
            view.reveal(position, round(self.scroll_y))
            self._show(view, view.settle())
        self.refresh()
        self.post_message(self.CursorMoved())

    def select_in_view(self) -> bool:
        """Move the cursor to the last message in view; False if there is none."""
        view = self._current_view()
        if view is None:
            return False
        transcript = view.opened.transcript
        below = view.message_at(round(self.scroll_y) + view.height)
        position = transcript.step(below, -1)
        self.select(None if position is None else transcript.at(*position))
        return position is not None

    def action_move_cursor(self, by: int) -> None:
        """Move the cursor to the next or the previous message."""
        if self._opened is None:
            return
        transcript = self._opened.transcript
        position = self._cursor.position(transcript)
        if position is None:
            self.select_in_view()
            return
        position = transcript.step(position, by)
        if position is not None:
            self.select(transcript.at(*position))
        elif by > 0 and transcript.reaches_end:
            self.post_message(self.CursorLeft())

    async def _on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        types = event.is_printable and event.character
        if types and self.selected is None:
            self.post_message(self.Typed(event.character or ""))
            return
        # Run bindings here, in the order of the keys, like the composer.
        bound = self.screen.active_bindings.get(event.key)
        if bound is not None and bound.enabled:
            await self.app.run_action(bound.binding.action, bound.node)

    def on_paste(self, event: events.Paste) -> None:
        self.post_message(self.Typed(event.text))

    # --- painting -------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = {}
        self._cache.forget_strips()

    def _style_map(self) -> dict[str, Style]:
        if not self._styles:
            self._styles = {"base": self.rich_style}
            for name in STYLE_NAMES:
                self._styles[name] = component_style(self, f"message-log--{name}")
            self._styles["selected"] = self.screen.get_component_rich_style("screen--selection")
        return self._styles

    def render_line(self, y: int) -> Strip:
        view, styles = self._view, self._style_map()
        located = None
        if view is not None:
            # A log that does not fill the view is drawn at the bottom, next to the composer.
            lead = max(0, self.size.height - view.heights.total)
            located = view.heights.locate(round(self.scroll_y) + y - lead)
        if view is not None and not view.heights.total and y == self.size.height // 2:
            return paint(EMPTY, view.width, styles)
        if view is None or located is None:
            return Strip.blank(self.size.width, styles["base"])
        chunk, index, number = located
        key, rows = self._cache.rows(view, chunk, index)
        row = rows[min(number, len(rows) - 1)]
        place = place_of(key, number)
        selection = self.text_selection
        span = selection.get_span(place) if selection is not None else None
        if span is not None:
            start, end = span
            left = text_start(row)
            shown = (max(0, start - left), end if end == -1 else max(0, end - left))
            return paint(row, view.width, styles, shown).apply_offsets(0, place)
        if (chunk, index) == self._cursor.position(view.opened.transcript):
            return paint(row, view.width, styles, at_cursor=True).apply_offsets(0, place)
        strip = self._cache.strip(key, number, view.width)
        if strip is None:
            strip = paint(row, view.width, styles).apply_offsets(0, place)
            self._cache.keep(key, number, view.width, strip)
        return strip

    # --- selecting ------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._pressed_at = event.style.meta.get("offset")

    def on_click(self, event: events.Click) -> None:
        if event.button == RIGHT_BUTTON:
            self._open_menu(event)
        elif event.chain == 1 and self.text_selection is None:
            if event.style.link:
                self.app.open_url(event.style.link)
            elif "file" in event.style.meta and (message := self._pressed_message()) is not None:
                self.post_message(self.FileClicked(message))
            elif "quote" in event.style.meta:
                self.post_message(self.QuoteClicked(event.style.meta["quote"]))

    def _open_menu(self, event: events.Click) -> None:
        message = self._pressed_message()
        if message is not None and not message.removed:
            self.screen.set_focus(self)
            self.select(message)
            self.post_message(self.MenuWanted(event.screen_x, event.screen_y))

    def _pressed_message(self) -> MessageInfo | None:
        """Return the message on which a mouse button was pressed."""
        if self._opened is None or self._pressed_at is None:
            return None
        transcript = self._opened.transcript
        position = transcript.position(self._pressed_at[1] >> KEY_SHIFT)
        return None if position is None else transcript.at(*position)

    def text_select_all(self) -> None:
        """Select the message under the mouse. Textual calls this at a double click."""
        if self._pressed_at is not None:
            self.screen.selections = {self: message_at(self._pressed_at[1])}

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text, see ``selected_text``."""
        if self._view is None or not len(self._view.opened.transcript):
            return None
        return selected_text(self._view, self._cache, selection), "\n"
