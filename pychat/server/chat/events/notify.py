"""``notify``: users choose which messages of a conversation their clients announce."""

from __future__ import annotations

import msgspec

from pychat.protocol import Code, Event, NotifyPayload, NotifyRequest, ProtocolError, decode
from pychat.server.chat.answers import Answers, encode
from pychat.server.chat.limits import Limiter
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.session import ChatSession, Work
from pychat.server.store.base import Store

DECODER = msgspec.json.Decoder(NotifyRequest)


class NotifyLevels:
    """Keep the choice and tell the user's other devices. The server itself announces nothing."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        reach: Reach,
        limiter: Limiter,
        answers: Answers,
    ) -> None:
        self._store = store
        self._directory = directory
        self._reach = reach
        self._limiter = limiter
        self._answers = answers

    def notify(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(DECODER, payload)
        self._limiter.take(user.key, "changes")
        return self._notify(session, user, request, ack_id)

    async def _notify(
        self, session: ChatSession, user: OnlineUser, request: NotifyRequest, ack_id: int | None
    ) -> None:
        conversation = await self._directory.conversation(user, request.with_, "with")
        if conversation is None:
            raise ProtocolError(
                Code.NOT_FOUND, f"there are no messages with {request.with_} yet", field="with"
            )
        # Raises 404 for a private room, whose existence is a secret.
        await self._directory.memberships.member(conversation, user)
        name = conversation.name_for(user.key)
        async with user.changing:
            if not await self._store.set_notify(conversation.key, user.key, request.level):
                raise ProtocolError(
                    Code.FORBIDDEN, "you are not in this conversation", field="with"
                )
            user.version += 1  # a list that is being read may have the older level
            told = encode(NotifyPayload(name, request.level))
            self._reach.notify((user.key,), Event.NOTIFY, told, but=session)
        self._answers.done(session, Event.NOTIFY, ack_id, f"{name}: {request.level}")
