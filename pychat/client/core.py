"""What a ChatClient is made of, put together: the parts, and what each tells the others."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

import msgspec
from msgspec import structs

from pychat import protocol
from pychat.client.api.requests import Asking
from pychat.client.connection.reconnect import Reconnector
from pychat.client.errors import CacheInUse, ChatClientError, RequestRefused
from pychat.client.events import (
    CacheLost,
    ClientEvent,
    MessageChanged,
    MessagesReset,
    StatusChanged,
    Subscription,
)
from pychat.client.models import MessageInfo, Status
from pychat.client.state.cursors import CursorSender
from pychat.client.state.roster import Roster
from pychat.client.state.sync import Sync
from pychat.client.state.transcripts import Logs
from pychat.client.state.typing import TypingNotice
from pychat.client.storage.cache import Cache, MemoryCache
from pychat.client.storage.outbox import Outbox
from pychat.client.wire import conversation_name, message_record, parsed
from pychat.protocol import Event

logger = logging.getLogger("pychat.client")
logger.addHandler(logging.NullHandler())

SETTLING_TIME: Final = 0.03
"""Seconds for which changes gather before they are written, and cursors sent, in one go."""
CLOSING_TIME: Final = 1.0
RECOUNT_TIME: Final = 1.0
"""Seconds after which the server is asked how much is unread, where that was guessed."""


class Core:
    """Holds the parts; whatever happens goes through here to those that it concerns."""

    def __init__(
        self,
        address: str,
        *,
        user: str,
        alias: str,
        password: str | None,
        token: str | Callable[[], str | None] | None,
        cache: Path | str | None,
        on_token: Callable[[str], None],
    ) -> None:
        self._on_token = on_token
        self._subscriptions: WeakSet[Subscription] = WeakSet()
        self._settling: asyncio.TimerHandle | None = None
        self._recounting: asyncio.TimerHandle | None = None
        self._opened = False
        self.closed = False
        self.resets: Counter[str] = Counter()
        """How often the view of each conversation has started anew."""
        self.session = Reconnector(
            address,
            user=user,
            alias=alias,
            password=password,
            token=token,
            on_event=self._on_event,
            on_online=self._on_online,
            on_offline=self._on_offline,
            on_status=self._on_status,
            on_token=self.on_token,
        )
        self.asking = Asking(self.session)
        self._put_together(self._cache_at(cache))

    def _put_together(self, cache: Cache) -> None:
        self.cache = cache
        self.outbox = Outbox(
            self.cache,
            on_stored=self._on_stored,
            on_failed=self._on_failed,
            on_count=self._on_status,
        )
        self.roster = Roster(self.cache, self.publish, self._on_guess)
        self.logs = Logs(
            cache=self.cache,
            roster=self.roster,
            outbox=self.outbox,
            request=self.asking.request,
            publish=self.publish,
            on_stranger=self._on_stranger,
            on_another=self._on_another,
            on_same=self._on_same,
            on_told=self._on_told,
        )
        self._cursors = CursorSender(self.asking.request)
        self.sync = Sync(
            cache=self.cache,
            roster=self.roster,
            outbox=self.outbox,
            logs=self.logs,
            request=self.asking.request,
            publish=self.publish,
            on_reset=self._cursors.reset,
            on_behind=self._cursors.move,
        )
        self.typing_notice = TypingNotice(self._send_typing)

    def _cache_at(self, path: Path | str | None) -> Cache:
        if path is None:
            return MemoryCache()
        from pychat.client.storage.sqlite import SQLiteCache  # with the database, only where used

        return SQLiteCache(path, self._on_cache_lost)

    def _on_cache_lost(self, why: str) -> None:
        logger.warning("%s: going on in memory", why)
        self.publish(CacheLost(why))

    # --- life ---

    def open(self) -> None:
        """Loads what the cache kept. Raises CacheUnusable."""
        self.check_not_closed()
        if self._opened:
            return
        self.cache.open(self.session.address, self.session.login.user)
        self._opened = True
        self.outbox.load()
        self.roster.load(self.session.login.user, self.outbox.entries())
        self.logs.load(self.session.login.user)

    def open_beside(self) -> bool:
        """As ``open``, but where another process holds the cache file it is left to it, and this
        client keeps all in memory: True then."""
        try:
            self.open()
        except CacheInUse:
            self.keep_in_memory()
            self.open()
            return True
        return False

    def keep_in_memory(self) -> None:
        """Instead of the cache file; only until it is opened."""
        self._put_together(MemoryCache())

    async def close(self) -> None:
        """Cursors that wait are sent, if that takes no longer than CLOSING_TIME."""
        if self.closed:
            return
        self.closed = True
        if self.session.connection is not None:
            self._settle()
            sending = self._cursors.send()
            if sending is not None:
                await asyncio.wait((sending,), timeout=CLOSING_TIME)
        await self.session.close()
        self.outbox.close()
        self.roster.close()
        for timer in (self._settling, self._recounting):
            if timer is not None:
                timer.cancel()
        if self._opened:
            self.cache.close()
        for subscription in self._subscriptions:
            subscription.close()

    def check_not_closed(self) -> None:
        """Raises ChatClientError after ``close``."""
        if self.closed:
            raise ChatClientError("this client was closed: make a new one")

    @property
    def status(self) -> Status:
        return structs.replace(self.session.status, waiting=self.outbox.waiting)

    # --- telling ---

    def subscribe(self) -> Subscription:
        """All events from here on; nothing but the reader keeps it alive."""
        subscription = Subscription()
        if self.closed:
            subscription.close()
        self._subscriptions.add(subscription)
        self.logs.tell()
        return subscription

    def publish(self, event: ClientEvent) -> None:
        if isinstance(event, MessagesReset):
            self.resets[event.conversation] += 1
        for subscription in self._subscriptions:
            subscription.put(event)
        self.settle_soon()

    def settle_soon(self) -> None:
        """What has changed is in the cache, and cursors under way, within SETTLING_TIME."""
        if self._settling is None and self._opened and not self.closed:
            self._settling = asyncio.get_running_loop().call_later(SETTLING_TIME, self._settle)

    def _settle(self) -> None:
        # Cursors go out after what they stand for is in the cache.
        self._settling = None
        self.cache.flush()
        if self.session.connection is not None:
            self._cursors.send()

    def move(self, event: Event, name: str, seq: int) -> None:
        """One's own cursor, DELIVERED or READ: here at once, on the server as soon as possible."""
        if self.roster.own_cursor(name, event, seq):
            self._cursors.move(event, name, seq)
            self.settle_soon()

    def _send_typing(self, name: str, typing: bool) -> None:
        if self.session.connection is not None:
            request = protocol.TypingRequest(name, typing)
            self.session.connection.send(Event.TYPING, msgspec.to_builtins(request))

    # --- what happens ---

    def _on_event(self, name: str, data: Any) -> None:
        try:
            match name:
                case Event.MESSAGE:
                    message = parsed(data, protocol.MessagePayload)
                    user = self.session.login.user
                    conversation = conversation_name(message, user)
                    self.logs.arrived(message_record(message, conversation, user))
                case Event.RECEIPT:
                    self.roster.receipt(parsed(data, protocol.Receipt))
                case Event.TYPING:
                    self.roster.typing(parsed(data, protocol.Typing))
                case Event.PRESENCE:
                    self.roster.presence(parsed(data, protocol.PresencePayload))
                case Event.REMOVED:
                    removed = parsed(data, protocol.Removed)
                    self.logs.removed(removed.with_, removed.seq)
                case Event.ROOM:
                    self.roster.rooms(parsed(data, protocol.RoomListPayload).rooms)
                case _:
                    pass  # events of a newer server
        except RequestRefused as error:
            logger.warning("a %s event is not understood: %s", name, error)

    def _on_online(self) -> None:
        connection = self.session.connection
        assert connection is not None
        self.roster.user = self.logs.user = self.session.login.user
        self.logs.connected()
        self.sync.connected()
        self.outbox.connected(connection, self.session.login.user)

    def _on_offline(self) -> None:
        self.sync.disconnected()
        self.logs.disconnected()
        self.outbox.disconnected()
        self._cursors.disconnected()
        self.typing_notice.clear()
        self.roster.offline()

    def _on_status(self) -> None:
        self.publish(StatusChanged(self.status))

    def on_token(self, token: str) -> None:
        """A new one; empty: the last has ended."""
        try:
            self._on_token(token)
        except Exception:
            # Whoever could not keep it has to log in again the next time; this login goes on.
            logger.exception("on_token has failed")

    def _on_failed(self, message: MessageInfo) -> None:
        self.roster.failed(message)
        self.publish(MessageChanged(message))

    def _on_stored(self, message: MessageInfo) -> None:
        self.logs.arrived(message)

    def _on_guess(self) -> None:
        # Later: the cursor has to be there first, and whoever reads on moves it again.
        if self._recounting is None and not self.closed:
            loop = asyncio.get_running_loop()
            self._recounting = loop.call_later(RECOUNT_TIME, self._recount)

    def _recount(self) -> None:
        self._recounting = None
        self.sync.refresh()

    def _on_stranger(self) -> None:
        self.sync.refresh()

    def _on_another(self, name: str) -> None:
        self.sync.renew(name)

    def _on_same(self, name: str) -> None:
        self._cursors.confirm(name)
        self.settle_soon()

    def _on_told(self, message: MessageInfo) -> None:
        if not self.logs.whole and not message.own:
            self.move(Event.DELIVERED, message.conversation, message.seq)
