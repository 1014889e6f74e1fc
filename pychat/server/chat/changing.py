"""Deliver changes of messages: to every reader in the order of the revs, hidden where necessary.
That includes those that the store made although it reported an error."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import NamedTuple

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
from pychat.server.chat.state.session import ChatSession
from pychat.server.store.base import Store, StoreError
from pychat.server.store.records import (
    ChangeResult,
    MessageRecord,
    NewChange,
    NewEdit,
    NewReaction,
    NewRemoval,
    Outcome,
)

MAX_IN_DOUBT = 10_000
MAX_OF_ONE_MESSAGE = 20
LOOK_UP_AT_ONCE = 500


class SubmittedChange(NamedTuple):
    """A change that the store has been asked for, or will be."""

    session: ChatSession
    user: OnlineUser
    conversation: Conversation
    change: NewChange
    event: str
    ack_id: int | None
    answer: Callable[[SubmittedChange, ChangeResult], None]
    """Answers the request, once the change was stored and delivered."""


class ChangeDelivery:
    """Sends ``changed`` events."""

    def __init__(self, store: Store, reach: Reach, text_gone: Callable[[], None]) -> None:
        """``text_gone`` is called after a text was removed from the store."""
        self._store = store
        self._reach = reach
        self._text_gone = text_gone
        self.in_doubt: dict[tuple[int, int], list[SubmittedChange]] = {}
        """Failed changes, by conversation and seq. The store may have made them: they are looked up
        when it works again."""

    def doubt(self, entry: SubmittedChange) -> None:
        """Note that a change has failed."""
        place = entry.change.conversation, entry.change.seq
        if place in self.in_doubt or len(self.in_doubt) < MAX_IN_DOUBT:
            entries = self.in_doubt.setdefault(place, [])
            entries.append(entry)
            del entries[:-MAX_OF_ONE_MESSAGE]

    def made(self, entry: SubmittedChange, changed: ChangeResult) -> None:
        """Deliver a change that the store has answered, and answer the request."""
        message = changed.message
        if message is not None:
            if changed.outcome is Outcome.DONE:
                self._tell(entry, message)
            elif changed.outcome is Outcome.UNCHANGED and self.in_doubt:
                self._tell_doubtful(message)
        entry.answer(entry, changed)

    async def deliver_doubtful(self) -> None:
        """Deliver those of the failed changes that the store has made, if it can be asked. No other
        task may note or deliver changes meanwhile."""
        places = list(self.in_doubt)
        for start in range(0, len(places), LOOK_UP_AT_ONCE):
            part = places[start : start + LOOK_UP_AT_ONCE]
            try:
                found = await self._store.messages(part)
            except StoreError:
                return
            for message in found:
                self._tell_doubtful(message)
            for place in part:
                del self.in_doubt[place]

    def _tell_doubtful(self, message: MessageRecord) -> None:
        """Deliver the failed change of a message that the store has made after all. If it has made
        several of the conversation, clients notice that revs are missing and ask for them."""
        entries = self.in_doubt.get((message.conversation, message.seq), ())
        found, best = None, 0
        for entry in entries:
            evidence = _evidence(message, entry)
            # The last of several: the rev is of the newest change.
            if evidence and evidence >= best:
                found, best = entry, evidence
        if found is not None and message.rev > found.conversation.sent_rev:
            self._tell(found, message)

    def _tell(self, entry: SubmittedChange, message: MessageRecord) -> None:
        if isinstance(entry.change, NewRemoval):
            self._text_gone()
        self._deliver(entry.conversation, entry.user, entry.change, message)

    def _deliver(
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
        payload = _payload(user, change, message)
        if isinstance(change, NewEdit) and not message.removed:
            payload.mentions = mentioned_ids(conversation, message.mentions)
        for name, readers in self._readers(conversation):
            payload.with_ = name
            self._reach.notify(readers, Event.CHANGED, encode(payload), hidden_from=hidden)
            if hidden and not hidden.isdisjoint(readers):
                reduced = ChangedPayload(name, message.rev)
                self._reach.notify(hidden & readers, Event.CHANGED, encode(reduced))

    def _readers(self, conversation: Conversation) -> list[tuple[str, Set[int]]]:
        """Return the names of the conversation, and who calls it so."""
        if isinstance(conversation, Pair):
            a, b = conversation.a, conversation.b
            names: list[tuple[str, Set[int]]] = [(conversation.b_id, {a}), (conversation.a_id, {b})]
            return names if a != b else names[:1]
        name = conversation.name_for(0)
        if isinstance(conversation, Room):
            return [(name, conversation.members.keys())]
        assert isinstance(conversation, Everyone)
        # An account that is not known yet has read no rev, and will read this one.
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


def _evidence(message: MessageRecord, entry: SubmittedChange) -> int:
    """Return how sure it is that this change has made the message as it is: 0 if it has not, 3 if
    its rev is the message's. The same was perhaps so before the change, or somebody was not allowed
    to make it."""
    change = entry.change
    if isinstance(change, NewRemoval):
        allowed = change.of_others or change.account == message.sender
        return 3 if message.removed and allowed else 0
    if isinstance(change, NewEdit):
        same = change.account == message.sender and message.data == change.data
        return 2 if same and (message.edited_at or 0) >= change.edited_at else 0
    revs = [
        each.rev
        for each in message.reactions
        if (each.account, each.emoji) == (change.account, change.emoji)
    ]
    if not change.on:
        return 0 if revs else 1
    if not revs or revs[0] <= entry.conversation.sent_rev:
        return 0
    return 3 if revs[0] == message.rev else 1


def _payload(user: OnlineUser, change: NewChange, message: MessageRecord) -> ChangedPayload:
    """Return what has changed, without the name of the conversation."""
    payload = ChangedPayload("", message.rev, message.seq)
    if message.removed:
        payload.removed = True
    elif isinstance(change, NewEdit):
        payload.data = message.data
        payload.edited = UNSET if message.edited_at is None else rfc3339(message.edited_at)
    elif isinstance(change, NewReaction):
        payload.reaction = Reaction(change.emoji, user.id, change.on)
    return payload
