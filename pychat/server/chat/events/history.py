"""``history`` and ``search``: pages of stored messages."""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

import msgspec
from msgspec import UNSET

from pychat.protocol import (
    Code,
    HistoryAnswer,
    HistoryRequest,
    MessagePayload,
    ProtocolError,
    SearchAnswer,
    SearchRequest,
    decode,
)
from pychat.server.chat.answers import Answers, require_acknowledgement
from pychat.server.chat.limits import Limiter
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import Conversation, OnlineUser
from pychat.server.chat.state.session import ChatSession, Work
from pychat.server.chat.views import MessageViews, fitting
from pychat.server.store.base import Store

HISTORY = msgspec.json.Decoder(HistoryRequest)
SEARCH = msgspec.json.Decoder(SearchRequest)

_Page: TypeAlias = tuple[list[MessagePayload], bool, int]
"""Messages, whether there are more, and the rev."""


class History:
    """Show users the conversations they are members of, from the first seq they may read."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        views: MessageViews,
        limiter: Limiter,
        answers: Answers,
    ) -> None:
        self._store = store
        self._directory = directory
        self._views = views
        self._limiter = limiter
        self._answers = answers

    def history(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(HISTORY, payload)
        if request.before is not None and request.after is not None:
            raise ProtocolError(
                Code.MALFORMED, "cannot be given together with before", field="after"
            )
        bounded = request.before is not None or request.after is not None
        if request.changed_after is not None and bounded:
            raise ProtocolError(
                Code.MALFORMED,
                "cannot be given together with before or after",
                field="changedAfter",
            )
        if request.from_ is not None and request.changed_after is None:
            raise ProtocolError(Code.MALFORMED, "needs changedAfter", field="from")
        ack_id = require_acknowledgement(ack_id)
        self._limiter.take(user.key, "queries")
        return self._history(session, user, request, ack_id)

    async def _history(
        self, session: ChatSession, user: OnlineUser, request: HistoryRequest, ack_id: int
    ) -> None:
        conversation = await self._directory.conversation(user, request.with_, "with")
        messages: list[MessagePayload] = []
        more = False
        rev = 0
        if conversation is not None:
            read = self._page if request.changed_after is None else self._changed_page
            page = partial(read, user, conversation, request)
            messages, more, rev = await self._directory.read_for(user, page)
        answer = HistoryAnswer(Code.DONE, "done", messages=messages, has_more=more, rev=rev)
        self._answers.answer(session, ack_id, answer)

    async def _changed_page(
        self, user: OnlineUser, conversation: Conversation, request: HistoryRequest
    ) -> _Page:
        messages, more, rev = await self._changed(user, conversation, request, request.limit)
        fit = fitting(messages)
        if fit < len(messages):
            # Read again what fits, because ``rev`` says how far the answer reaches.
            messages, more, rev = await self._changed(user, conversation, request, fit)
        return messages, more, rev

    async def _changed(
        self, user: OnlineUser, conversation: Conversation, request: HistoryRequest, limit: int
    ) -> _Page:
        member = await self._directory.memberships.member(conversation, user)
        stored, more, rev = await self._store.changed(
            conversation.key,
            first_seq=max(member.first_seq, request.from_ or 0),
            after=request.changed_after or 0,
            limit=limit,
        )
        # Messages of blocked senders are left out: the reader cannot see their changes.
        visible = [m for m in stored if m.sender not in user.blocked]
        payloads = await self._views.payloads(user, {conversation.key: conversation}, visible)
        return payloads, more, rev

    async def _page(
        self, user: OnlineUser, conversation: Conversation, request: HistoryRequest
    ) -> _Page:
        member = await self._directory.memberships.member(conversation, user)
        stored, more, rev = await self._store.history(
            conversation.key,
            first_seq=member.first_seq,
            before=request.before,
            after=request.after,
            limit=request.limit,
        )
        payloads = await self._views.payloads(user, {conversation.key: conversation}, stored)
        messages, cut = _fitting(payloads, oldest_first=request.after is not None)
        return messages, more or cut, rev

    def search(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(SEARCH, payload)
        if not request.text.strip():
            raise ProtocolError(Code.MALFORMED, "must not be empty", field="text")
        ack_id = require_acknowledgement(ack_id)
        self._limiter.take(user.key, "searches")
        return self._search(session, user, request, ack_id)

    async def _search(
        self, session: ChatSession, user: OnlineUser, request: SearchRequest, ack_id: int
    ) -> None:
        conversation = None
        if request.with_ is not None:
            conversation = await self._directory.conversation(user, request.with_, "with")
        messages: list[MessagePayload] = []
        next: str | None = None
        if request.with_ is None or conversation is not None:
            key = None if conversation is None else conversation.key
            found = partial(self._search_page, user, request, key)
            messages, next = await self._directory.read_for(user, found)
        # Filtered last, because the cursor already stands after messages of blocked senders.
        messages = [message for message in messages if not message.removed]
        answer = SearchAnswer(Code.DONE, "done", messages=messages, next=next or UNSET)
        self._answers.answer(session, ack_id, answer)

    async def _search_page(
        self, user: OnlineUser, request: SearchRequest, conversation: int | None
    ) -> tuple[list[MessagePayload], str | None]:
        messages, next = await self._search_store(user, request, conversation, request.limit)
        fit = fitting(messages)
        if fit < len(messages):
            # The store's cursor stands at the end of its page: read a page that fits.
            messages, next = await self._search_store(user, request, conversation, fit)
        return messages, next

    async def _search_store(
        self, user: OnlineUser, request: SearchRequest, conversation: int | None, limit: int
    ) -> tuple[list[MessagePayload], str | None]:
        try:
            stored, next = await self._store.search(
                user.key,
                request.text,
                conversation=conversation,
                cursor=request.cursor,
                limit=limit,
            )
        except ValueError:
            raise invalid_cursor() from None
        conversations = await self._directory.conversations({m.conversation for m in stored})
        return await self._views.payloads(user, conversations, stored), next


def invalid_cursor() -> ProtocolError:
    """The error for a cursor that the store did not give."""
    return ProtocolError(Code.MALFORMED, "must be a cursor from an earlier answer", field="cursor")


def _fitting(
    messages: list[MessagePayload], *, oldest_first: bool
) -> tuple[list[MessagePayload], bool]:
    """Return the messages that fit on a page, and whether some did not.

    Those farthest from where the reader is are left out.
    """
    fit = fitting(messages if oldest_first else messages[::-1])
    if fit == len(messages):
        return messages, False
    return (messages[:fit] if oldest_first else messages[-fit:]), True
