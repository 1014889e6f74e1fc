"""``edit``, ``remove``, ``react`` and ``reactions``: check a change, submit it, answer it."""

from __future__ import annotations

import re

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

_CONFLICTS = {
    Outcome.REMOVED: "the message was removed",
    Outcome.CONFLICT: "the message has been edited meanwhile",
    Outcome.FULL: "the message has too many reactions",
}


class Changes:
    """Change messages of conversations that the user can read."""

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
    ) -> None:
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
    def edit(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(EDIT, payload)
        check_data(request.data)
        key, seq = _place(request.id)
        edit = NewEdit(key, seq, user.key, request.data, 0, _base(request.base))
        self._limiter.take(user.key, "messages")
        self._limiter.take(user.key, "text", len(request.data))
        return self._edit(session, user, edit, ack_id)

    def remove(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(REMOVE, payload)
        key, seq = _place(request.id)
        self._limiter.take(user.key, "messages")
        return self._remove(session, user, NewRemoval(key, seq, user.key), ack_id)

    def react(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(REACT, payload)
        emoji = check_emoji(request.emoji)
        key, seq = _place(request.id)
        reaction = NewReaction(key, seq, user.key, emoji, request.on)
        self._limiter.take(user.key, "messages")
        return self._react(session, user, reaction, ack_id)

    def reactions(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(REACTIONS, payload)
        key, seq = _place(request.id)
        ack_id = require_acknowledgement(ack_id)
        self._limiter.take(user.key, "queries")
        return self._reactions(session, user, key, seq, ack_id)

    # --- work ---
    async def _edit(
        self, session: ChatSession, user: OnlineUser, edit: NewEdit, ack_id: int | None
    ) -> None:
        conversation = await self._conversation(user, edit.conversation, edit.seq)
        if not self._mentions.ready(conversation, edit.data):
            await self._mentions.prepare(conversation, edit.data)
            # The user may have left meanwhile.
            await self._conversation(user, edit.conversation, edit.seq)
        edit.mentions = self._mentions.find(user, conversation, edit.data, edit.seq)
        edit.edited_at = now()
        message = await self._change(session, user, conversation, edit, Event.EDIT, ack_id)
        if message is not None:
            edited = UNSET if message.edited_at is None else rfc3339(message.edited_at)
            self._answer(session, ack_id, Event.EDIT, "edited", message, edited)

    async def _remove(
        self, session: ChatSession, user: OnlineUser, removal: NewRemoval, ack_id: int | None
    ) -> None:
        if self._roles.is_admin(user):
            conversation = await self._any_conversation(removal.conversation)
            removal.of_others = True
        else:
            conversation = await self._conversation(user, removal.conversation, removal.seq)
            removal.of_others = self._roles.moderates(user, conversation)
        message = await self._change(session, user, conversation, removal, Event.REMOVE, ack_id)
        if message is not None:
            if message.sender != user.key:
                removed = f"{message.conversation}-{message.seq}"
                address = session.connection.remote_address
                audit.note("message removed", id=user.id, removed=removed, address=address)
            self._answer(session, ack_id, Event.REMOVE, "message removed", message)

    async def _react(
        self, session: ChatSession, user: OnlineUser, reaction: NewReaction, ack_id: int | None
    ) -> None:
        conversation = await self._conversation(user, reaction.conversation, reaction.seq)
        reaction.blocked = user.blocked
        message = await self._change(session, user, conversation, reaction, Event.REACT, ack_id)
        if message is not None:
            self._answer(session, ack_id, Event.REACT, "done", message)

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

    async def _change(
        self,
        session: ChatSession,
        user: OnlineUser,
        conversation: Conversation,
        change: NewChange,
        event: str,
        ack_id: int | None,
    ) -> MessageRecord | None:
        """Make the change and return the message after it. If it is a conflict, answer 409 and
        return None. Raises ProtocolError if it is refused for another reason."""
        if isinstance(conversation, Everyone):
            await self._directory.memberships.learn(conversation, self._reach.accounts())
        changed = await self._delivery.change(user, conversation, change)
        message = changed.message
        if message is None:
            raise _missing()
        if changed.outcome is Outcome.FORBIDDEN:
            raise ProtocolError(Code.FORBIDDEN, "this is a message of somebody else", field="id")
        if changed.outcome not in _CONFLICTS:
            return message
        await self._conflict(session, user, conversation, changed, event, ack_id)
        return None

    async def _conflict(
        self,
        session: ChatSession,
        user: OnlineUser,
        conversation: Conversation,
        changed: ChangeResult,
        event: str,
        ack_id: int | None,
    ) -> None:
        text = _CONFLICTS[changed.outcome]
        if ack_id is None:
            raise ProtocolError(Code.CONFLICT, text)
        assert changed.message is not None
        stored = [changed.message]
        (current,) = await self._views.payloads(user, {conversation.key: conversation}, stored)
        self._answers.answer(session, ack_id, ConflictAnswer(Code.CONFLICT, text, current=current))

    def _answer(
        self,
        session: ChatSession,
        ack_id: int | None,
        event: str,
        text: str,
        message: MessageRecord,
        edited: str | UnsetType = UNSET,
    ) -> None:
        if ack_id is None:
            self._answers.done(session, event, None, text)
            return
        id = f"{message.conversation}-{message.seq}"
        self._answers.answer(
            session,
            ack_id,
            ChangeAnswer(Code.DONE, text, id=id, seq=message.seq, rev=message.rev, edited=edited),
        )

    # --- where the message is ---
    async def _conversation(self, user: OnlineUser, key: int, seq: int) -> Conversation:
        """Return the conversation of a message that the user can read, unless a block hides it.
        Raises ProtocolError 404 or 503."""
        conversation = await self._any_conversation(key)
        try:
            member = await self._directory.memberships.member(conversation, user)
        except ProtocolError as error:
            if error.code == Code.UNAVAILABLE:
                raise
            raise _missing() from None
        if seq < member.first_seq:
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
