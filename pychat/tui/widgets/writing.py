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
from pychat.client.models import ChangeKind, MessageInfo, PendingChange
from pychat.tui.commands.slash import CommandError, CommandRequested, parse, plain
from pychat.tui.text.names import Name, line
from pychat.tui.widgets.completions import Completions
from pychat.tui.widgets.composer import Composer
from pychat.tui.widgets.purpose import Purpose, PurposeLine

if TYPE_CHECKING:
    from pychat.client import ChatClient

DRAFT_SECONDS: Final = 0.5
"""Delay between a key press and saving the draft."""


class WritingArea(Vertical):
    """Write in one conversation at a time, the one given to ``open``.

    Text typed before any conversation is open is kept as the draft of the empty name and moves to
    the first conversation that is opened. ``recall`` returns the user's earlier messages in the
    open conversation, oldest first. ``leave_upwards``
    is called for ↑ in an empty composer. ``mentionable``: as for the
    composer. ``sender_name`` returns the display name of a person.
    """

    class DraftChanged(TextualMessage):
        """A draft was saved or sent."""

    class Sent(TextualMessage):
        """A message went to the outbox."""

        def __init__(self, conversation: str) -> None:
            super().__init__()
            self.conversation = conversation

    def __init__(
        self,
        client: ChatClient,
        recall: Callable[[], list[str]],
        leave_upwards: Callable[[], None],
        mentionable: Callable[[str], list[Name]],
        sender_name: Callable[[str], Name],
        *,
        blink: bool,
        id: str,
    ) -> None:
        super().__init__(id=id)
        self._client = client
        self._blink = blink
        self._recall = recall
        self._leave_upwards = leave_upwards
        self._mentionable = mentionable
        self._sender_name = sender_name
        self._conversation = ""
        self._purposes: dict[str, Purpose] = {}
        """By conversation. While one is an edit, the draft stays as it is."""
        self._save_scheduled = False

    def compose(self) -> ComposeResult:
        yield Completions(id="completions")
        yield PurposeLine(id="purpose")
        composer = Composer(
            self._submit, self._recall, self._leave_upwards, self._mentionable, id="composer"
        )
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
        self._load()

    def _load(self) -> None:
        """Put the draft into the composer, or the edit that was begun."""
        purpose = self.purpose
        editing = purpose is not None and purpose.kind == "edit"
        text = self._client.draft(self._conversation)
        self.composer.load(purpose.text if purpose is not None and editing else text)
        self._show_purpose()

    # --- replying and editing ---------------------------------------------------------------

    @property
    def purpose(self) -> Purpose | None:
        """What the text in the composer is for; None for a new message."""
        return self._purposes.get(self._conversation)

    def begin(self, purpose: Purpose) -> None:
        """Reply with the text in the composer, or edit another one; the draft stays."""
        self.save()
        self._purposes[self._conversation] = purpose
        self._load()

    def cancel_purpose(self) -> bool:
        """Write a new message again, with the draft from before an edit; False if it is so."""
        ended = self._purposes.pop(self._conversation, None)
        if ended is None:
            return False
        if ended.kind == "edit":
            self._load()
        else:
            self._show_purpose()
        return True

    def message_changed(self, message: MessageInfo) -> None:
        """Follow the message of a purpose: it was stored, edited or removed."""
        purpose = self._purposes.get(message.conversation)
        if purpose is None or not purpose.is_for(message):
            return
        if not message.removed:
            if not purpose.message.seq:
                purpose.message = message
            return
        if message.conversation != self._conversation:
            del self._purposes[message.conversation]
            return
        text = self.composer.written if purpose.kind == "edit" else ""
        self.cancel_purpose()
        if text and not self.composer.text:
            self.composer.load(text)
        self.notify("The message was deleted", severity="warning", markup=False)

    def edit_refused(self, change: PendingChange) -> None:
        """Keep the text of an edit that the server refused as a draft, unless there is one."""
        name = change.message.conversation
        empty = not self._client.draft(name) and not (
            name == self._conversation and self.composer.written
        )
        if change.kind is ChangeKind.EDIT and change.message.own and empty:
            self._client.set_draft(name, change.text)
            if name == self._conversation and self.purpose is None:
                self.composer.load(change.text)
            self.post_message(self.DraftChanged())

    def _show_purpose(self) -> None:
        purpose, text = self.purpose, ""
        if purpose is not None:
            quoted = line(purpose.message.shown_text, 120)
            if purpose.kind == "edit":
                text = f"Editing: {quoted}"
            else:
                sender = self._sender_name(purpose.message.sender).called
                text = f"Replying to {'yourself' if purpose.message.own else sender}: {quoted}"
        self.query_one(PurposeLine).text = text
        self.set_class(bool(text), "-for-message")

    def _give_waiting_text(self, name: str) -> None:
        """Append the text typed before a conversation was open to a conversation's draft."""
        waiting = self._client.draft("")
        if waiting:
            self._client.set_draft("", "")
            draft = self._client.draft(name)
            self._client.set_draft(name, f"{draft}\n{waiting}" if draft else waiting)

    @property
    def reply_to(self) -> int | None:
        """Seq of the message that the next one replies to."""
        purpose = self.purpose
        return purpose.message.seq if purpose is not None and purpose.kind == "reply" else None

    def save(self) -> None:
        """Save the text in the composer as a draft."""
        self._save_scheduled = False
        if not self.app.is_running:
            return  # ChatApp.exit has saved it
        text, purpose = self.composer.written, self.purpose
        if purpose is not None and purpose.kind == "edit":
            purpose.text = text
            return
        if self._client.draft(self._conversation) != text:
            self._client.set_draft(self._conversation, text)
            self.post_message(self.DraftChanged())

    @on(TextArea.Changed)
    def _text_changed(self) -> None:
        """Send a typing notification and schedule saving the draft."""
        name, text = self._conversation, self.composer.written
        editing = self.purpose is not None and self.purpose.kind == "edit"
        if name and not editing and self.composer.has_focus and text != self._client.draft(name):
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
        purpose = self.purpose
        if command is None and purpose is not None and purpose.kind == "edit":
            return self._edit(purpose, plain(text))
        if command is None:
            return self.send(plain(text))
        self.post_message(CommandRequested(*command))
        if purpose is None or purpose.kind != "edit":
            self._client.set_draft(self._conversation, "")
        return True

    def _edit(self, purpose: Purpose, text: str) -> bool:
        """Change a message. Returns False: the composer has the draft again, or still the text."""
        try:
            if text != purpose.message.text:
                self._client.post_edit(purpose.message, text)
        except ChatClientError as error:
            self.notify(line(str(error), 300), severity="warning", markup=False)
        else:
            self.cancel_purpose()
        return False

    def send(self, text: str) -> bool:
        """Put a message into the outbox. False, with the reason shown, if it is not allowed."""
        try:
            self._client.post(self._conversation, text, reply_to=self.reply_to)
        except ChatClientError as error:
            self.notify(line(str(error), 300), severity="warning", markup=False)
            return False
        if self.reply_to is not None:
            self.cancel_purpose()
        self._client.set_draft(self._conversation, "")
        self._client.typing(self._conversation, False)
        self.post_message(self.DraftChanged())
        self.post_message(self.Sent(self._conversation))
        return True
