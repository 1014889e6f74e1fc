"""Drafting: what is written in a conversation: kept while it is a draft, then sent or run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pychat.client.errors import ChatClientError
from pychat.tui.commands.slash import CommandError, parse, plain
from pychat.tui.text.names import line

if TYPE_CHECKING:
    from pychat.client import ChatClient
    from pychat.tui.widgets.conversation_view import ConversationView

DRAFT_SECONDS: Final = 0.5


class Drafting:
    """Between the composer of ``view`` and the client; it is for the conversation shown there."""

    def __init__(self, client: ChatClient, view: ConversationView) -> None:
        self._client = client
        self._view = view
        self._scheduled = False

    def submit(self, text: str) -> bool:
        """Sends it, or posts the command that it is; False where it has to be written anew."""
        view = self._view
        if not view.current:
            return False
        try:
            command = parse(text)
        except CommandError as error:
            view.app.notify(str(error), severity="warning", markup=False)
            return False
        if command is None:
            return self.send(plain(text))
        view.post_message(view.Commanded(*command))
        self._client.set_draft(view.current, "")
        return True

    def send(self, text: str) -> bool:
        """Into the outbox; False, with the reason told, for what may not be sent."""
        view = self._view
        try:
            self._client.post(view.current, text)
        except ChatClientError as error:
            view.app.notify(line(str(error), 300), severity="warning", markup=False)
            return False
        self._client.set_draft(view.current, "")
        self._client.typing(view.current, False)
        view.flush()
        view.post_message(view.DraftChanged())
        view.go_to_end()
        return True

    def own_texts(self) -> list[str]:
        """One's own messages here, oldest first: what the composer recalls."""
        opened = self._view.conversations.opened(self._view.current)
        return [] if opened is None else opened.transcript.own_texts()

    def changed(self) -> None:
        """Something was typed: the others see that, and it is kept a moment later."""
        view, text = self._view, self._view.composer.written
        if view.current and view.composer.has_focus and text != self._client.draft(view.current):
            self._client.typing(view.current, bool(text.strip()) and not text.startswith("/"))
        if not self._scheduled:
            self._scheduled = True
            view.set_timer(DRAFT_SECONDS, self.save)

    def load_waiting(self) -> None:
        """No conversation is open: what was written for whichever is opened next, which the
        client keeps under no name."""
        self._view.composer.load(self._client.draft(""))

    def give_waiting(self, name: str) -> None:
        """It has been chosen: it goes below what was written in it before."""
        waiting = self._client.draft("")
        if waiting:
            self._client.set_draft("", "")
            draft = self._client.draft(name)
            self._client.set_draft(name, f"{draft}\n{waiting}" if draft else waiting)

    def save(self) -> None:
        """Keeps what is in the composer."""
        view = self._view
        self._scheduled = False
        if not view.app.is_running:
            return  # kept already, see ``ChatApp.exit``
        if self._client.draft(view.current) != view.composer.written:
            self._client.set_draft(view.current, view.composer.written)
            view.post_message(view.DraftChanged())
