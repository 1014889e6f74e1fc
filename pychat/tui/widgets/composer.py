"""Composer: several lines, edited grapheme by grapheme, sent by a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.document._document import Location
from textual.widgets import TextArea

from pychat.client.safetext import safe_text
from pychat.tui.graphemes import boundary_after, boundary_before
from pychat.tui.keys import bindings, editing_bindings


class Composer(TextArea, inherit_bindings=False):
    """A TextArea that sends. The owner loads and saves drafts."""

    BINDINGS: ClassVar[list[BindingType]] = [*editing_bindings(TextArea), *bindings("composer")]

    def __init__(self, submit: Callable[[str], bool], *, id: str | None = None) -> None:
        """``submit`` sends at once and tells whether it could: else the text stays."""
        super().__init__(
            id=id,
            compact=True,
            highlight_cursor_line=False,
            tab_behavior="focus",
            show_line_numbers=False,
            soft_wrap=True,
        )
        self.match_cursor_bracket = False
        self.submit = submit

    async def _on_key(self, event: events.Key) -> None:
        # Run here, in the order of the keys: what bubbles up or has priority is overtaken by, or
        # overtakes, the text around it, and a message would go out cut short or to another person.
        bound = None if event.is_printable else self.screen.active_bindings.get(event.key)
        if bound is not None and bound.enabled:
            event.stop()
            event.prevent_default()
            await self.app.run_action(bound.binding.action, bound.node)

    def action_send(self) -> None:
        text = self.text.strip("\n")
        if text.strip() and self.submit(text):
            self.load("")

    def action_newline(self) -> None:
        start, end = self.selection
        self._replace_via_keyboard("\n", start, end)

    def load(self, text: str) -> None:
        """Another conversation's draft, with the cursor at its end."""
        self.load_text(safe_text(text))
        self.move_cursor(self.document.end)

    async def _on_paste(self, event: events.Paste) -> None:
        event.text = safe_text(event.text)  # what is pasted is somebody else's text
        await super()._on_paste(event)

    # A family emoji is seven code points and one key press (UAX 29).

    def get_cursor_left_location(self) -> Location:
        row, column = self.cursor_location
        if column == 0:
            return super().get_cursor_left_location()
        return row, boundary_before(self.document.get_line(row), column)

    def get_cursor_right_location(self) -> Location:
        row, column = self.cursor_location
        line = self.document.get_line(row)
        if column >= len(line):
            return super().get_cursor_right_location()
        return row, boundary_after(line, column)

    # An input method draws what is being composed at the terminal's cursor: it must be where
    # ours is, also after the composer grew, shrank or moved.

    def place_terminal_cursor(self) -> None:
        """Puts the terminal's own cursor where text will go in."""
        if self.has_focus and self.is_mounted:
            self.app.cursor_position = self.cursor_screen_offset

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.place_terminal_cursor)
