"""``remove``: an admin takes a message away, whoever wrote it and wherever it was said."""

from __future__ import annotations

import re
from collections.abc import Collection, Coroutine, Iterable
from typing import Any

import msgspec

from pychat.protocol import Code, Event, ProtocolError, Removed, RemoveRequest, canonical_id, decode
from pychat.server.chat import audit
from pychat.server.chat.answers import Answers, encode
from pychat.server.chat.connection import EncodeEvent
from pychat.server.chat.delivery import Delivery
from pychat.server.chat.limits import Limiter
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import Conversation, OnlineUser, Pair, Room
from pychat.server.chat.state.reach import LocalDelivery
from pychat.server.chat.state.session import ChatSession
from pychat.server.store.base import Store

DECODER = msgspec.json.Decoder(RemoveRequest)
MESSAGE_ID = re.compile(r"([0-9]{1,15})-([0-9]{1,15})").fullmatch


class Removal:
    """``admins`` are ids."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        delivery: Delivery,
        reach: LocalDelivery,
        limiter: Limiter,
        answers: Answers,
        encode_event: EncodeEvent,
        admins: Iterable[str],
    ) -> None:
        self._store = store
        self._directory = directory
        self._delivery = delivery
        self._reach = reach
        self._limiter = limiter
        self._answers = answers
        self._encode_event = encode_event
        self._admins = {canonical_id(id) for id in admins}

    def remove(
        self, session: ChatSession, payload: bytes, ack_id: int | None
    ) -> Coroutine[Any, Any, None]:
        user = session.require_user()
        if canonical_id(user.id) not in self._admins:
            raise ProtocolError(Code.FORBIDDEN, "only an admin removes messages")
        request = decode(DECODER, payload)
        self._limiter.take(user, "changes")
        match = MESSAGE_ID(request.id)
        if match is None:
            raise ProtocolError(Code.MALFORMED, "must be the id of a message", field="id")
        return self._remove(session, user, int(match[1]), int(match[2]), ack_id)

    async def _remove(
        self, session: ChatSession, user: OnlineUser, key: int, seq: int, ack_id: int | None
    ) -> None:
        conversation = (await self._directory.conversations({key})).get(key)
        if conversation is None or not await self._store.remove_message(key, seq):
            raise ProtocolError(Code.NOT_FOUND, "there is no such message", field="id")
        self._directory.removals += 1
        # Whoever is still being sent it is told afterwards that it is gone.
        await self._delivery.settled()
        address = session.connection.remote_address
        audit.note("message removed", id=user.id, removed=f"{key}-{seq}", address=address)
        for reader in self._readers(conversation):
            online = self._reach.users.get(reader)
            if online is not None:
                removed = Removed(self._directory.name(conversation, online), seq)
                self._reach.tell(online, self._encode_event(Event.REMOVED, encode(removed)))
        self._answers.done(session, Event.REMOVE, ack_id, "the message is removed")

    def _readers(self, conversation: Conversation) -> Collection[int]:
        if isinstance(conversation, Pair):
            return {conversation.a, conversation.b}
        if isinstance(conversation, Room):
            return set(conversation.members)
        return set(self._reach.users)
