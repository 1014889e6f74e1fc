"""What views are shown: the server's state with the user's changes that are not answered yet."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from pychat.client.errors import RequestRefused
from pychat.client.events import (
    ClientEvent,
    ConversationChanged,
    ConversationsLoaded,
    MessageAdded,
    MessageChanged,
)
from pychat.client.models import ChangeKind, ConversationInfo, MessageInfo, PendingChange
from pychat.client.safetext import safe_line
from pychat.client.state.roster import Roster
from pychat.client.storage.cache import Cache, message_at
from pychat.client.storage.outbox import Outbox
from pychat.client.storage.pending import PendingChanges

_MAX_NAMED: Final = 40
"""Characters of a message's text that name it in a line."""


class ShownState:
    """Applies pending changes to messages, conversations and events before views get them."""

    def __init__(
        self, cache: Cache, roster: Roster, outbox: Outbox, pending: PendingChanges
    ) -> None:
        self._cache = cache
        self._roster = roster
        self._outbox = outbox
        self._pending = pending

    def message(self, message: MessageInfo) -> MessageInfo:
        """Return the message with its delivery status and the pending changes."""
        return self._pending.shown(self._roster.with_delivery(message))

    def conversation(self, conversation: ConversationInfo) -> ConversationInfo:
        """Return the conversation with the pending changes of its last message."""
        last = conversation.last
        if last is None or (shown := self._pending.shown(last)) is last:
            return conversation
        return structs.replace(conversation, last=shown)

    def event(self, event: ClientEvent) -> ClientEvent:
        """Return the event with the pending changes."""
        if not self._pending.waiting:
            return event
        match event:
            case MessageAdded(message) | MessageChanged(message):
                return structs.replace(event, message=self._pending.shown(message))
            case ConversationChanged(conversation):
                return ConversationChanged(self.conversation(conversation))
            case ConversationsLoaded(conversations):
                return ConversationsLoaded([self.conversation(each) for each in conversations])
            case _:
                return event

    def changed(self, message: MessageInfo) -> list[ClientEvent]:
        """Return the events after a change of a message has been made, refused or taken back.

        ``message``: as the user saw it last. The events have it as it is in the cache or in the
        outbox, if it is there.
        """
        name, seq = message.conversation, message.seq
        kept = message_at(self._cache, name, seq) if seq else self._outbox.get(message.client_id)
        message = kept or message
        if not message.sender:
            return []  # only its id is known
        events: list[ClientEvent] = [MessageChanged(self._roster.with_delivery(message))]
        known = self._roster.get(name)
        if known is not None and known.last is not None and known.last.seq == seq:
            events.append(ConversationChanged(known))
        return events


def refused_line(change: PendingChange, refusal: RequestRefused) -> str:
    """Return one line that names a refused change, and says why it was refused."""
    text = safe_line(change.message.text or change.message.id)
    quoted = text if len(text) <= _MAX_NAMED else f"{text[: _MAX_NAMED - 1]}…"
    what = f"{change.emoji} for" if change.kind is ChangeKind.REACTION else f"{change.kind} of"
    return f"{what} “{quoted}” refused: {refusal}"
