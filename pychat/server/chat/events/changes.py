"""``edit``, ``remove``, ``react`` and ``reactions``: check a change, submit it, answer it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from pychat.protocol import (
    ChangeAnswer,
    Code,
    ConflictAnswer,
    EditRequest,
    Event,
    ProtocolError,
    ReactionsAnswer,
    ReactionsRequest,
    ReactionUsers,
    ReactRequest,
    RemoveRequest,
    check_data,
    check_emoji,
    decode,
)
from pychat.server.chat import audit
from pychat.server.chat.answers import Answers, require_acknowledgement
from pychat.server.chat.changing import SubmittedChange
from pychat.server.chat.clock import now, parse_rfc3339, rfc3339
from pychat.server.chat.delivery import Delivery
from pychat.server.chat.limits import Limiter
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import Conversation, Everyone, OnlineUser, Room
from pychat.server.chat.state.mentions import Mentions
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.roles import Roles
from pychat.server.chat.state.session import ChatSession, Work
from pychat.server.chat.views import MessageViews, reactions_of
from pychat.server.store.base import Store
from pychat.server.store.records import (
    ChangeResult,
    MessageRecord,
    NewChange,
    NewEdit,
    NewReaction,
    NewRemoval,
    Outcome,
)

EDIT = msgspec.json.Decoder(EditRequest)
REMOVE = msgspec.json.Decoder(RemoveRequest)
REACT = msgspec.json.Decoder(ReactRequest)
REACTIONS = msgspec.json.Decoder(ReactionsRequest)
MESSAGE_ID = re.compile(r"([0-9]{1,15})-([0-9]{1,15})").fullmatch

AnswerLater: TypeAlias = Callable[[ChatSession, str, int | None, Work], None]

_DONE: dict[str, str] = {
    Event.EDIT: "edited",
    Event.REMOVE: "message removed",
    Event.REACT: "done",
}
_CONFLICTS = {
    Outcome.REMOVED: "the message was removed",
    Outcome.CONFLICT: "the message has been edited meanwhile",
    Outcome.FULL: "the message has too many reactions",
}


class Changes:
    """Change messages of conversations that the user can read. If the conversation is in memory,
    nothing is awaited, so that the changes of one connection share a batch."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        delivery: Delivery,
        reach: Reach,
        views: MessageViews,
        limiter: Limiter,
        answers: Answers,
        mentions: Mentions,
        roles: Roles,
        answer_later: AnswerLater,
    ) -> None:
        """``answer_later`` runs the rest of a request while later events of its connection are
        handled."""
        self._answer_later = answer_later
        self._store = store
        self._directory = directory
        self._delivery = delivery
        self._reach = reach
        self._views = views
        self._limiter = limiter
        self._answers = answers
        self._mentions = mentions
        self._roles = roles

    # --- requests ---
    def edit(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work | None:
        user = session.require_user()
        request = decode(EDIT, payload)
        check_data(request.data)
        key, seq = _place(request.id)
        edit = NewEdit(key, seq, user.key, request.data, 0, _base(request.base))
        self._limiter.take(user.key, "messages")
        self._limiter.take(user.key, "text", len(request.data))
        return self._change(session, user, edit, Event.EDIT, ack_id)

    def remove(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work | None:
        user = session.require_user()
        request = decode(REMOVE, payload)
        key, seq = _place(request.id)
        self._limiter.take(user.key, "messages")
        return self._change(session, user, NewRemoval(key, seq, user.key), Event.REMOVE, ack_id)

    def react(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work | None:
        user = session.require_user()
        request = decode(REACT, payload)
        emoji = check_emoji(request.emoji)
        key, seq = _place(request.id)
        reaction = NewReaction(key, seq, user.key, emoji, request.on)
        self._limiter.take(user.key, "messages")
        return self._change(session, user, reaction, Event.REACT, ack_id)

    def reactions(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(REACTIONS, payload)
        key, seq = _place(request.id)
        ack_id = require_acknowledgement(ack_id)
        self._limiter.take(user.key, "queries")
        return self._reactions(session, user, key, seq, ack_id)

    async def _reactions(
        self, session: ChatSession, user: OnlineUser, key: int, seq: int, ack_id: int
    ) -> None:
        async def read() -> tuple[MessageRecord, list[ReactionUsers]]:
            await self._conversation(user, key, seq)
            found = await self._store.messages([(key, seq)])
            if not found or found[0].sender in user.blocked:
                raise _missing()
            accounts = {reaction.account for reaction in found[0].reactions}
            return found[0], reactions_of(user, found[0], await self._directory.users(accounts))

        message, reactions = await self._directory.read_for(user, read)
        self._answers.answer(
            session,
            ack_id,
            ReactionsAnswer(
                Code.DONE,
                "done",
                id=f"{key}-{seq}",
                seq=seq,
                rev=message.rev,
                reactions=reactions,
            ),
        )

    # --- changing ---
    def _change(
        self,
        session: ChatSession,
        user: OnlineUser,
        change: NewChange,
        event: str,
        ack_id: int | None,
    ) -> Work | None:
        """Submit the change if all that it needs is in memory. Otherwise return the rest of the
        work. Raises ProtocolError."""
        conversation = self._cached_conversation(user, change)
        if conversation is None:
            return self._find_conversation(session, user, change, event, ack_id)
        self._submit(session, user, conversation, change, event, ack_id)
        return None

    async def _find_conversation(
        self,
        session: ChatSession,
        user: OnlineUser,
        change: NewChange,
        event: str,
        ack_id: int | None,
    ) -> None:
        if isinstance(change, NewRemoval) and self._roles.is_admin(user):
            conversation = await self._any_conversation(change.conversation)
        else:
            conversation = await self._conversation(user, change.conversation, change.seq)
        if isinstance(change, NewEdit) and not self._mentions.ready(conversation, change.data):
            await self._mentions.prepare(conversation, change.data)
            # The user may have left meanwhile.
            await self._conversation(user, change.conversation, change.seq)
        if isinstance(conversation, Everyone):
            await self._directory.memberships.learn(conversation, self._reach.accounts())
        self._submit(session, user, conversation, change, event, ack_id)

    def _submit(
        self,
        session: ChatSession,
        user: OnlineUser,
        conversation: Conversation,
        change: NewChange,
        event: str,
        ack_id: int | None,
    ) -> None:
        if isinstance(change, NewEdit):
            change.mentions = self._mentions.find(user, conversation, change.data, change.seq)
            change.edited_at = now()
        elif isinstance(change, NewReaction):
            change.blocked = user.blocked
        else:
            change.of_others = self._roles.is_admin(user) or self._roles.moderates(
                user, conversation
            )
        self._delivery.submit_change(
            SubmittedChange(session, user, conversation, change, event, ack_id, self._answer)
        )

    def _answer(self, entry: SubmittedChange, changed: ChangeResult) -> None:
        """Answer a change that the store has made or refused."""
        message = changed.message
        refusal = None
        if message is None:
            refusal = _missing()
        elif changed.outcome is Outcome.FORBIDDEN:
            text = "this is a message of somebody else"
            refusal = ProtocolError(Code.FORBIDDEN, text, field="id")
        elif changed.outcome in _CONFLICTS:
            if entry.ack_id is not None:
                conflict = self._conflict(entry, message, _CONFLICTS[changed.outcome])
                self._answer_later(entry.session, entry.event, entry.ack_id, conflict)
                return
            refusal = ProtocolError(Code.CONFLICT, _CONFLICTS[changed.outcome])
        if refusal is not None:
            self._answers.refuse(entry.session, entry.event, entry.ack_id, refusal)
            return
        assert message is not None
        self._succeed(entry, message)

    def _succeed(self, entry: SubmittedChange, message: MessageRecord) -> None:
        edited: str | UnsetType = UNSET
        id = f"{message.conversation}-{message.seq}"
        if isinstance(entry.change, NewEdit) and message.edited_at is not None:
            edited = rfc3339(message.edited_at)
        elif isinstance(entry.change, NewRemoval) and message.sender != entry.user.key:
            address = entry.session.connection.remote_address
            audit.note("message removed", id=entry.user.id, removed=id, address=address)
        text = _DONE[entry.event]
        if entry.ack_id is None:
            self._answers.done(entry.session, entry.event, None, text)
            return
        self._answers.answer(
            entry.session,
            entry.ack_id,
            ChangeAnswer(Code.DONE, text, id=id, seq=message.seq, rev=message.rev, edited=edited),
        )

    async def _conflict(self, entry: SubmittedChange, message: MessageRecord, text: str) -> None:
        conversations = {entry.conversation.key: entry.conversation}
        (current,) = await self._views.payloads(entry.user, conversations, [message])
        self._answers.answer(
            entry.session, entry.ack_id, ConflictAnswer(Code.CONFLICT, text, current=current)
        )

    # --- where the message is ---
    def _cached_conversation(self, user: OnlineUser, change: NewChange) -> Conversation | None:
        """Return the conversation if it is in memory with all that the change needs, and the user
        may change this message."""
        conversation = self._directory.cached_by_key(change.conversation)
        if conversation is None:
            return None
        member = conversation.cursors.get(user.key)
        if member is None or change.seq < member.first_seq:
            return None
        if isinstance(conversation, Room) and (not conversation.settled or conversation.undecided):
            return None
        if isinstance(conversation, Everyone) and not (
            self._reach.accounts() <= conversation.members.keys()
        ):
            return None
        if isinstance(change, NewEdit) and not self._mentions.ready(conversation, change.data):
            return None
        return conversation

    async def _conversation(self, user: OnlineUser, key: int, seq: int) -> Conversation:
        """Return the conversation of a message that the user can read, unless a block hides it.
        Raises ProtocolError 404 or 503."""
        conversation = await self._any_conversation(key)
        if not await self._directory.memberships.may_read(conversation, user, seq):
            raise _missing()
        return conversation

    async def _any_conversation(self, key: int) -> Conversation:
        conversation = (await self._directory.conversations({key})).get(key)
        if isinstance(conversation, Room):
            # All members are notified.
            await self._directory.memberships.settle(conversation)
        if conversation is None or (isinstance(conversation, Room) and conversation.deleted):
            raise _missing()
        return conversation


def _place(id: str) -> tuple[int, int]:
    match = MESSAGE_ID(id)
    if match is None:
        raise ProtocolError(Code.MALFORMED, "must be the id of a message", field="id")
    return int(match[1]), int(match[2])


def _base(base: str | UnsetType | None) -> int | UnsetType | None:
    if not isinstance(base, str):
        return base
    try:
        return parse_rfc3339(base)
    except (ValueError, OverflowError):
        raise ProtocolError(
            Code.MALFORMED, "must be the value of edited, or null", field="base"
        ) from None


def _missing() -> ProtocolError:
    return ProtocolError(Code.NOT_FOUND, "there is no such message", field="id")
