"""WritingArea: composer and completions below the log; keeps drafts, sends messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message as TextualMessage
from textual.widgets import TextArea

from pychat.client.errors import ChatClientError
from pychat.tui.commands.slash import CommandError, CommandRequested, parse, plain
from pychat.tui.text.names import line
from pychat.tui.widgets.completions import Completions
from pychat.tui.widgets.composer import Composer

if TYPE_CHECKING:
    from pychat.client import ChatClient

DRAFT_SECONDS: Final = 0.5
"""Delay between a key press and saving the draft."""


class WritingArea(Vertical):
    """Write in one conversation at a time, the one given to ``open``.

    Text typed before any conversation is open is kept as the draft of the empty name and moves to
    the first conversation that is opened. ``recall`` returns the user's earlier messages in the
    open conversation, oldest first.
    """

    class DraftChanged(TextualMessage):
        """A draft was saved or sent."""

    class Sent(TextualMessage):
        """A message went to the outbox."""

        def __init__(self, conversation: str) -> None:
            super().__init__()
            self.conversation = conversation

    def __init__(
        self, client: ChatClient, recall: Callable[[], list[str]], *, blink: bool, id: str
    ) -> None:
        super().__init__(id=id)
        self._client = client
        self._blink = blink
        self._recall = recall
        self._conversation = ""
        self._save_scheduled = False

    def compose(self) -> ComposeResult:
        yield Completions(id="completions")
        composer = Composer(self._submit, self._recall, id="composer")
        composer.cursor_blink = self._blink
        yield composer

    @property
    def composer(self) -> Composer:
        return self.query_one(Composer)

    def on_mount(self) -> None:
        self.composer.load(self._client.draft(""))

    def open(self, name: str) -> None:
        """Save the draft, then load the one of another conversation; an empty name closes it."""
        self.save()
        if name and not self._conversation:
            self._give_waiting_text(name)
        self._conversation = name
        self.composer.load(self._client.draft(name))

    def _give_waiting_text(self, name: str) -> None:
        """Append the text typed before a conversation was open to a conversation's draft."""
        waiting = self._client.draft("")
        if waiting:
            self._client.set_draft("", "")
            draft = self._client.draft(name)
            self._client.set_draft(name, f"{draft}\n{waiting}" if draft else waiting)

    def save(self) -> None:
        """Save the text in the composer as a draft."""
        self._save_scheduled = False
        if not self.app.is_running:
            return  # ChatApp.exit has saved it
        text = self.composer.written
        if self._client.draft(self._conversation) != text:
            self._client.set_draft(self._conversation, text)
            self.post_message(self.DraftChanged())

    @on(TextArea.Changed)
    def _text_changed(self) -> None:
        """Send a typing notification and schedule saving the draft."""
        name, text = self._conversation, self.composer.written
        if name and self.composer.has_focus and text != self._client.draft(name):
            self._client.typing(name, bool(text.strip()) and not text.startswith("/"))
        if not self._save_scheduled:
            self._save_scheduled = True
            self.set_timer(DRAFT_SECONDS, self.save)

    @on(Completions.Chosen)
    def _completion_clicked(self, event: Completions.Chosen) -> None:
        self.composer.complete(event.candidate)

    def _submit(self, text: str) -> bool:
        """Send a message or post a command. False if the text must stay in the composer."""
        if not self._conversation:
            return False
        try:
            command = parse(text)
        except CommandError as error:
            self.notify(str(error), severity="warning", markup=False)
            return False
        if command is None:
            return self.send(plain(text))
        self.post_message(CommandRequested(*command))
        self._client.set_draft(self._conversation, "")
        return True

    def send(self, text: str) -> bool:
        """Put a message into the outbox. False, with the reason shown, if it is not allowed."""
        try:
            self._client.post(self._conversation, text)
        except ChatClientError as error:
            self.notify(line(str(error), 300), severity="warning", markup=False)
            return False
        self._client.set_draft(self._conversation, "")
        self._client.typing(self._conversation, False)
        self.post_message(self.DraftChanged())
        self.post_message(self.Sent(self._conversation))
        return True
