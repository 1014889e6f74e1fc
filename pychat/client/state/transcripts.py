"""Transcripts: publish the messages of every conversation once, in order and without gaps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from msgspec import UNSET, Struct, field

from pychat import protocol
from pychat.client.errors import RequestRefused, ServerUnreachable
from pychat.client.events import ClientEvent, MessageAdded, MessageChanged, MessagesReset
from pychat.client.models import MessageInfo, QuoteInfo
from pychat.client.state.roster import Roster
from pychat.client.state.sameness import is_same, newer
from pychat.client.storage.cache import Cache, message_at
from pychat.client.storage.outbox import Outbox
from pychat.client.wire import (
    SendRequest,
    after_change,
    check_page,
    message_info,
    quote_after,
    quote_of,
    with_quote,
)

logger = logging.getLogger("pychat.client")

CATCH_UP_LIMIT: Final = 1_000
"""With more missed messages than this, a transcript starts again at the newest page."""
_MAX_HELD: Final = 1_000
"""Messages beyond a gap that are held per conversation. Later ones are fetched."""
_MAX_CONCURRENT_FETCHES: Final = 4
_RETRY_AFTER: Final = 1.0
"""Seconds to wait after a failed request that does not say how long."""


class _Progress(Struct):
    """Progress of one conversation: last seq published, and messages received beyond a gap."""

    published: int
    target: int = 0
    """The highest seq that the server is known to have."""
    held: dict[int, MessageInfo] = field(default_factory=dict)
    fetching: asyncio.Task[None] | None = None
    confirmed: bool = False
    """Whether the list or a page has shown that the server has the last published message. If
    another store answers at the same address, it may have another message there."""


class Transcripts:
    """Publishes each message once, in the order of ``seq``, and fetches the missing ones.

    If ``fetch_all`` is True, transcripts begin at the delivered cursor and miss nothing. Otherwise
    they begin after the last cached message, and start again at the newest page when more than
    CATCH_UP_LIMIT messages were missed.

    Callbacks, each called with the name of a conversation unless noted:

    - ``on_unlisted`` (no arguments): a message arrived in a conversation not listed yet.
    - ``on_replaced``: the server has other messages there than those published.
    - ``on_confirmed``: the server has the messages published there.
    - ``on_published`` (the message): a message was published.
    - ``on_page`` (and a rev): a page was read that shows the changes up to this rev.
    """

    def __init__(
        self,
        *,
        cache: Cache,
        roster: Roster,
        outbox: Outbox,
        request: SendRequest,
        publish: Callable[[ClientEvent], None],
        on_unlisted: Callable[[], None],
        on_replaced: Callable[[str], None],
        on_confirmed: Callable[[str], None],
        on_published: Callable[[MessageInfo], None],
        on_page: Callable[[str, int], None],
    ) -> None:
        self._cache = cache
        self._roster = roster
        self._outbox = outbox
        self._request = request
        self._publish = publish
        self._on_unlisted = on_unlisted
        self._on_replaced = on_replaced
        self._on_confirmed = on_confirmed
        self._on_published = on_published
        self._on_page = on_page
        self._progress: dict[str, _Progress] = {}
        self._unlisted: dict[str, dict[int, MessageInfo]] = {}
        """Messages of conversations not listed yet, by name and seq."""
        self._posted: set[str] = set()
        """client_ids of messages that were published without a seq when they were posted."""
        self._newest_arrived: dict[str, int] = {}
        """The highest seq that arrived over this connection, by conversation."""
        self._last_known: dict[str, MessageInfo] = {}
        """The last message of each conversation when this connection began."""
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT_FETCHES)
        self._online = False
        self._publishing = False
        self.active: set[str] = set()
        """Names of conversations in which a message arrived. ConversationSync clears it."""
        self.fetch_all = True
        self.user = ""

    # --- start and connection ---

    def load(self, user: str) -> None:
        """Load the state from the cache and the outbox."""
        self.user = user
        self._posted.update(message.client_id for message in self._outbox.entries())
        for conversation in self._roster.newest_first():
            newest = self._cache.newest_seq(conversation.name)
            if newest is not None:
                self._progress[conversation.name] = _Progress(newest)

    def start_publishing(self) -> None:
        """Fetch and publish messages from now on."""
        if not self._publishing:
            self._publishing = True
            for name in self._progress:
                self._fetch_missing(name)

    def connected(self) -> None:
        self._online = True
        self._last_known = {
            each.name: each.last_stored
            for each in self._roster.newest_first()
            if each.last_stored is not None
        }

    def disconnected(self) -> None:
        self._online = False
        self._newest_arrived.clear()
        # The next connection may lead to another store. What this one has is fetched again.
        self._unlisted.clear()
        for progress in self._progress.values():
            progress.confirmed = False
            progress.held.clear()
            progress.target = progress.published
            if progress.fetching is not None:
                progress.fetching.cancel()
                progress.fetching = None

    # --- the server's list ---

    def published_seq(self, name: str) -> int:
        """Return the last seq published in a conversation."""
        progress = self._progress.get(name)
        return progress.published if progress else 0

    def published_seqs(self) -> dict[str, int]:
        """Return the last seq published, by conversation."""
        return {name: progress.published for name, progress in self._progress.items()}

    def follow(self, listed: protocol.ConversationPayload) -> None:
        """Fetch what is missing up to the last message of a listed conversation."""
        name = listed.with_
        progress = self._progress.get(name)
        if progress is None:
            progress = _Progress(max(listed.delivered_seq, listed.first_seq - 1))
            self._progress[name] = progress
        progress.published = max(progress.published, listed.first_seq - 1)
        progress.target = max(progress.target, listed.last_seq, self.newest_arrived(name))
        if progress.confirmed or self._is_confirmed_by(listed):
            self._confirm(name, progress)
        self._fetch_missing(name)

    def _is_confirmed_by(self, listed: protocol.ConversationPayload) -> bool:
        newest = self.newest_known(listed.with_)
        if newest is None:
            return True
        if listed.last is None:
            return False
        return is_same(message_info(listed.last, listed.with_, self.user), newest)

    def newest_known(self, name: str) -> MessageInfo | None:
        """Return the newest message that was known before this connection."""
        cached = self._cache.messages(name, limit=1)
        return cached[0] if cached else self._last_known.get(name)

    def _confirm(self, name: str, progress: _Progress) -> None:
        progress.confirmed = True
        self._on_confirmed(name)
        self._publish_held(progress)

    def newest_arrived(self, name: str) -> int:
        """Return the highest seq that arrived over this connection."""
        return self._newest_arrived.get(name, 0)

    def forget(self, name: str, *, replaced: bool = True) -> None:
        """Forget the progress of a conversation. ``replaced``: its known messages are invalid."""
        if replaced:
            self._last_known.pop(name, None)
        progress = self._progress.pop(name, None)
        if progress is not None and progress.fetching is not None:
            progress.fetching.cancel()

    def rooms_told(self, names: set[str]) -> None:
        """Forget what arrived in rooms that are gone: a new room by that name has other messages.
        ``names``: all rooms that the user can see now."""
        for arrived in (self._newest_arrived, self._unlisted):
            for name in [name for name in arrived if name.startswith(protocol.ROOM_PREFIX)]:
                if name not in names:
                    del arrived[name]

    def list_applied(self) -> None:
        """Forget conversations that are no longer known, and publish messages of new ones."""
        for name in [each for each in self._progress if self._roster.get(each) is None]:
            self.forget(name)
        unlisted, self._unlisted = self._unlisted, {}
        for name, held in unlisted.items():
            if name in self._progress:
                for seq in sorted(held):
                    self.arrived(held[seq])

    # --- messages ---

    def posted(self, message: MessageInfo) -> None:
        """Publish a message that the user has posted. It has no seq yet."""
        self._posted.add(message.client_id)
        self._publish(MessageAdded(message))

    def discarded(self, message: MessageInfo) -> None:
        """Record that a posted message will not be sent."""
        self._posted.discard(message.client_id)

    def arrived(self, message: MessageInfo) -> None:
        """Accept a stored message: from an event, or from the answer to a posted one."""
        name, seq = message.conversation, message.seq
        self.active.add(name)
        self._newest_arrived[name] = max(seq, self.newest_arrived(name))
        progress = self._progress.get(name)
        if progress is not None and self._roster.get(name) is None:
            # The user left the room on this device and joined it again on another, or the room was
            # deleted and created again.
            self.forget(name)
            self._publish(MessagesReset(name))
            progress = None
        if progress is None:
            self._on_unlisted()  # the list has the alias and the cursors
            if seq > 1:
                self._unlisted.setdefault(name, {})[seq] = message
                return
            self._roster.add(name)
            progress = self._progress[name] = _Progress(0, confirmed=True)
        self._roster.arrived(message)
        if seq <= progress.published:
            if message.client_id in self._posted:
                if self._is_published(message):
                    # An earlier run of the program has sent it, with this client_id.
                    self._posted.discard(message.client_id)
                    self._publish(MessageChanged(message))
                else:
                    # This seq was published with another message: that was of another store.
                    self._on_replaced(name)
            return
        progress.target = max(progress.target, seq)
        # Unconfirmed, the message may be of another store than those published before.
        if seq == progress.published + 1 and self._publishing and progress.confirmed:
            self._publish_message(progress, message)
            self._publish_held(progress)
            return
        if self._publishing and len(progress.held) < _MAX_HELD:
            progress.held[seq] = message
        elif message.client_id in self._posted:
            self._posted.discard(message.client_id)
            self._publish(MessageChanged(message))
        self._fetch_missing(name)

    def _is_published(self, message: MessageInfo) -> bool:
        found = message_at(self._cache, message.conversation, message.seq)
        return found is not None and found.client_id == message.client_id

    def changed(self, change: protocol.Changed) -> None:
        """Apply a change to its message, also if that waits for earlier messages."""
        name, seq = change.with_, change.seq
        if seq is UNSET:
            return  # one that this user may not see
        for waiting in self._waiting(name):
            if seq in waiting:
                waiting[seq] = after_change(waiting[seq], change, self.user)
        found = message_at(self._cache, name, seq)
        if found is None:
            self._roster.changed_uncached(change, seq)
            if change.removed and 0 < seq <= self.published_seq(name):
                # It may still be on screen.
                gone = MessageInfo(name, "", "", "", seq=seq, removed=True, rev=change.rev)
                self._publish(MessageChanged(gone))
        else:
            message = after_change(found, change, self.user)
            if message is found:
                return
            self._replace(message)
        self._requote(name, seq, lambda quote: quote_after(quote, change))

    def _waiting(self, name: str) -> tuple[dict[int, MessageInfo], ...]:
        progress = self._progress.get(name)
        return progress.held if progress else {}, self._unlisted.get(name, {})

    def _requote(self, name: str, origin: int, update: Callable[[QuoteInfo], QuoteInfo]) -> None:
        """Update the quotes of a message in all of its replies."""
        for waiting in self._waiting(name):
            for seq, message in waiting.items():
                waiting[seq] = with_quote(message, origin, update)
        for message in self._cache.replies(name, origin):
            requoted = with_quote(message, origin, update)
            if requoted is not message:
                self._replace(requoted)
        for message in self._outbox.requote(name, origin, update):
            self._publish(MessageChanged(message))
        self._roster.requoted(name, origin, update)

    def refreshed(self, message: MessageInfo) -> None:
        """Take a message over from an answer of the server, if it is kept and not newer here."""
        name, seq = message.conversation, message.seq
        progress = self._progress.get(name)
        if progress is not None and seq in progress.held:
            progress.held[seq] = newer(progress.held[seq], message)
        found = message_at(self._cache, name, seq)
        if found is not None:
            message = newer(found, message)
            if message != found:
                self._replace(message)
        quote = quote_of(message)
        self._requote(name, seq, lambda _: quote)

    def oldest_kept(self, name: str) -> int | None:
        """Return the first seq of a conversation of which a message or a quote is kept, or None."""
        # A message may have arrived before the list that names its conversation, and an earlier
        # connection may have ended between the two.
        held = [message for waiting in self._waiting(name) for message in waiting.values()]
        seqs = [self._cache.oldest_seq(name), self._cache.oldest_origin(name)]
        seqs += [message.seq for message in held]
        seqs += [message.reply_to.seq for message in held if message.reply_to]
        return min((seq for seq in seqs if seq is not None), default=None)

    def _replace(self, message: MessageInfo) -> None:
        self._cache.save_messages(message.conversation, [message])
        self._roster.changed(message)
        self._publish(MessageChanged(self._roster.with_delivery(message)))

    def _publish_message(self, progress: _Progress, message: MessageInfo) -> None:
        progress.published = message.seq
        self._cache.save_messages(message.conversation, [message])
        if message.client_id and message.client_id in self._posted:
            self._posted.discard(message.client_id)
            self._publish(MessageChanged(message))
        else:
            self._publish(MessageAdded(message))
        self._on_published(message)

    def _publish_held(self, progress: _Progress) -> None:
        while progress.held:
            message = progress.held.pop(progress.published + 1, None)
            if message is None:
                break
            self._publish_message(progress, message)

    # --- fetching missing messages ---

    def _fetch_missing(self, name: str) -> None:
        progress = self._progress[name]
        if not self._online or (progress.confirmed and not self._is_behind(progress)):
            return
        if progress.fetching is None or progress.fetching.done():
            loop = asyncio.get_running_loop()
            progress.fetching = loop.create_task(self._catch_up(name, progress))

    def _is_behind(self, progress: _Progress) -> bool:
        return self._publishing and progress.published < progress.target

    async def _catch_up(self, name: str, progress: _Progress) -> None:
        async with self._slots:
            while not progress.confirmed or self._is_behind(progress):
                try:
                    if not await self._fetch_page(name, progress):
                        self._on_replaced(name)
                        return
                except RequestRefused as refusal:
                    if refusal.code in (protocol.Code.FORBIDDEN, protocol.Code.NOT_FOUND):
                        # The user may no longer read it. Unconfirmed, its cursors are not sent.
                        progress.target = progress.published
                        progress.held.clear()
                        return
                    logger.info("history request failed: conversation=%s: %s", name, refusal)
                    await asyncio.sleep(refusal.retry_after or _RETRY_AFTER)
                except ServerUnreachable as error:
                    logger.info("history request failed: conversation=%s: %s", name, error)
                    await asyncio.sleep(_RETRY_AFTER)

    async def _fetch_page(self, name: str, progress: _Progress) -> bool:
        """Fetch and publish a page. Returns False if the server has another message in the place
        of the newest known one."""
        behind = self._is_behind(progress)
        missed = progress.target - progress.published
        start_again = behind and not self.fetch_all and missed > CATCH_UP_LIMIT
        last = None if progress.confirmed else self.newest_known(name)
        overlaps = last is not None and last.seq == progress.published
        if last is not None and (start_again or not behind or not overlaps):
            page = await self._page(name, last.seq - 1, 1)
            if page and is_same(page[0], last):
                self._confirm(name, progress)
                return True
            return False
        # The page begins with the newest known message, if that is still to be confirmed.
        after = None if start_again else progress.published - overlaps
        page = await self._page(name, after, protocol.MAX_LIMIT)
        if start_again and page and page[0].seq > progress.published + 1:
            self._cache.clear_messages(name)
            progress.published = page[0].seq - 1
            self._publish(MessagesReset(name))
        if last is not None and not (page and is_same(page[0], last)):
            return False
        if not progress.confirmed:
            self._confirm(name, progress)
        before = progress.published
        for message in page:
            if message.own and message.client_id:
                self._outbox.settle(message)
            self._roster.arrived(message)
            if message.seq > progress.published:
                self._publish_message(progress, message)
                progress.held.pop(message.seq, None)
            else:
                # It arrived meanwhile, and the page may show later changes of it.
                self.refreshed(message)
        if progress.published == before:
            progress.target = progress.published  # the server has no later message
        self._publish_held(progress)
        return True

    async def _page(self, name: str, after: int | None, limit: int) -> list[MessageInfo]:
        request = protocol.HistoryRequest(name, after=after, limit=limit)
        answer = await self._request(protocol.Event.HISTORY, request, protocol.HistoryAnswer)
        check_page(request, answer)
        if answer.rev is not UNSET:
            self._on_page(name, answer.rev)
        return [message_info(each, name, self.user) for each in answer.messages]
