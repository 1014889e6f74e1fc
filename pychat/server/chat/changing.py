"""Deliver changes of messages: to every reader in the order of the revs, hidden where necessary."""

from __future__ import annotations

from collections.abc import Set

from msgspec import UNSET

from pychat.protocol import Changed as ChangedPayload
from pychat.protocol import Event, Reaction
from pychat.server.chat.answers import encode
from pychat.server.chat.clock import rfc3339
from pychat.server.chat.state.entities import (
    NO_ACCOUNTS,
    Conversation,
    Everyone,
    OnlineUser,
    Pair,
    Room,
)
from pychat.server.chat.state.mentions import mentioned_ids
from pychat.server.chat.state.reach import Reach
from pychat.server.store.records import MessageRecord, NewChange, NewEdit, NewReaction


class ChangeDelivery:
    """Sends ``changed`` events."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    def deliver(
        self,
        conversation: Conversation,
        user: OnlineUser,
        change: NewChange,
        message: MessageRecord,
    ) -> None:
        """Notify all readers that the user has changed the message. Those who may not see the
        change receive only its rev."""
        conversation.sent_rev = max(conversation.sent_rev, message.rev)
        hidden = self._reach.blockers(message.sender) | late_readers(
            self._reach, conversation, message.seq
        )
        if isinstance(change, NewReaction):
            hidden = hidden | self._reach.blockers(user.key)
        for name, readers in self._readers(conversation):
            payload = _payload(name, user, change, message)
            if isinstance(change, NewEdit) and not message.removed:
                payload.mentions = mentioned_ids(conversation, message.mentions)
            self._reach.notify(readers, Event.CHANGED, encode(payload), hidden_from=hidden)
            if not hidden.isdisjoint(readers):
                reduced = ChangedPayload(name, message.rev)
                self._reach.notify(hidden & readers, Event.CHANGED, encode(reduced))

    def _readers(self, conversation: Conversation) -> list[tuple[str, Set[int]]]:
        """Return the names of the conversation, and who calls it so."""
        if isinstance(conversation, Pair):
            return [
                (conversation.name_for(account), {account})
                for account in {conversation.a, conversation.b}
            ]
        name = conversation.name_for(0)
        if isinstance(conversation, Room):
            return [(name, conversation.members.keys())]
        assert isinstance(conversation, Everyone)
        # An account that is not known yet has just logged in: it reads the rev afterwards.
        return [(name, self._reach.accounts() & conversation.members.keys())]


def late_readers(reach: Reach, conversation: Conversation, seq: int) -> Set[int]:
    """Return the accounts that may not read a message because they joined after it. In ALL, these
    are the ones that are online and known to ``Memberships.learn``."""
    if isinstance(conversation, Room):
        return {account for account, first in conversation.members.items() if first > seq}
    if isinstance(conversation, Everyone):
        first_seqs = conversation.members
        return {key for key in reach.accounts() if first_seqs.get(key, seq + 1) > seq}
    return NO_ACCOUNTS


def _payload(
    name: str, user: OnlineUser, change: NewChange, message: MessageRecord
) -> ChangedPayload:
    payload = ChangedPayload(name, message.rev, message.seq)
    if message.removed:
        payload.removed = True
    elif isinstance(change, NewEdit):
        payload.data = message.data
        payload.edited = UNSET if message.edited_at is None else rfc3339(message.edited_at)
    elif isinstance(change, NewReaction):
        payload.reaction = Reaction(change.emoji, user.id, change.on)
    return payload
