"""ReactionPicker: finds an emoji by the letters of its name; those used last come first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.cells import set_cell_size
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from pychat.tui.screens.dialogs import Dialog
from pychat.tui.widgets.completions import emoji_names, found_emoji

USUAL: Final = ("👍", "❤️", "😂", "🎉", "😮", "😢", "🙏", "👀", "✅")
OFFERED: Final = 40


class ReactionPicker(Dialog[str | None]):
    """Return an emoji, or None.

    ``recent``: emoji that the user has used, the last one first. ``mine``: those that the user has
    given to the message; choosing one takes it back.
    """

    CSS_PATH = "../switcher.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", show=False),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
    ]

    def __init__(self, recent: Sequence[str], mine: Sequence[str]) -> None:
        super().__init__()
        self._first = list(dict.fromkeys([*mine, *recent, *USUAL]))
        self._mine = mine
        self._offered: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="switcher"):
            yield Input(placeholder="Search emoji", id="query")
            yield OptionList(id="matches", markup=False)

    def on_mount(self) -> None:
        self._offer()

    @on(Input.Changed)
    def _offer(self) -> None:
        query = self.query_one(Input).value.strip().strip(":")
        names = {emoji: name for name, emoji in emoji_names().items()}
        found = found_emoji(query, OFFERED) if query else []
        if query and not query.isascii():
            found.append(query)  # an emoji itself
        self._offered = list(dict.fromkeys(found)) if query else self._first
        options = []
        for emoji in self._offered:
            name = names.get(emoji) or names.get(emoji.removesuffix("\ufe0f"), "")
            also = "  take back" if emoji in self._mine else ""
            options.append(
                Option(
                    Content.assemble(
                        (f"{set_cell_size(emoji, 2)}  {name}", "$foreground"),
                        (also, "$foreground 72%"),
                    )
                )
            )
        if not options:
            options.append(Option(Content("No emoji has such a name"), disabled=True))
        matches = self.query_one(OptionList)
        matches.set_options(options)
        matches.highlighted = 0 if self._offered else None

    def on_key(self, event: events.Key) -> None:
        """Handle keys that arrive before the field has the focus."""
        if event.key == "enter":
            event.stop()
            self._submitted()
        elif event.is_printable and event.character:
            self.query_one(Input).insert_text_at_cursor(event.character)

    def action_move(self, by: int) -> None:
        matches = self.query_one(OptionList)
        matches.action_cursor_down() if by > 0 else matches.action_cursor_up()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        highlighted = self.query_one(OptionList).highlighted
        if highlighted is not None and highlighted < len(self._offered):
            self.dismiss(self._offered[highlighted])

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._offered[event.option_index])
