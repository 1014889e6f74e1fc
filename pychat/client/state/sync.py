"""Load the list of conversations after every login, and bring the local state in line with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import UNSET

from pychat import protocol
from pychat.client.errors import (
    ChatClientError,
    InvalidAnswer,
    RequestRefused,
    ServerUnreachable,
)
from pychat.client.events import ClientEvent, MessagesReset
from pychat.client.state.changes import ChangeSync
from pychat.client.state.roster import Roster
from pychat.client.state.sameness import is_same
from pychat.client.state.transcripts import Transcripts
from pychat.client.storage.cache import Cache
from pychat.client.storage.outbox import Outbox
from pychat.client.wire import ANSWER_TIMEOUT, SendRequest, is_shared, message_info

logger = logging.getLogger("pychat.client")

MAX_LISTED: Final = 100_000
"""Limit for the number of conversations, against a server whose list does not end."""
_RETRY_AFTER: Final = 1.0
"""Seconds to wait after a failed request that does not say how long."""


class ConversationSync:
    """Synchronizes roster, transcripts and cache with the server's list of conversations.

    ``on_reset`` is called with the name of each conversation whose published messages are no longer
    valid, ``on_gone`` before it if the server has other messages by that name, or none.
    ``on_cursor_behind`` is called with each cursor of the user (event, name, seq) that is
    further here than on the server.
    """

    def __init__(
        self,
        *,
        cache: Cache,
        roster: Roster,
        outbox: Outbox,
        transcripts: Transcripts,
        changes: ChangeSync,
        request: SendRequest,
        publish: Callable[[ClientEvent], None],
        on_reset: Callable[[str], None],
        on_gone: Callable[[str], None],
        on_cursor_behind: Callable[[protocol.Event, str, int], None],
    ) -> None:
        self._cache = cache
        self._roster = roster
        self._outbox = outbox
        self._transcripts = transcripts
        self._changes = changes
        self._request = request
        self._publish = publish
        self._on_reset = on_reset
        self._on_gone = on_gone
        self._on_cursor_behind = on_cursor_behind
        self._online = False
        self._refresh_again = False
        self._to_reset: set[str] = set()
        """Conversations to reset with the next list."""
        self._replaced: set[str] = set()
        """Names under which the server has another conversation than the known one."""
        self._refreshing: asyncio.Task[None] | None = None
        self._loaded = asyncio.Event()
        self._failure: ChatClientError | None = None

    def connected(self) -> None:
        self._online = True
        self.refresh()

    def disconnected(self) -> None:
        self._online = False
        if self._refreshing is not None:
            self._refreshing.cancel()
            self._refreshing = None

    def refresh(self) -> None:
        """Request the list again, in the background. Does nothing while offline."""
        if not self._online:
            return
        if self._refreshing is not None and not self._refreshing.done():
            self._refresh_again = True
            return
        self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def refreshed(self) -> None:
        """Request the list again and wait until it is applied, for ANSWER_TIMEOUT at most."""
        self.refresh()
        if self._refreshing is not None:
            await asyncio.wait((self._refreshing,), timeout=ANSWER_TIMEOUT)

    def invalidate(self) -> None:
        """Repeat a request that is in progress: the server may have made the list too early."""
        if self._refreshing is not None and not self._refreshing.done():
            self._refresh_again = True

    def reset(self, names: Iterable[str]) -> None:
        """Refresh, and reset these conversations: the server now shows other messages in them."""
        self._to_reset.update(names)
        self.refresh()

    def replace(self, name: str) -> None:
        """Refresh, and replace this conversation: the server has another one by its name."""
        self._replaced.add(name)
        self.refresh()

    async def _refresh(self) -> None:
        while True:
            self._refresh_again = False
            self._transcripts.active.clear()
            self._roster.list_requested()
            published = self._transcripts.published_seqs()
            to_reset, self._to_reset = self._to_reset, set()
            replaced, self._replaced = self._replaced, set()
            listed = None
            try:
                listed = await self._list()
            except (RequestRefused, ServerUnreachable) as error:
                logger.info("conversations request failed: %s", error)
                if isinstance(error, InvalidAnswer | ServerUnreachable):
                    self._fail(error)
                wait = getattr(error, "retry_after", None) or _RETRY_AFTER
            finally:
                # Also when this task is cancelled: the next connection continues with them.
                if listed is None:
                    self._to_reset |= to_reset
                    self._replaced |= replaced
            if listed is None:
                await asyncio.sleep(wait)
                continue
            self._apply(listed, published, to_reset, replaced)
            if not self._refresh_again:
                return

    async def loaded(self) -> None:
        """Wait for the first list. Raises the error of the request if a retry will not help soon;
        the request is retried all the same."""
        await self._loaded.wait()
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: ChatClientError) -> None:
        if not self._loaded.is_set():
            self._failure = error
            self._loaded.set()

    async def _list(self) -> list[protocol.ConversationPayload]:
        listed: dict[str, protocol.ConversationPayload] = {}
        cursor: str | None = None
        while True:
            before = len(listed)
            answer = await self._request(
                protocol.Event.CONVERSATIONS,
                protocol.ConversationsRequest(cursor=cursor, limit=protocol.MAX_LIMIT),
                protocol.ConversationsAnswer,
            )
            for each in answer.conversations:
                listed.setdefault(each.with_, each)
            if answer.next is UNSET or not answer.next:
                return list(listed.values())
            if len(listed) == before or len(listed) > MAX_LISTED:
                raise InvalidAnswer("the list of conversations does not end")
            cursor = answer.next

    def _apply(
        self,
        listed: list[protocol.ConversationPayload],
        published: dict[str, int],
        to_reset: set[str],
        replaced: set[str],
    ) -> None:
        """Apply the list. ``published``: the last seqs published before the list was requested."""
        replaced = {
            each.with_
            for each in listed
            if each.with_ in replaced or self._is_replaced(each, published)
        }
        known = {each.with_: self._roster.get(each.with_) for each in listed}
        block_changed = {
            each.with_
            for each in listed
            if (record := known[each.with_]) is not None
            and record.blocked is not (each.blocked is True)
        }
        if block_changed and not self._transcripts.fetch_all:
            # Another device changed the block, or the answer to this device's request was lost.
            # The server now shows other messages wherever the blocked user writes.
            shared = {each.with_ for each in listed if is_shared(each.with_)}
            to_reset = to_reset | block_changed | shared
        reset = replaced | {each.with_ for each in listed if each.with_ in to_reset}
        # A conversation that became active while the server made the list may be missing in it.
        # Compares canonical ids, because the user may have spelled a name differently.
        ids = {protocol.canonical_id(each.with_) for each in listed}
        kept = {name for name in self._transcripts.active if protocol.canonical_id(name) not in ids}
        gone = {
            name
            for name, seq in published.items()
            if seq and name not in kept and protocol.canonical_id(name) not in ids
        }
        reset |= gone
        self._replaced -= reset
        for name in reset:
            self._transcripts.forget(name, replaced=name in replaced or name in gone)
            self._cache.clear_messages(name)
            self._changes.forget(name)
        outbox = self._outbox.entries()
        if self._roster.listed(listed, replaced=replaced, kept=kept, gone=gone, outbox=outbox):
            self._refresh_again = True
        for name in reset:
            if name in replaced or name in gone:
                self._on_gone(name)
            self._on_reset(name)
            self._publish(MessagesReset(name))
        for each in listed:
            self._changes.listed(each.with_, each.rev)
            self._transcripts.follow(each)
            before = known[each.with_]
            if before is not None and each.with_ not in replaced:
                # The user moved them while offline, possibly in an earlier process.
                if before.read_seq > each.read_seq:
                    self._on_cursor_behind(protocol.Event.READ, each.with_, before.read_seq)
                if before.delivered_seq > each.delivered_seq:
                    self._on_cursor_behind(
                        protocol.Event.DELIVERED, each.with_, before.delivered_seq
                    )
        self._transcripts.list_applied()
        self._failure = None
        self._loaded.set()

    def _is_replaced(self, listed: protocol.ConversationPayload, published: dict[str, int]) -> bool:
        """Whether the server has another conversation by this name than the known one.

        Reasons: a room was created again with the same id, the user joined a room again and may not
        read what was written in between, or the server's store was lost or replaced.
        """
        name = listed.with_
        if published.get(name, 0) > listed.last_seq:
            return True
        known = self._roster.get(name)
        newest = max(listed.last_seq, self._transcripts.newest_arrived(name))
        if known is not None and known.last_seq > newest:
            return True
        if 0 < published.get(name, 0) < listed.first_seq - 1:
            return True
        before = self._transcripts.newest_known(name)
        if before is None or listed.last is None:
            return False
        # A message id is the id of its conversation, a hyphen and the seq.
        if before.id.rpartition("-")[0] != listed.last.id.rpartition("-")[0]:
            return True
        last = message_info(listed.last, name, self._roster.user)
        # If the server has later messages, the first page of them shows whether it is the same.
        return last.seq == before.seq and not is_same(last, before)
