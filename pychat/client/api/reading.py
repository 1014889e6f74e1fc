"""Reading: the messages of a conversation, from the server and from the cache."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

from pychat import protocol
from pychat.client.api.requests import ServerRequests
from pychat.client.core import Core
from pychat.client.errors import ServerUnreachable
from pychat.client.events import MessageAdded, MessagesReset
from pychat.client.models import HistoryPage, MessageInfo
from pychat.protocol import Event

_RETRY_AFTER: Final = 1.0


class MessageReader(ServerRequests):
    """What of ChatClient gives messages; the cache learns what the server was asked for."""

    _core: Core

    def cached_messages(self, name: str, limit: int = 500) -> list[MessageInfo]:
        """The newest that are known without asking, oldest first, without a gap; then the outbox.

        Reaches as far back as was fetched: ``history`` with ``before`` goes on from there.
        """
        stored = self._core.cache.messages(name, limit=limit)
        return [self._core.roster.decorated(each) for each in stored] + self._core.outbox.entries(
            name
        )

    async def history(
        self,
        name: str,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = protocol.DEFAULT_LIMIT,
    ) -> HistoryPage:
        """A page of a conversation, oldest first; ``before`` and ``after`` are exclusive seqs, at
        most one of them. Neither: the newest page. While offline, what the cache has.

        Raises RequestRefused; ServerUnreachable while offline, if the cache has nothing there.
        """
        resets = self._core.resets[name]
        try:
            page = await self._history_page(protocol.HistoryRequest(name, before, after, limit))
        except ServerUnreachable:
            page = self._cached_page(name, before, after, limit)
            if not page.messages:
                raise
        else:
            if resets == self._core.resets[name]:  # else it was read before what is known now
                self._keep(name, page.messages)
        page.messages = [self._core.roster.decorated(each) for each in page.messages]
        return page

    def _cached_page(
        self, name: str, before: int | None, after: int | None, limit: int
    ) -> HistoryPage:
        if after is not None:
            rest = self._core.cache.messages_after(name, after) or []
            return HistoryPage(rest[:limit], len(rest) > limit)
        kept = self._core.cache.messages(name, before=before, limit=limit)
        known = self._core.roster.get(name)
        first_seq = known.first_seq if known else 1
        return HistoryPage(kept, bool(kept) and kept[0].seq > first_seq)

    def _keep(self, name: str, page: list[MessageInfo]) -> None:
        """In the cache, if that leaves no gap in it."""
        told = self._core.logs.told(name)
        oldest = self._core.cache.oldest_seq(name)
        page = [each for each in page if each.seq <= told]
        if page and page[-1].seq >= (told if oldest is None else oldest - 1):
            self._core.cache.save_messages(name, page)
            self._core.settle_soon()

    async def messages(self) -> AsyncIterator[MessageInfo]:
        """What others write, each message once and in order, from the delivered cursor on.

        The cursor moves when the next message is asked for: a message whose handling did not end
        comes again after the next start.
        """
        subscription = self._core.subscribe()
        resets = Counter(self._core.resets)
        # Others may have been told more already than the cursor says.
        for conversation in self._core.roster.newest_first() if self._core.logs.whole else []:
            name, seq = conversation.name, conversation.delivered_seq
            told = self._core.logs.told(name)
            while seq < told and resets[name] == self._core.resets[name]:
                try:
                    page = await self.history(name, after=seq, limit=protocol.MAX_LIMIT)
                except ServerUnreachable:
                    await asyncio.sleep(_RETRY_AFTER)
                    continue
                seq = page.messages[-1].seq if page.messages else told
                for message in page.messages:
                    if message.seq <= told and not message.own and not message.removed:
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
        """Moves the delivered cursor, unless the conversation has started anew behind the message:
        the seq may be another message's now. ``resets``: how often it had before the message."""
        if resets[message.conversation] == self._core.resets[message.conversation]:
            self._core.move(Event.DELIVERED, message.conversation, message.seq)
