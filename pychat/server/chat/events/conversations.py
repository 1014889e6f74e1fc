"""``conversations``: the user's list, with presence, cursors, unread counts and last messages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import msgspec
from msgspec import UNSET, UnsetType

from pychat.protocol import (
    EVERYONE,
    Code,
    ConversationPayload,
    ConversationsAnswer,
    ConversationsRequest,
    MessagePayload,
    NotifyLevel,
    decode,
)
from pychat.server.chat.answers import Answers, require_acknowledgement
from pychat.server.chat.clock import rfc3339
from pychat.server.chat.events.history import invalid_cursor
from pychat.server.chat.limits import Limiter
from pychat.server.chat.notices.cursors import CursorWriter
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import Conversation, OnlineUser, Pair, Room
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.roles import role_of
from pychat.server.chat.state.session import ChatSession, Work
from pychat.server.chat.views import MessageViews, fitting, shown_status
from pychat.server.store.base import Store
from pychat.server.store.records import Block, ConversationSummary
from pychat.visible import shown_name

DECODER = msgspec.json.Decoder(ConversationsRequest)


class Conversations:
    """List conversations in pages, the one with the newest message first."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        reach: Reach,
        cursors: CursorWriter,
        views: MessageViews,
        limiter: Limiter,
        answers: Answers,
    ) -> None:
        self._store = store
        self._directory = directory
        self._reach = reach
        self._cursors = cursors
        self._views = views
        self._limiter = limiter
        self._answers = answers

    def conversations(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(DECODER, payload)
        ack_id = require_acknowledgement(ack_id)
        self._limiter.take(user.key, "queries")
        return self._conversations(session, user, request, ack_id)

    async def _conversations(
        self, session: ChatSession, user: OnlineUser, request: ConversationsRequest, ack_id: int
    ) -> None:
        # From the rev that the user reads on, all changes in ALL must reach it.
        await self._directory.memberships.learn(self._directory.everyone, [user.key])
        # Moves of cursors that were already acknowledged must count.
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
    ) -> tuple[list[ConversationPayload], str | None]:
        page, next = await self._page(user, request, request.limit)
        fit = fitting(page)
        if fit < len(page):
            # The store's cursor stands at the end of its page: read a page that fits.
            page, next = await self._page(user, request, fit)
        return page, next

    async def _page(
        self, user: OnlineUser, request: ConversationsRequest, limit: int
    ) -> tuple[list[ConversationPayload], str | None]:
        try:
            summaries, next = await self._store.conversations(
                user.key, cursor=request.cursor, limit=limit
            )
        except ValueError:
            raise invalid_cursor() from None
        # One query for all accounts of the page.
        keys = {key for summary in summaries for key in summary.conversation.accounts}
        users = await self._directory.users(keys)
        listed = [(s, await self._directory.from_record(s.conversation)) for s in summaries]
        conversations = {each.key: each for _, each in listed if each is not None}
        stored = [summary.last for summary in summaries if summary.last is not None]
        payloads = await self._views.payloads(user, conversations, stored)
        newest = {payload.id: payload for payload in payloads}
        hidden_by = {block.account.key: block for block in await self._store.blockers(user.key)}
        # Nothing is awaited after this: later presence events are sent after the answer.
        return [
            self._entry(user, summary, conversation, newest, users, hidden_by)
            for summary, conversation in listed
            if conversation is not None
        ], next

    def _entry(
        self,
        user: OnlineUser,
        summary: ConversationSummary,
        conversation: Conversation,
        newest: Mapping[str, MessagePayload],
        users: Mapping[int, OnlineUser],
        hidden_by: Mapping[int, Block],
    ) -> ConversationPayload:
        """``newest``: the last messages by id. ``hidden_by``: those who have blocked the user."""
        conversation.last_seq = max(conversation.last_seq, summary.last_seq)
        peer_key = conversation.other(user.key) if isinstance(conversation, Pair) else None
        blocked = peer_key is not None and peer_key in user.blocked
        mine, peer = summary.membership, summary.peer
        peer_delivered_seq = peer_read_seq = 0
        if peer is not None:
            # A receipt may have announced a move after the store was read.
            cached = conversation.cursors.get(peer.account, peer)
            peer_delivered_seq = max(peer.delivered_seq, cached.delivered_seq)
            peer_read_seq = max(peer.read_seq, cached.read_seq)
        other = None if peer_key is None or peer_key in hidden_by else users.get(peer_key)
        status, status_text = (
            (UNSET, UNSET) if other is None or blocked else shown_status(other.account)
        )
        return ConversationPayload(
            with_=conversation.name_for(user.key),
            alias=self._alias(user, conversation, users, hidden_by),
            online=peer_key is not None and self._reach.sees_online(user, peer_key),
            first_seq=mine.first_seq,
            last_seq=summary.last_seq,
            delivered_seq=mine.delivered_seq,
            read_seq=mine.read_seq,
            peer_delivered_seq=peer_delivered_seq,
            peer_read_seq=peer_read_seq,
            unread=0 if blocked else summary.unread,
            last=newest.get(f"{summary.last.conversation}-{summary.last.seq}")
            if summary.last is not None
            else None,
            last_seen=self._last_seen(user, peer_key, users, hidden_by),
            blocked=True if blocked else UNSET,
            rev=summary.rev,
            unread_mentions=summary.unread_mentions,
            topic=conversation.topic or UNSET if isinstance(conversation, Room) else UNSET,
            role=_role(user, conversation),
            notify=UNSET if mine.notify is NotifyLevel.ALL else mine.notify,
            status=status,
            status_text=status_text,
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
            return EVERYONE
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
            seen = None if self._reach.is_online(peer) else other.account.last_seen_at
        return UNSET if seen is None else rfc3339(seen)


def _role(user: OnlineUser, conversation: Conversation) -> str | UnsetType:
    role = role_of(conversation, user.key) if isinstance(conversation, Room) else ""
    return role if role in ("owner", "moderator") else UNSET
