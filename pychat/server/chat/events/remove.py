"""``remove``: an admin removes a message from any conversation."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import msgspec

from pychat.protocol import Code, Event, ProtocolError, Removed, RemoveRequest, canonical_id, decode
from pychat.server.chat import audit
from pychat.server.chat.answers import Answers, encode
from pychat.server.chat.delivery import Delivery
from pychat.server.chat.limits import Limiter
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import Conversation, OnlineUser, Pair, Room
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.session import ChatSession, Work
from pychat.server.store.base import Store
from pychat.server.store.records import Changed, NewRemoval, Outcome

DECODER = msgspec.json.Decoder(RemoveRequest)
MESSAGE_ID = re.compile(r"([0-9]{1,15})-([0-9]{1,15})").fullmatch


class Removal:
    """Remove messages in the store, and notify those who may have read them."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        delivery: Delivery,
        reach: Reach,
        limiter: Limiter,
        answers: Answers,
        admins: Iterable[str],
    ) -> None:
        """``admins``: the ids of those who may remove messages."""
        self._store = store
        self._directory = directory
        self._delivery = delivery
        self._reach = reach
        self._limiter = limiter
        self._answers = answers
        self._admins = {canonical_id(id) for id in admins}

    def remove(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        if canonical_id(user.id) not in self._admins:
            raise ProtocolError(Code.FORBIDDEN, "only admins may remove messages")
        request = decode(DECODER, payload)
        self._limiter.take(user.key, "changes")
        match = MESSAGE_ID(request.id)
        if match is None:
            raise ProtocolError(Code.MALFORMED, "must be the id of a message", field="id")
        return self._remove(session, user, int(match[1]), int(match[2]), ack_id)

    async def _remove(
        self, session: ChatSession, user: OnlineUser, key: int, seq: int, ack_id: int | None
    ) -> None:
        conversation = (await self._directory.conversations({key})).get(key)
        removal = NewRemoval(key, seq, user.key, of_others=True)
        changed = None if conversation is None else (await self._store.commit([removal]))[0]
        if conversation is None or changed == Changed(Outcome.MISSING, None):
            raise ProtocolError(Code.NOT_FOUND, "there is no such message", field="id")
        self._directory.removals += 1
        # If the message is still being delivered, notify after it.
        await self._delivery.settled()
        address = session.connection.remote_address
        audit.note("message removed", id=user.id, removed=f"{key}-{seq}", address=address)
        for account in self._readers(conversation):
            if self._reach.is_online(account):
                removed = Removed(conversation.name_for(account), seq)
                self._reach.notify((account,), Event.REMOVED, encode(removed))
        self._answers.done(session, Event.REMOVE, ack_id, "message removed")

    def _readers(self, conversation: Conversation) -> Collection[int]:
        if isinstance(conversation, Pair):
            return {conversation.a, conversation.b}
        if isinstance(conversation, Room):
            return conversation.members
        return self._reach.accounts()
