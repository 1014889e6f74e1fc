"""Composer: a text area that sends on Enter, completes words and recalls earlier messages."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import ClassVar, Final

from textual import events
from textual.binding import BindingType
from textual.document._document import Location
from textual.strip import Strip
from textual.widgets import TextArea

from pychat.client.safetext import safe_text
from pychat.tui.commands.keys import bindings, editing_bindings
from pychat.tui.text.graphemes import boundary_after, boundary_before
from pychat.tui.text.names import Name
from pychat.tui.widgets.completions import Candidate, Completions, candidates, closed_emoji

FOLDED_FROM: Final = 4_000
"""Pastes of this many characters are folded: TextArea redraws a long line at every key."""


class Composer(TextArea, inherit_bindings=False):
    """The text area. ``WritingArea`` loads and saves the drafts.

    ``submit`` sends a text at once; if it returns False, the text stays. ``recall`` returns the
    user's earlier messages, oldest first. ``leave_upwards`` is called for ↑ in an empty text.
    ``mentionable`` returns the people whom the letters after an ``@`` may mean.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*editing_bindings(TextArea), *bindings("composer")]

    def __init__(
        self,
        submit: Callable[[str], bool],
        recall: Callable[[], list[str]],
        leave_upwards: Callable[[], None],
        mentionable: Callable[[str], list[Name]],
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(
            id=id,
            compact=True,
            highlight_cursor_line=False,
            tab_behavior="focus",
            show_line_numbers=False,
            soft_wrap=True,
        )
        self.match_cursor_bracket = False
        self._submit = submit
        self._folds = PasteFolds()
        self._recall_from = recall
        self._leave_upwards = leave_upwards
        self._mentionable = mentionable
        self._recalled = 0
        """How many messages back the recalled one is; 0 while the user writes a new one."""

    @property
    def written(self) -> str:
        """The text with long pastes in full."""
        return self._folds.expand(self.text)

    @property
    def _completions(self) -> Completions:
        return self.screen.query_one(Completions)

    def load(self, text: str) -> None:
        """Replace the text, for example by a draft, with the cursor at its end."""
        self._folds.clear()
        self.load_text(self._folds.fold(safe_text(text)))
        self.move_cursor(self.document.end)
        self._recalled = 0

    def write(self, text: str) -> None:
        """Insert a text at the cursor."""
        self.insert(self._folds.fold(safe_text(text)))

    def render_line(self, y: int) -> Strip:
        # A shrinking terminal may leave no room: Textual cannot wrap its placeholder to width 0.
        if self.content_size.width == 0:
            return Strip.blank(self.size.width)
        return super().render_line(y)

    # --- sending and recalling ------------------------------------------------------------

    def action_send(self) -> None:
        chosen = self._completions.chosen
        if chosen is not None and chosen.insert.strip() != self._before_cursor()[chosen.start :]:
            self.complete(chosen)
            return
        text = self.written.strip("\n")
        if text.strip() and self._submit(text):
            self.load("")

    def action_newline(self) -> None:
        start, end = self.selection
        self._replace_via_keyboard("\n", start, end)

    def action_cursor_up(self, select: bool = False) -> None:
        if self._completions.chosen is not None:
            self._completions.move(-1)
        elif self.cursor_at_first_line and self._recalled and not select:
            self._recall(self._recalled + 1)
        elif not self.text and not select:
            self._leave_upwards()
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        if self._completions.chosen is not None:
            self._completions.move(1)
        elif self.cursor_at_last_line and self._recalled and not select:
            self._recall(self._recalled - 1)
        else:
            super().action_cursor_down(select)

    def action_recall(self) -> None:
        """Replace an empty text by the user's last message; then ↑ and ↓ go to others."""
        if self._recalled or not self.text:
            self._recall(self._recalled + 1)

    def _recall(self, back: int) -> None:
        texts = self._recall_from()
        if back <= len(texts):
            self.load(texts[-back] if back else "")
            self._recalled = back

    # --- completing -----------------------------------------------------------------------

    def _before_cursor(self) -> str:
        row, column = self.cursor_location
        return self.document.get_line(row)[:column]

    def update_suggestion(self) -> None:
        """Update the completions. Textual calls this after every edit."""
        if not self.is_mounted:
            return
        before, row = self._before_cursor(), self.cursor_location[0]
        closed = closed_emoji(before)
        if closed is not None:
            start, emoji = closed
            self.call_later(self._replace_before_cursor, start, len(before), emoji)
            return
        found = candidates(before, first_line=row == 0, mentionable=self._mentionable)
        self._completions.offer(found if before else [])

    def complete(self, candidate: Candidate) -> None:
        """Replace the typed beginning by a candidate."""
        self._completions.offer([])
        self._replace_before_cursor(candidate.start, len(self._before_cursor()), candidate.insert)

    def _replace_before_cursor(self, start: int, end: int, text: str) -> None:
        row = self.cursor_location[0]
        self._replace_via_keyboard(text, (row, start), (row, end))

    async def _on_key(self, event: events.Key) -> None:
        focused = self.screen.focused
        if focused is not None and focused is not self:
            # The key before has moved the focus, while this one was on its way here.
            event.stop()
            event.prevent_default()
            focused._forward_event(event)
            return
        chosen = self._completions.chosen
        if chosen is not None and event.key in ("tab", "escape"):
            event.stop()
            event.prevent_default()
            if event.key == "tab":
                self.complete(chosen)
            else:
                self._completions.offer([])
            return
        if event.character and unicodedata.category(event.character[0]) == "Cf":
            # Joiners of emoji and of Persian letters: TextArea would treat them as unknown keys.
            event.stop()
            event.prevent_default()
            self._replace_via_keyboard(safe_text(event.character), *self.selection)
            return
        # Run bindings here, in the order of the keys. A binding that bubbles up, or has priority,
        # would run after or before the text around it: a message would be cut or sent elsewhere.
        bound = None if event.is_printable else self.screen.active_bindings.get(event.key)
        if bound is not None and bound.enabled:
            event.stop()
            event.prevent_default()
            await self.app.run_action(bound.binding.action, bound.node)

    async def _on_paste(self, event: events.Paste) -> None:
        # TextArea's own handler runs next and inserts the text.
        event.text = self._folds.fold(safe_text(event.text))

    # --- graphemes ------------------------------------------------------------------------
    # One key press moves over one grapheme: a family emoji is seven code points (UAX 29).

    def get_cursor_left_location(self) -> Location:
        row, column = self.cursor_location
        if column == 0:
            return super().get_cursor_left_location()
        line = self.document.get_line(row)
        if mark := self._folds.mark_before(line[:column]):
            return row, column - len(mark)
        return row, boundary_before(line, column)

    def get_cursor_right_location(self) -> Location:
        row, column = self.cursor_location
        line = self.document.get_line(row)
        if column >= len(line):
            return super().get_cursor_right_location()
        return row, boundary_after(line, column)

    # --- input methods --------------------------------------------------------------------
    # They draw unfinished text at the terminal's cursor, which therefore follows the composer's
    # cursor, also when the composer grows, shrinks or moves.

    def place_terminal_cursor(self) -> None:
        """Move the terminal's cursor to where text will be inserted."""
        if self.has_focus and self.is_mounted:
            self.app.cursor_position = self.cursor_screen_offset

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.place_terminal_cursor)


class PasteFolds:
    """Long pastes, each replaced in the composer by a mark of one line."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def fold(self, text: str) -> str:
        """Return the text, or a mark that stands for it if it is long."""
        if len(text) < FOLDED_FROM:
            return text
        mark = f"[paste {len(self._texts) + 1}: {len(text):,} characters]"
        self._texts[mark] = text
        return mark

    def expand(self, text: str) -> str:
        """Replace every complete mark by the text it stands for."""
        for mark, folded in self._texts.items():
            text = text.replace(mark, folded, 1)
        return text

    def mark_before(self, text: str) -> str:
        """Return the mark that a text ends with; empty if there is none."""
        return next((mark for mark in self._texts if text.endswith(mark)), "")

    def clear(self) -> None:
        """Drop all marks."""
        self._texts.clear()
