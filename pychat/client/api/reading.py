"""Methods of ChatClient that return messages: history, search, and the stream of new messages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

from msgspec import UNSET

from pychat import protocol
from pychat.client.core import ClientCore
from pychat.client.errors import InvalidAnswer, ServerUnreachable
from pychat.client.events import MessageAdded, MessagesReset
from pychat.client.models import HistoryPage, MessageInfo, SearchPage
from pychat.client.wire import check_page, conversation_name, message_info
from pychat.protocol import Event

_RETRY_AFTER: Final = 1.0
"""Seconds to wait after a failed history request."""


class MessageReader:
    """Methods of ChatClient that return messages."""

    _core: ClientCore

    def cached_messages(self, name: str, limit: int = 500) -> list[MessageInfo]:
        """Return the newest cached messages of a conversation without a gap, then the outbox.

        Oldest first. Call ``history`` with ``before`` for older ones.
        """
        stored = self._core.cache.messages(name, limit=limit)
        unsent = self._core.outbox.entries(name)
        return [self._core.shown.message(each) for each in (*stored, *unsent)]

    async def history(
        self,
        name: str,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = protocol.DEFAULT_LIMIT,
    ) -> HistoryPage:
        """Return a page of a conversation, oldest message first.

        ``before``, ``after``: exclusive seqs, at most one of them; with neither, the newest page.
        ``limit``: 1 to 100 messages. While offline, the page comes from the cache.

        Raises RequestRefused, and ServerUnreachable if the client is offline and the cache has no
        message there.
        """
        resets = self._core.resets[name]
        try:
            page = await self._history_page(
                protocol.HistoryRequest(name, before, after, limit=limit)
            )
        except ServerUnreachable:
            page = self._cached_page(name, before, after, limit)
            if not page.messages:
                raise
        else:
            # After a reset the page may be of messages that are no longer valid.
            if resets == self._core.resets[name]:
                self._save_to_cache(name, page.messages)
        page.messages = [self._core.shown.message(each) for each in page.messages]
        return page

    async def _history_page(self, request: protocol.HistoryRequest) -> HistoryPage:
        answer = await self._core.request(Event.HISTORY, request, protocol.HistoryAnswer)
        check_page(request, answer)
        user = self._core.reconnector.login.user
        messages = [message_info(each, request.with_, user) for each in answer.messages]
        if answer.rev is not UNSET:
            self._core.changes.page_read(request.with_, answer.rev)
        return HistoryPage(messages, answer.has_more)

    def _cached_page(
        self, name: str, before: int | None, after: int | None, limit: int
    ) -> HistoryPage:
        if after is not None:
            rest = self._core.cache.messages_after(name, after) or []
            return HistoryPage(rest[:limit], len(rest) > limit)
        cached = self._core.cache.messages(name, before=before, limit=limit)
        known = self._core.roster.get(name)
        first_seq = known.first_seq if known else 1
        return HistoryPage(cached, bool(cached) and cached[0].seq > first_seq)

    def _save_to_cache(self, name: str, page: list[MessageInfo]) -> None:
        """Save a page to the cache, unless that would leave a gap."""
        published = self._core.transcripts.published_seq(name)
        oldest = self._core.cache.oldest_seq(name)
        page = [each for each in page if each.seq <= published]
        if page and page[-1].seq >= (published if oldest is None else oldest - 1):
            self._core.cache.save_messages(name, page)
            self._core.flush_soon()

    async def search(
        self,
        text: str,
        *,
        conversation: str | None = None,
        cursor: str = "",
        limit: int = protocol.DEFAULT_LIMIT,
    ) -> SearchPage:
        """Return messages that contain these words, newest first.

        ``conversation``: search only this one. ``cursor``: ``next`` of the previous page.
        ``limit``: 1 to 100 messages. Raises RequestRefused and ServerUnreachable.
        """
        request = protocol.SearchRequest(text, conversation, cursor or None, limit)
        answer = await self._core.request(Event.SEARCH, request, protocol.SearchAnswer)
        if answer.next and answer.next == cursor:
            raise InvalidAnswer("a page of search results refers to itself as the next page")
        user = self._core.reconnector.login.user
        messages = [
            message_info(each, conversation or conversation_name(each, user), user)
            for each in answer.messages
        ]
        return SearchPage(messages, "" if answer.next is UNSET else answer.next)

    async def messages(self) -> AsyncIterator[MessageInfo]:
        """Iterate over the messages of others after the delivered cursor: each once, in order.

        The cursor moves when the next message is requested. If the program ends while it handles a
        message, it receives that message again after its next start.
        """
        subscription = self._core.subscribe()
        resets = Counter(self._core.resets)
        # Another iterator may already have moved the transcripts beyond the cursors.
        fetch_all = self._core.transcripts.fetch_all
        for conversation in self._core.roster.newest_first() if fetch_all else []:
            name, seq = conversation.name, conversation.delivered_seq
            published = self._core.transcripts.published_seq(name)
            while seq < published and resets[name] == self._core.resets[name]:
                try:
                    page = await self.history(name, after=seq, limit=protocol.MAX_LIMIT)
                except ServerUnreachable:
                    await asyncio.sleep(_RETRY_AFTER)
                    continue
                seq = page.messages[-1].seq if page.messages else published
                for message in page.messages:
                    if message.seq <= published and not message.own and not message.removed:
                        yield message
                        self._handled(message, resets)
        async for event in subscription:
            if isinstance(event, MessagesReset):
                resets[event.conversation] += 1
            elif isinstance(event, MessageAdded):
                message = event.message
                if not message.own and not message.removed:
                    yield message
                    self._handled(message, resets)

    def _handled(self, message: MessageInfo, resets: Counter[str]) -> None:
        """Move the delivered cursor, unless the conversation was reset after the message.

        After a reset, the same seq may be another message. ``resets``: the number of resets of each
        conversation before the message.
        """
        if resets[message.conversation] == self._core.resets[message.conversation]:
            self._core.move_cursor(Event.DELIVERED, message.conversation, message.seq)
