"""``users``: finds the ids and aliases one could write to."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec

from pychat import protocol
from pychat.protocol import Code, UsersAnswer, UsersRequest, decode
from pychat.server.chat.answers import Answers, require_acknowledgement
from pychat.server.chat.entities import User
from pychat.server.chat.limits import Limiter
from pychat.server.chat.reach import LocalDelivery
from pychat.server.chat.session import Session
from pychat.server.store.base import Store
from pychat.visible import shown_name

DECODER = msgspec.json.Decoder(UsersRequest)


class Users:
    """Who has blocked the asker looks offline."""

    def __init__(
        self, store: Store, reach: LocalDelivery, limiter: Limiter, answers: Answers
    ) -> None:
        self._store = store
        self._reach = reach
        self._limiter = limiter
        self._answers = answers

    def users(
        self, session: Session, payload: bytes, ack_id: int | None
    ) -> Coroutine[Any, Any, None]:
        user = session.require_user()
        request = decode(DECODER, payload)
        ack_id = require_acknowledgement(ack_id)
        self._limiter.take(user, "searches")
        return self._users(session, user, request, ack_id)

    async def _users(
        self, session: Session, user: User, request: UsersRequest, ack_id: int
    ) -> None:
        accounts = await self._store.find_accounts(request.query, request.limit)
        found = [
            protocol.User(a.id, shown_name(a.alias, a.id), self._reach.sees_online(user, a.key))
            for a in accounts
        ]
        self._answers.answer(session, ack_id, UsersAnswer(Code.DONE, "done", users=found))
