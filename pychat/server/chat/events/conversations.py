"""``conversations``: somebody's list, with presence, cursors, unread counts and last messages."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from pychat import protocol
from pychat.protocol import (
    Code,
    ConversationsAnswer,
    ConversationsRequest,
    decode,
)
from pychat.server.chat.answers import Answers, require_acknowledgement
from pychat.server.chat.clock import rfc3339
from pychat.server.chat.events.history import not_a_cursor
from pychat.server.chat.limits import Limiter
from pychat.server.chat.notices.cursors import Cursors
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import Conversation, OnlineUser, Pair, Room
from pychat.server.chat.state.reach import LocalDelivery
from pychat.server.chat.state.session import ChatSession
from pychat.server.chat.views import fitting, to_wire
from pychat.server.store.base import Store
from pychat.server.store.records import Block, ConversationSummary
from pychat.visible import shown_name

DECODER = msgspec.json.Decoder(ConversationsRequest)


class Conversations:
    """A page at a time, newest first."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        reach: LocalDelivery,
        cursors: Cursors,
        limiter: Limiter,
        answers: Answers,
    ) -> None:
        self._store = store
        self._directory = directory
        self._reach = reach
        self._cursors = cursors
        self._limiter = limiter
        self._answers = answers

    def conversations(
        self, session: ChatSession, payload: bytes, ack_id: int | None
    ) -> Coroutine[Any, Any, None]:
        user = session.require_user()
        request = decode(DECODER, payload)
        ack_id = require_acknowledgement(ack_id)
        self._limiter.take(user, "queries")
        return self._conversations(session, user, request, ack_id)

    async def _conversations(
        self, session: ChatSession, user: OnlineUser, request: ConversationsRequest, ack_id: int
    ) -> None:
        # Cursors that were answered already must count.
        await self._cursors.flush_for(user)
        page = partial(self._fitting_page, user, request)
        entries, next = await self._directory.read_for(user, page)
        self._answers.answer(
            session,
            ack_id,
            ConversationsAnswer(Code.DONE, "done", conversations=entries, next=next or UNSET),
        )

    async def _fitting_page(
        self, user: OnlineUser, request: ConversationsRequest
    ) -> tuple[list[protocol.ConversationPayload], str | None]:
        page, next = await self._page(user, request, request.limit)
        fit = fitting(page)
        if fit < len(page):
            # The store's cursors stand at the end of a page: ask for the page that fits.
            page, next = await self._page(user, request, fit)
        return page, next

    async def _page(
        self, user: OnlineUser, request: ConversationsRequest, limit: int
    ) -> tuple[list[protocol.ConversationPayload], str | None]:
        try:
            summaries, next = await self._store.conversations(
                user.key, cursor=request.cursor, limit=limit
            )
        except ValueError:
            raise not_a_cursor() from None
        # One question for all the accounts of the page.
        keys = {key for summary in summaries for key in summary.conversation.accounts}
        keys |= {summary.last.sender for summary in summaries if summary.last is not None}
        users = await self._directory.users(keys)
        listed = [(s, await self._directory.from_record(s.conversation)) for s in summaries]
        hidden_by = {block.account.key: block for block in await self._store.blockers(user.key)}
        # From here on nothing is awaited: who comes or goes is told after the answer.
        return [
            self._entry(user, summary, conversation, users, hidden_by)
            for summary, conversation in listed
            if conversation is not None
        ], next

    def _entry(
        self,
        user: OnlineUser,
        summary: ConversationSummary,
        conversation: Conversation,
        users: Mapping[int, OnlineUser],
        hidden_by: Mapping[int, Block],
    ) -> protocol.ConversationPayload:
        """``hidden_by``: who has blocked the user."""
        conversation.last_seq = max(conversation.last_seq, summary.last_seq)
        peer_key = conversation.other(user.key) if isinstance(conversation, Pair) else None
        blocked = peer_key is not None and peer_key in user.blocked
        last = None
        if summary.last is not None:
            last = to_wire(user, conversation, summary.last, users)
        mine, peer = summary.membership, summary.peer
        peer_delivered_seq = peer_read_seq = 0
        if peer is not None:
            # The user may have been told of a move after the store was read.
            at_hand = conversation.cursors.get(peer.account, peer)
            peer_delivered_seq = max(peer.delivered_seq, at_hand.delivered_seq)
            peer_read_seq = max(peer.read_seq, at_hand.read_seq)
        return protocol.ConversationPayload(
            with_=self._directory.name(conversation, user),
            alias=self._alias(user, conversation, users, hidden_by),
            online=peer_key is not None and self._reach.sees_online(user, peer_key),
            first_seq=mine.first_seq,
            last_seq=summary.last_seq,
            delivered_seq=mine.delivered_seq,
            read_seq=mine.read_seq,
            peer_delivered_seq=peer_delivered_seq,
            peer_read_seq=peer_read_seq,
            unread=0 if blocked else summary.unread,
            last=last,
            last_seen=self._last_seen(user, peer_key, users, hidden_by),
            blocked=True if blocked else UNSET,
        )

    def _alias(
        self,
        user: OnlineUser,
        conversation: Conversation,
        users: Mapping[int, OnlineUser],
        hidden_by: Mapping[int, Block],
    ) -> str:
        if isinstance(conversation, Room):
            return conversation.name
        if not isinstance(conversation, Pair):
            return protocol.EVERYONE
        key = conversation.other(user.key)
        id = conversation.other_id(user.key)
        if key in hidden_by:
            return shown_name(hidden_by[key].alias, id)
        return users[key].alias if key in users else id

    def _last_seen(
        self,
        user: OnlineUser,
        peer: int | None,
        users: Mapping[int, OnlineUser],
        hidden_by: Mapping[int, Block],
    ) -> str | UnsetType:
        other = None if peer is None else users.get(peer)
        if peer is None or other is None or other is user or peer in user.blocked:
            return UNSET
        if peer in hidden_by:
            seen = hidden_by[peer].since
        else:
            seen = None if peer in self._reach.users else other.account.last_seen_at
        return UNSET if seen is None else rfc3339(seen)
