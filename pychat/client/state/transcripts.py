"""The messages of every conversation, told once and in order, each hole filled by its seqs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec import Struct, field

from pychat import protocol
from pychat.client.errors import RequestRefused, ServerUnreachable
from pychat.client.events import ClientEvent, MessageAdded, MessageChanged, MessagesReset
from pychat.client.models import MessageInfo
from pychat.client.state.roster import Roster
from pychat.client.storage.cache import Cache
from pychat.client.storage.outbox import Outbox
from pychat.client.wire import check_page, message_record

logger = logging.getLogger("pychat.client")

CATCH_UP_LIMIT: Final = 1_000
"""A view that has missed more than this in a conversation starts anew at its newest page."""
_HELD_LIMIT: Final = 1_000
_FETCHED_AT_ONCE: Final = 4
_RETRY_AFTER: Final = 1.0


class _Log(Struct):
    """How far one conversation was told, and what came after a hole in it."""

    told: int
    target: int = 0
    held: dict[int, MessageInfo] = field(default_factory=dict)
    fetching: asyncio.Task[None] | None = None
    same: bool = False
    """Whether the server has the last one told, as it was told: known by its list or a page."""


class Logs:
    """Every message goes through ``arrived`` or a fetched page.

    ``whole``: told from the delivered cursor on, however much that is (for ``messages``); else from
    what is in the cache, and anew from the newest page where more than CATCH_UP_LIMIT was missed.
    ``on_stranger`` is called for a conversation that the server has not listed yet, ``on_another``
    with the name of one in which it has other messages than those told, ``on_same`` with the name
    of one in which it has them, ``on_told`` with every message told.
    """

    def __init__(
        self,
        *,
        cache: Cache,
        roster: Roster,
        outbox: Outbox,
        request: Callable[..., Awaitable[Any]],
        publish: Callable[[ClientEvent], None],
        on_stranger: Callable[[], None],
        on_another: Callable[[str], None],
        on_same: Callable[[str], None],
        on_told: Callable[[MessageInfo], None],
    ) -> None:
        self._cache = cache
        self._roster = roster
        self._outbox = outbox
        self._request = request
        self._publish = publish
        self._on_stranger = on_stranger
        self._on_another = on_another
        self._on_same = on_same
        self._on_told = on_told
        self._logs: dict[str, _Log] = {}
        self._strangers: dict[str, dict[int, MessageInfo]] = {}
        self._posted: set[str] = set()
        self._arrived: dict[str, int] = {}
        self._last: dict[str, MessageInfo] = {}
        self._slots = asyncio.Semaphore(_FETCHED_AT_ONCE)
        self._online = False
        self._telling = False
        self.heard: set[str] = set()
        """The names of conversations in which something arrived; cleared by whoever uses it."""
        self.whole = True
        self.user = ""

    # --- life ---

    def load(self, user: str) -> None:
        """What the cache and the outbox kept from before."""
        self.user = user
        self._posted.update(message.client_id for message in self._outbox.entries())
        for conversation in self._roster.newest_first():
            newest = self._cache.newest_seq(conversation.name)
            if newest is not None:
                self._logs[conversation.name] = _Log(newest)

    def tell(self) -> None:
        """Somebody wants the messages: from now on they are fetched and told."""
        if not self._telling:
            self._telling = True
            for name in self._logs:
                self._fetch(name)

    def connected(self) -> None:
        self._online = True
        self._last = {
            each.name: each.last
            for each in self._roster.newest_first()
            if each.last is not None and each.last.seq
        }

    def disconnected(self) -> None:
        self._online = False
        self._arrived.clear()
        for log in self._logs.values():
            log.same = False
            if log.fetching is not None:
                log.fetching.cancel()
                log.fetching = None

    # --- what the server lists ---

    def told(self, name: str) -> int:
        """The last seq that was told."""
        log = self._logs.get(name)
        return log.told if log else 0

    def all_told(self) -> dict[str, int]:
        """The last seq that was told, by conversation."""
        return {name: log.told for name, log in self._logs.items()}

    def follow(self, listed: protocol.ConversationPayload) -> None:
        """Fetches what is missing up to its last message."""
        log = self._logs.get(listed.with_)
        if log is None:
            log = _Log(max(listed.delivered_seq, listed.first_seq - 1))
            self._logs[listed.with_] = log
        log.told = max(log.told, listed.first_seq - 1)
        log.target = max(log.target, listed.last_seq, self.newest_arrived(listed.with_))
        if log.same or self._is_confirmed_by(listed):
            self._confirm(listed.with_, log)
        self._fetch(listed.with_)

    def _is_confirmed_by(self, listed: protocol.ConversationPayload) -> bool:
        """Whether no message is known that the server might not have."""
        newest = self._newest_known(listed.with_)
        if newest is None:
            return True
        if listed.last is None:
            return False
        return is_same(message_record(listed.last, listed.with_, self.user), newest)

    def _newest_known(self, name: str) -> MessageInfo | None:
        """From before this connection."""
        cached = self._cache.messages(name, limit=1)
        return cached[0] if cached else self._last.get(name)

    def _confirm(self, name: str, log: _Log) -> None:
        log.same = True
        self._on_same(name)
        self._tell_held(log)

    def newest_arrived(self, name: str) -> int:
        """The highest seq that arrived over this connection."""
        return self._arrived.get(name, 0)

    def forget(self, name: str, *, another: bool = True) -> None:
        """It is gone, or is read anew; ``another``: and is not the one that it was."""
        if another:
            self._last.pop(name, None)
        log = self._logs.pop(name, None)
        if log is not None and log.fetching is not None:
            log.fetching.cancel()

    def listed(self) -> None:
        """The server's list is here: what arrived in conversations unknown before it can be told,
        and those that it does not have are forgotten."""
        for name in [each for each in self._logs if self._roster.get(each) is None]:
            self.forget(name)
        strangers, self._strangers = self._strangers, {}
        for name, held in strangers.items():
            if name in self._logs:
                for seq in sorted(held):
                    self.arrived(held[seq])

    # --- messages ---

    def posted(self, message: MessageInfo) -> None:
        """One's own, told as soon as it was written."""
        self._posted.add(message.client_id)
        self._publish(MessageAdded(message))

    def withdrawn(self, message: MessageInfo) -> None:
        """One's own, which will not be sent."""
        self._posted.discard(message.client_id)

    def arrived(self, message: MessageInfo) -> None:
        """A stored message: an event of the server, or the answer to one's own."""
        name, seq = message.conversation, message.seq
        if message.own and message.client_id:
            self._outbox.settle(message)
        self.heard.add(name)
        self._arrived[name] = max(seq, self.newest_arrived(name))
        log = self._logs.get(name)
        if log is not None and self._roster.get(name) is None:
            # The user had left it here, and joined it again on another device; or it was deleted,
            # and made again.
            self.forget(name)
            self._publish(MessagesReset(name))
            log = None
        if log is None:
            self._on_stranger()  # who they are, and where one stands with them
            if seq > 1:
                self._strangers.setdefault(name, {})[seq] = message
                return
            self._roster.met(name)
            log = self._logs[name] = _Log(0, same=True)
        self._roster.heard(message)
        if seq <= log.told:
            if message.client_id in self._posted:
                self._on_another(name)  # it was never told: what was, is another store's
            return
        log.target = max(log.target, seq)
        # Right after a login it may be of another store than what was told before.
        if seq == log.told + 1 and self._telling and log.same:
            self._tell(log, message)
            self._tell_held(log)
            return
        if self._telling and len(log.held) < _HELD_LIMIT:
            log.held[seq] = message
        elif message.client_id in self._posted:
            self._posted.discard(message.client_id)
            self._publish(MessageChanged(message))
        self._fetch(name)

    def removed(self, name: str, seq: int) -> None:
        """The text of that message is gone."""
        gone = self._cache.messages(name, before=seq + 1, limit=1)
        if not gone or gone[0].seq != seq:
            self._roster.removed_elsewhere(name, seq)
            return
        if gone[0].removed:
            return
        message = MessageInfo(
            conversation=name,
            sender=gone[0].sender,
            text="",
            client_id=gone[0].client_id,
            id=gone[0].id,
            seq=seq,
            sent_at=gone[0].sent_at,
            removed=True,
            own=gone[0].own,
            delivery=gone[0].delivery,
        )
        self._cache.save_messages(name, [message])
        self._roster.removed(message)
        self._publish(MessageChanged(message))

    def _tell(self, log: _Log, message: MessageInfo) -> None:
        log.told = message.seq
        self._cache.save_messages(message.conversation, [message])
        if message.client_id and message.client_id in self._posted:
            self._posted.discard(message.client_id)
            self._publish(MessageChanged(message))
        else:
            self._publish(MessageAdded(message))
        self._on_told(message)

    def _tell_held(self, log: _Log) -> None:
        while log.held:
            message = log.held.pop(log.told + 1, None)
            if message is None:
                break
            self._tell(log, message)

    # --- what was missed ---

    def _fetch(self, name: str) -> None:
        log = self._logs[name]
        if not self._online or (log.same and not self._is_behind(log)):
            return
        if log.fetching is None or log.fetching.done():
            log.fetching = asyncio.get_running_loop().create_task(self._catch_up(name, log))

    def _is_behind(self, log: _Log) -> bool:
        return self._telling and log.told < log.target

    async def _catch_up(self, name: str, log: _Log) -> None:
        async with self._slots:
            while not log.same or self._is_behind(log):
                try:
                    if not await self._fetch_page(name, log):
                        self._on_another(name)
                        return
                except RequestRefused as refusal:
                    if refusal.code in (protocol.Code.FORBIDDEN, protocol.Code.NOT_FOUND):
                        log.target = log.told  # no longer one's own to read
                        log.held.clear()
                        return  # no cursor of it is sent
                    logger.info("%s could not be fetched: %s", name, refusal)
                    await asyncio.sleep(refusal.retry_after or _RETRY_AFTER)
                except ServerUnreachable as error:
                    logger.info("%s could not be fetched: %s", name, error)
                    await asyncio.sleep(_RETRY_AFTER)

    async def _fetch_page(self, name: str, log: _Log) -> bool:
        """False if the server has another message where the newest one known is."""
        behind = self._is_behind(log)
        anew = behind and not self.whole and log.target - log.told > CATCH_UP_LIMIT
        last = None if log.same else self._newest_known(name)
        overlaps = last is not None and last.seq == log.told
        if last is not None and (anew or not behind or not overlaps):
            page = await self._page(name, last.seq - 1, 1)
            if page and is_same(page[0], last):
                self._confirm(name, log)
                return True
            return False
        page = await self._page(name, None if anew else log.told - overlaps, protocol.MAX_LIMIT)
        if anew and page and page[0].seq > log.told + 1:
            self._cache.clear_messages(name)
            log.told = page[0].seq - 1
            self._publish(MessagesReset(name))
        if last is not None and not (page and is_same(page[0], last)):
            return False
        if not log.same:
            self._confirm(name, log)
        before = log.told
        for message in page:
            if message.own and message.client_id:
                self._outbox.settle(message)
            self._roster.heard(message)
            if message.seq > log.told:
                self._tell(log, message)
                log.held.pop(message.seq, None)
        if log.told == before:
            log.target = log.told  # there is nothing after it, whatever was said before
        self._tell_held(log)
        return True

    async def _page(self, name: str, after: int | None, limit: int) -> list[MessageInfo]:
        request = protocol.HistoryRequest(name, after=after, limit=limit)
        answer: protocol.HistoryAnswer = await self._request(
            protocol.Event.HISTORY, request, protocol.HistoryAnswer
        )
        check_page(request, answer)
        return [message_record(each, name, self.user) for each in answer.messages]


def is_same(one: MessageInfo, other: MessageInfo) -> bool:
    """Whether two messages with the same seq are the same: the seqs of another server, or of one
    with an older store, are given again. A removed one tells nothing but its seq."""
    if one.seq != other.seq or one.removed or other.removed:
        return one.seq == other.seq
    return (one.sender, one.text) == (other.sender, other.text) and one.sent_at == other.sent_at
