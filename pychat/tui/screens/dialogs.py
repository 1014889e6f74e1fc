"""Dialogs: their base, the help, and the links of a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from textwrap import wrap
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, ScreenResultType
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

from pychat.tui.commands.keys import KEYS, keys_of, show
from pychat.tui.commands.message_actions import links_in
from pychat.tui.commands.slash import COMMANDS
from pychat.tui.log.transcript import Transcript


class Dialog(ModalScreen[ScreenResultType]):
    """Ignore keys that arrive while the dialog closes; Textual would end the app."""

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        if self.is_current:
            return super().dismiss(result)
        done: AwaitComplete = AwaitComplete.nothing()  # type: ignore[no-untyped-call]  # of Textual
        return done


WIDE: Final = 56
"""Width in cells from which two keys of an action fit."""


class HelpScreen(Dialog[None]):
    """Close on Esc or on the key that opens the help, and on no key that types text."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", show=False, priority=True),
    ]

    def __init__(self, rebound: Mapping[str, str]) -> None:
        super().__init__()
        self._rebound = rebound

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(markup=False)

    def on_resize(self) -> None:
        self.call_after_refresh(self._lay_out)

    def _lay_out(self) -> None:
        text = self.query_one(Static)
        text.update(help_text(self._rebound, text.size.width))


def help_text(rebound: Mapping[str, str], width: int) -> Content:
    """Lay out the keys by group, then the commands, in two columns.

    ``rebound``: keys changed in the settings; ``width``: cells of both columns together.
    """
    column = 22 if width >= WIDE else 12
    shown = 2 if width >= WIDE else 1

    def entry(name: str, does: str) -> list[tuple[str, str]]:
        lines = wrap(does, max(10, width - column - 2))
        indent = f"\n{'':{column + 2}}"
        head = f"  {name:<{column}}" + (indent if len(name) >= column else "")
        return [(head, "$foreground"), (f"{indent.join(lines)}\n", "$foreground 72%")]

    parts: list[str | tuple[str, str]] = []
    for group in dict.fromkeys(key.group for key in KEYS):
        parts.append((f"{group}\n", "bold $primary"))
        for key in KEYS:
            if key.group == group:
                names = "  ".join(show(name) for name in keys_of(key, rebound)[:shown])
                parts += entry(names, key.does)
        parts.append("\n")
    parts.append(("Commands\n", "bold $primary"))
    for command in COMMANDS:
        written = f"/{command.name} {command.arguments}".rstrip()
        parts += entry(written, command.does)
    return Content.assemble(*parts)


MAX_MESSAGES = 1000
"""Number of messages that are searched for links."""
MAX_LINKS = 100


def newest_links(transcript: Transcript) -> list[str]:
    """Return the links of a conversation, those of the newest message first."""
    newest = islice(transcript.newest(), MAX_MESSAGES)
    found = (link for message in newest for link in links_in(message))
    return list(islice(dict.fromkeys(found), MAX_LINKS))


class LinksScreen(Dialog[None]):
    """A list of links. Enter opens one, c copies it."""

    CSS_PATH = "links.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", show=False),
        Binding("c", "copy", show=False),
    ]

    def __init__(self, links: list[str]) -> None:
        super().__init__()
        self._links = links

    def compose(self) -> ComposeResult:
        with Vertical(id="links"):
            title = "Links   Enter: open   C: copy" if self._links else "No links here"
            yield Label(title, id="links-title")
            yield OptionList(*(Option(Content(link)) for link in self._links), markup=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = 0 if self._links else None

    @on(OptionList.OptionSelected)
    def _open(self, event: OptionList.OptionSelected) -> None:
        self.app.open_url(self._links[event.option_index])
        self.dismiss()

    def action_copy(self) -> None:
        index = self.query_one(OptionList).highlighted
        if index is not None:
            self.app.copy_to_clipboard(self._links[index])
            self.app.notify("Copied", timeout=2, markup=False)
            self.dismiss()
