"""Dialogs about one message: all its actions, the question before deleting it, and its details."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Offset
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

from pychat.tui.commands.keys import KeyAction, show
from pychat.tui.screens.dialogs import Dialog

MENU_WIDTH: Final = 40


class MessageMenu(Dialog[str | None]):
    """Return the name of the chosen action, or None.

    ``entries``: each action with its keys; the keys work in the menu, too. ``at``: where the menu
    opens, None for the centre.
    """

    CSS_PATH = "message.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", show=False)]

    def __init__(
        self, entries: Sequence[tuple[KeyAction, list[str]]], at: Offset | None = None
    ) -> None:
        super().__init__(classes="" if at is None else "-placed")
        self._entries = entries
        self._at = at

    def compose(self) -> ComposeResult:
        width = max(len(show(keys[0])) for _, keys in self._entries)
        with Vertical(id="menu"):
            yield OptionList(
                *(
                    Option(
                        Content.assemble(
                            (f"{show(keys[0]):<{width}}  ", "$primary"), (entry.does, "$foreground")
                        )
                    )
                    for entry, keys in self._entries
                ),
                markup=False,
            )

    def on_mount(self) -> None:
        menu = self.query_one("#menu")
        if self._at is not None:
            right = max(0, self.size.width - MENU_WIDTH)
            bottom = max(0, self.size.height - len(self._entries) - 2)
            menu.styles.offset = (min(self._at.x, right), min(self._at.y, bottom))
        self.query_one(OptionList).highlighted = 0

    def on_click(self, event: events.Click) -> None:
        if event.widget is self:  # beside the menu
            self.dismiss()

    def on_key(self, event: events.Key) -> None:
        for entry, keys in self._entries:
            if event.key in keys:
                event.stop()
                self.dismiss(entry.action)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._entries[event.option_index][0].action)


class DeleteScreen(Dialog[bool | None]):
    """Ask before a message is deleted. ``text``: its beginning, one safe line."""

    CSS_PATH = "message.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "dismiss", show=False),
        Binding("y", "dismiss(True)", show=False),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Label("Delete this message for everybody?", id="asked")
            yield Static(Content.styled(self._text, "$foreground 72%"), id="about", markup=False)
            yield OptionList("Delete", "Keep", markup=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = 0

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index == 0)


class DetailsScreen(Dialog[None]):
    """Facts about a message, each with its name. They must be safe text."""

    CSS_PATH = "message.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,i,q", "dismiss", show=False)]

    def __init__(self, facts: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._facts = facts

    def compose(self) -> ComposeResult:
        width = max(len(name) for name, _ in self._facts)
        rows = [
            Content.assemble((f"{name:<{width}}  ", "$foreground 72%"), (fact, "$foreground"))
            for name, fact in self._facts
        ]
        with VerticalScroll(id="details"):
            yield Static(Content("\n").join(rows), markup=False)
