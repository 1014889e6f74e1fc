"""ReadMarker: what was in view of somebody who is looking, for a moment, is read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from pychat.client.errors import ChatClientError
from pychat.tui.model.marking import Marking, Run

if TYPE_CHECKING:
    from textual.timer import Timer
    from textual.worker import Worker

    from pychat.client import ChatClient
    from pychat.tui.widgets.conversation_view import ConversationView

READ_SECONDS: Final = 0.3


class ReadMarker:
    """Between the log of ``view`` and the client; it is for the conversation shown there."""

    def __init__(self, client: ChatClient, view: ConversationView) -> None:
        self._client = client
        self._view = view
        self._marking = Marking()
        self._waiting: Timer | None = None
        """Until what is in view is read."""

    @property
    def _looking(self) -> bool:
        """Whether the log is there to be read by somebody who is."""
        view = self._view
        return view.app.app_focus and view.app.screen is view.screen and view.log_view.is_on_screen

    def in_view(self, seqs: Run) -> None:
        """These messages are in view now."""
        goes_on = self._marking.in_view(self._view.current, seqs, looking=self._looking)
        self._mark_soon(anew=not goes_on)

    def uncovered(self) -> None:
        """What is in view was hidden until now."""
        self._mark_soon(anew=True)

    def _mark_soon(self, *, anew: bool) -> None:
        if anew:
            self._stop_waiting()
        if self._waiting is None:
            self._waiting = self._view.set_timer(READ_SECONDS, self.mark)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None

    def mark(self) -> None:
        """Tells the server what was in view."""
        self._stop_waiting()
        view = self._view
        conversation = view.conversations.get(view.current)
        opened = view.conversations.opened(view.current)
        if conversation is None or opened is None or not self._looking:
            return
        seq = self._marking.settle(conversation, opened)
        if self._marking.slipped_by(conversation, opened):
            opened.reading.new_after = seq
            view.log_view.reading_changed()
        if seq > conversation.read_seq:
            tell = partial(self._tell, conversation.name, seq)
            _: Worker[None] = view.run_worker(tell, group="read", exclusive=True)

    async def _tell(self, name: str, seq: int) -> None:
        try:
            await self._client.mark_read(name, seq)
        except ChatClientError:
            return  # the next message in view, or the next connection, tries again

    def left(self) -> None:
        """The terminal lost the focus: what comes from now on is new since then."""
        view = self._view
        opened = view.conversations.opened(view.current)
        conversation = view.conversations.get(view.current)
        if opened is not None and conversation is not None and not conversation.unread:
            opened.reading.new_after = conversation.last_seq
            view.log_view.reading_changed()

    def forget(self, name: str) -> None:
        """Its seqs stand for other messages now."""
        self._marking.forget(name)
