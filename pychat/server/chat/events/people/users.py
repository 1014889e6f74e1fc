"""``users``: find accounts by id or alias."""

from __future__ import annotations

from functools import partial

import msgspec

from pychat.protocol import (
    Code,
    UserPayload,
    UsersAnswer,
    UsersRequest,
    canonical_id,
    decode,
)
from pychat.server.chat.answers import Answers, require_acknowledgement
from pychat.server.chat.limits import Limiter
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.session import ChatSession, Work
from pychat.server.chat.views import shown_status
from pychat.server.store.base import Store
from pychat.server.store.records import Account
from pychat.server.store.terms import Query
from pychat.visible import shown_name

DECODER = msgspec.json.Decoder(UsersRequest)


class Users:
    """Search accounts. Those who have blocked the asker look offline."""

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

    def users(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(DECODER, payload)
        ack_id = require_acknowledgement(ack_id)
        self._limiter.take(user.key, "searches")
        return self._users(session, user, request, ack_id)

    async def _users(
        self, session: ChatSession, user: OnlineUser, request: UsersRequest, ack_id: int
    ) -> None:
        users = await self._directory.read_for(user, partial(self._page, user, request))
        self._answers.answer(session, ack_id, UsersAnswer(Code.DONE, "done", users=users))

    async def _page(self, user: OnlineUser, request: UsersRequest) -> list[UserPayload]:
        """Accounts that have blocked the user are found, and shown, by the alias they had when they
        did so."""
        blocks = await self._store.blockers(user.key)
        hidden = {block.account.key for block in blocks}
        accounts = await self._store.find_accounts(request.query, request.limit + len(blocks))
        found = [self._payload(user, account) for account in accounts if account.key not in hidden]
        if blocks:
            query = Query(request.query)
            found += [
                UserPayload(
                    block.account.id, shown_name(block.alias, block.account.id), online=False
                )
                for block in blocks
                if not block.account.disabled
                and (
                    not request.query.strip() or query.matches(f"{block.account.id} {block.alias}")
                )
            ]
            found.sort(key=lambda user: canonical_id(user.id))
        return found[: request.limit]

    def _payload(self, user: OnlineUser, account: Account) -> UserPayload:
        """An account that has not blocked the user."""
        shown = UserPayload(
            account.id,
            shown_name(account.alias, account.id),
            online=self._reach.sees_online(user, account.key),
        )
        if account.key not in user.blocked:
            shown.status, shown.status_text = shown_status(account)
        return shown
