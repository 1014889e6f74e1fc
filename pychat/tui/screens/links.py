"""LinksScreen: the links of a conversation, newest first, to open or to copy."""

from __future__ import annotations

from itertools import islice
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from pychat.client.safetext import safe_text
from pychat.tui.log.transcript import Transcript
from pychat.tui.screens.dialog import Dialog
from pychat.tui.text.markdown import MAX_SHOWN, links

MAX_MESSAGES = 1000
"""Number of messages that are searched for links."""
MAX_LINKS = 100


class LinksScreen(Dialog[None]):
    """A list of links. Enter opens one, c copies it."""

    CSS_PATH = "links.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", show=False),
        Binding("c", "copy", show=False),
    ]

    def __init__(self, transcript: Transcript) -> None:
        super().__init__()
        found = (
            link
            for message in islice(transcript.newest(), MAX_MESSAGES)
            for link in links(safe_text(message.text[:MAX_SHOWN]))
        )
        self._links = list(islice(dict.fromkeys(found), MAX_LINKS))

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
