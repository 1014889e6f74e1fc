"""ClientCore: creates the parts of a client and passes events between them.

ChatClient is the public interface on top of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final
from weakref import WeakSet

import msgspec
from msgspec import UNSET, structs

from pychat import protocol
from pychat.client.connection.reconnect import Reconnector, Requester
from pychat.client.errors import CacheInUse, ChatClientError, RequestRefused
from pychat.client.events import (
    CacheLost,
    ChangeRefused,
    ClientEvent,
    MessageChanged,
    MessagesReset,
    ProfileChanged,
    StatusChanged,
    Subscription,
)
from pychat.client.models import (
    ChangeKind,
    MessageInfo,
    PendingChange,
    ProfileInfo,
    Status,
)
from pychat.client.state.changes import ChangeSync
from pychat.client.state.cursors import CursorSender
from pychat.client.state.roster import Roster
from pychat.client.state.shown import ShownState, refused_line
from pychat.client.state.sync import ConversationSync
from pychat.client.state.transcripts import Transcripts
from pychat.client.state.typing import TypingNotice
from pychat.client.storage.cache import Cache, MemoryCache
from pychat.client.storage.outbox import Outbox
from pychat.client.storage.pending import PendingChanges
from pychat.client.storage.sendqueue import SendQueue
from pychat.client.wire import conversation_name, message_info, notify_level, parse, status_of
from pychat.protocol import Event

logger = logging.getLogger("pychat.client")
logger.addHandler(logging.NullHandler())

FLUSH_DELAY: Final = 0.03
"""Seconds during which changes and cursors collect before they are written and sent together."""
CLOSE_TIMEOUT: Final = 1.0
"""Seconds that ``close`` waits for the last cursors to be sent."""
RECOUNT_DELAY: Final = 1.0
"""Seconds between an estimated unread count and the request for the exact one."""
MAX_RECOUNT_DELAY: Final = 60.0
"""The longest such time. It doubles with each list that does not help: the server may refuse a
cursor."""


class ClientCore:
    """The parts of a client: connection, cache, outbox, roster, transcripts and cursors."""

    def __init__(
        self,
        address: str,
        *,
        user: str,
        alias: str,
        password: str | None,
        token: str | Callable[[], str | None] | None,
        create: bool | None,
        cache: Path | str | None,
        on_token: Callable[[str], None],
    ) -> None:
        self._on_token = on_token
        self._subscriptions: WeakSet[Subscription] = WeakSet()
        self._flush_timer: asyncio.TimerHandle | None = None
        self._recount_timer: asyncio.TimerHandle | None = None
        self._recount_delay = RECOUNT_DELAY
        self._opened = False
        self.closed = False
        self.resets: Counter[str] = Counter()
        """Number of MessagesReset events, by conversation."""
        self.reconnector = Reconnector(
            address,
            user=user,
            alias=alias,
            password=password,
            token=token,
            create=create,
            on_event=self._on_event,
            on_online=self._on_online,
            on_offline=self._on_offline,
            on_status=self._on_status,
            on_token=self.on_token,
        )
        self.request = Requester(self.reconnector).request
        self._create_parts(self._cache_at(cache))

    def _create_parts(self, cache: Cache) -> None:
        self.cache = cache
        self._queue = SendQueue()
        self.pending = PendingChanges(
            self.cache,
            self._queue,
            on_shown=self._on_shown,
            on_current=self._on_current,
            on_refused=self._on_change_refused,
            on_count=self._on_status,
        )
        self.outbox = Outbox(
            self.cache,
            self._queue,
            on_settled=self.pending.stored,
            on_stored=self._on_stored,
            on_failed=self._on_failed,
            on_count=self._on_status,
        )
        self.roster = Roster(self.cache, self.publish, self._on_uncertain_unread)
        self.shown = ShownState(self.cache, self.roster, self.outbox, self.pending)
        self.transcripts = Transcripts(
            cache=self.cache,
            roster=self.roster,
            outbox=self.outbox,
            request=self.request,
            publish=self.publish,
            on_unlisted=self._on_unlisted,
            on_replaced=self._on_replaced,
            on_confirmed=self._on_confirmed,
            on_published=self._on_published,
            on_page=self._on_page,
        )
        self.changes = ChangeSync(
            cache=self.cache,
            transcripts=self.transcripts,
            request=self.request,
            on_too_many=self._on_too_many_changes,
        )
        self._cursors = CursorSender(self.request)
        self.sync = ConversationSync(
            cache=self.cache,
            roster=self.roster,
            outbox=self.outbox,
            transcripts=self.transcripts,
            changes=self.changes,
            request=self.request,
            publish=self.publish,
            on_reset=self._cursors.reset,
            on_gone=self.pending.replaced,
            on_cursor_behind=self._cursors.move,
        )
        self.typing_notice = TypingNotice(self._send_typing)

    def _cache_at(self, path: Path | str | None) -> Cache:
        if path is None:
            return MemoryCache()
        from pychat.client.storage.sqlite import SQLiteCache  # loads sqlite3 only if it is used

        return SQLiteCache(path, self._on_cache_lost)

    def _on_cache_lost(self, reason: str) -> None:
        logger.warning("cache lost, continuing in memory: %s", reason)
        self.publish(CacheLost(reason))

    # --- open and close ---

    def open(self) -> None:
        """Load the state from the cache. Raises CacheUnusable."""
        self.check_not_closed()
        if self._opened:
            return
        user = self.reconnector.login.user
        self.cache.open(self.reconnector.address, user)
        self._opened = True
        self.outbox.user = user
        self.outbox.load()
        self.pending.load(user, lambda client_id: self.outbox.get(client_id) is not None)
        self.roster.load(user, self.outbox.entries())
        self.transcripts.load(user)
        self.changes.load()

    def open_or_use_memory(self) -> bool:
        """Open the cache, or use memory if another process has the file open.

        Returns whether another process has it. Raises CacheUnusable.
        """
        try:
            self.open()
        except CacheInUse:
            self.keep_in_memory()
            self.open()
            return True
        return False

    def keep_in_memory(self) -> None:
        """Use memory instead of the cache file. Call it before ``open``."""
        self._create_parts(MemoryCache())

    async def close(self) -> None:
        """Send queued cursors, for CLOSE_TIMEOUT at most, and end everything."""
        if self.closed:
            return
        self.closed = True
        if self.reconnector.connection is not None:
            self._flush()
            sending = self._cursors.send()
            if sending is not None:
                await asyncio.wait((sending,), timeout=CLOSE_TIMEOUT)
        await self.reconnector.close()
        self._queue.disconnected()
        self.outbox.close()
        self.pending.close()
        self.roster.disconnected()
        for timer in (self._flush_timer, self._recount_timer):
            if timer is not None:
                timer.cancel()
        if self._opened:
            self.cache.close()
        for subscription in self._subscriptions:
            subscription.close()

    def check_not_closed(self) -> None:
        """Raise ChatClientError after ``close``."""
        if self.closed:
            raise ChatClientError("this client is closed: create a new one")

    @property
    def status(self) -> Status:
        return structs.replace(
            self.reconnector.status, waiting=self.outbox.waiting + self.pending.waiting
        )

    # --- publish ---

    def subscribe(self) -> Subscription:
        """Return an iterator over all events from now on. Only the caller keeps it alive."""
        subscription = Subscription()
        if self.closed:
            subscription.close()
        self._subscriptions.add(subscription)
        self.transcripts.start_publishing()
        return subscription

    def publish(self, event: ClientEvent) -> None:
        if isinstance(event, MessagesReset):
            self.resets[event.conversation] += 1
        event = self.shown.event(event)
        for subscription in self._subscriptions:
            subscription.put(event)
        self.flush_soon()

    def flush_soon(self) -> None:
        """Write changes to the cache and send queued cursors, after FLUSH_DELAY."""
        if self._flush_timer is None and self._opened and not self.closed:
            loop = asyncio.get_running_loop()
            self._flush_timer = loop.call_later(FLUSH_DELAY, self._flush)

    def _flush(self) -> None:
        # The cache first: a cursor must not be sent before its messages are persisted.
        self._flush_timer = None
        self.cache.flush()
        if self.reconnector.connection is not None:
            self._cursors.send()

    def move_cursor(self, event: Event, name: str, seq: int) -> None:
        """Move the user's cursor here now and on the server as soon as possible.

        ``event``: DELIVERED or READ.
        """
        if self.roster.move_own_cursor(name, event, seq):
            self._cursors.move(event, name, seq)
            self.flush_soon()

    def _send_typing(self, name: str, typing: bool) -> None:
        if self.reconnector.connection is not None:
            request = protocol.TypingRequest(name, typing)
            self.reconnector.connection.send(Event.TYPING, msgspec.to_builtins(request))

    # --- callbacks ---

    def _on_event(self, name: str, data: object) -> None:
        try:
            match name:
                case Event.MESSAGE:
                    payload = parse(data, protocol.MessagePayload)
                    user = self.reconnector.login.user
                    message = message_info(payload, conversation_name(payload, user), user)
                    if message.own and message.client_id:
                        self.outbox.settle(message)
                    self.transcripts.arrived(message)
                case Event.RECEIPT:
                    self.roster.receipt(parse(data, protocol.Receipt))
                case Event.NOTIFY:
                    chosen = parse(data, protocol.NotifyPayload)
                    self.notify_chosen(chosen.with_, notify_level(chosen.level))
                case Event.TYPING:
                    self.roster.typing(parse(data, protocol.Typing))
                case Event.PRESENCE:
                    presence = parse(data, protocol.PresencePayload)
                    if presence.id == self.reconnector.login.user:
                        self.profile_changed(presence)
                    self.roster.presence(presence)
                case Event.CHANGED:
                    changed = parse(data, protocol.Changed)
                    self.changes.arrived(changed)
                    self.flush_soon()
                    if changed.seq is not UNSET:
                        self.sync.invalidate()
                case Event.ROOM:
                    rooms = parse(data, protocol.RoomListPayload).rooms
                    self.transcripts.rooms_told({protocol.ROOM_PREFIX + r.id for r in rooms})
                    if self.roster.rooms(rooms):
                        self.sync.invalidate()
                case Event.MEMBERSHIP:
                    self.roster.membership(parse(data, protocol.MembershipPayload))
                    self.sync.invalidate()
                case _:
                    pass  # an event of a newer server
        except RequestRefused as error:
            logger.warning("invalid event ignored: event=%s: %s", name, error)

    @property
    def profile(self) -> ProfileInfo:
        login = self.reconnector.login
        return ProfileInfo(login.user, login.alias, login.status, login.status_text)

    def profile_changed(self, now: protocol.ProfileAnswer | protocol.PresencePayload) -> None:
        """Apply a change of the user's own profile, here or on another device."""
        before, login = self.profile, self.reconnector.login
        login.alias = now.alias
        if login.requested_alias:
            login.requested_alias = now.alias
        login.status, login.status_text = status_of(now)
        if self.profile != before:
            self.publish(ProfileChanged(self.profile))

    def notify_chosen(self, name: str, level: protocol.NotifyLevel) -> None:
        """Apply what the user chose here or on another device. See ``set_notify``."""
        self.roster.notify_chosen(name, level)
        self.sync.invalidate()

    def _on_online(self) -> None:
        connection = self.reconnector.connection
        assert connection is not None
        self._recount_soon()
        self.roster.user = self.transcripts.user = self.reconnector.login.user
        self.transcripts.connected()
        self.changes.connected()
        self.sync.connected()
        self.outbox.user = self.pending.user = self.reconnector.login.user
        self._queue.connected(connection)

    def _on_offline(self) -> None:
        self.sync.disconnected()
        self.transcripts.disconnected()
        self.changes.disconnected()
        self._queue.disconnected()
        self._cursors.disconnected()
        self.typing_notice.clear()
        self.roster.disconnected()

    def _on_status(self) -> None:
        self.publish(StatusChanged(self.status))

    def on_token(self, token: str) -> None:
        """Pass a new token to the user's callback, or an empty one when the token has ended."""
        try:
            self._on_token(token)
        except Exception:
            # This login continues. Without a stored token, the next one needs the password.
            logger.exception("on_token failed")

    def _on_failed(self, message: MessageInfo) -> None:
        for change in self.pending.unsent(message):
            if change.kind is ChangeKind.REMOVAL:
                self.discard(message.client_id)
                return
            if change.kind is ChangeKind.EDIT:
                message = self.outbox.rewrite(message.client_id, change.text) or message
        self.unsent_changed(message)

    def unsent_changed(self, message: MessageInfo) -> None:
        """Publish that a message in the outbox has changed."""
        self.roster.unsent_changed(message)
        self.publish(MessageChanged(message))

    def discard(self, client_id: str) -> None:
        """Delete a message from the outbox, with its changes."""
        message = self.outbox.discard(client_id)
        if message is None:
            return
        self.pending.unsent(message)
        name = message.conversation
        self.transcripts.discarded(message)
        rest = self.outbox.entries(name) or self.cache.messages(name, limit=1)
        last = self.roster.with_delivery(rest[-1]) if rest else None
        self.roster.discarded(message, last)
        self.publish(MessageChanged(structs.replace(message, removed=True)))

    def _on_shown(self, message: MessageInfo) -> None:
        for event in self.shown.changed(message):
            self.publish(event)

    def _on_change_refused(self, change: PendingChange, refusal: RequestRefused) -> None:
        self.publish(ChangeRefused(change, refused_line(change, refusal)))

    def _on_current(self, message: MessageInfo) -> None:
        self.transcripts.refreshed(message)

    def _on_stored(self, message: MessageInfo, rev: int) -> None:
        self.transcripts.arrived(message)
        if rev:
            # It had been stored before, and was changed since: this is the text as it was posted.
            self.changes.missed(message.conversation, rev)

    def _on_uncertain_unread(self, listed: bool) -> None:
        # Delayed: the server must have the cursor first, and the user may still be reading.
        if not listed:
            self._recount_soon()
        if self._recount_timer is None and not self.closed:
            self._recount_delay = min(2 * self._recount_delay, MAX_RECOUNT_DELAY)
            loop = asyncio.get_running_loop()
            self._recount_timer = loop.call_later(self._recount_delay, self._recount)

    def _recount_soon(self) -> None:
        """Start with the short delay again: the next list may know what was read."""
        if self._recount_timer is not None and self._recount_delay > RECOUNT_DELAY:
            self._recount_timer.cancel()
            self._recount_timer = None
        if self._recount_timer is None:
            self._recount_delay = RECOUNT_DELAY / 2

    def _recount(self) -> None:
        self._recount_timer = None
        self.sync.refresh()

    # The parts refer to each other: these pass a call to a part that is created later.

    def _on_unlisted(self) -> None:
        self.sync.refresh()

    def _on_replaced(self, name: str) -> None:
        self.sync.replace(name)

    def _on_page(self, name: str, rev: int) -> None:
        self.changes.page_read(name, rev)

    def _on_too_many_changes(self, name: str) -> None:
        self.sync.reset([name])

    def _on_confirmed(self, name: str) -> None:
        self._cursors.confirm(name)
        self.flush_soon()

    def _on_published(self, message: MessageInfo) -> None:
        if not self.transcripts.fetch_all and not message.own:
            self.move_cursor(Event.DELIVERED, message.conversation, message.seq)
