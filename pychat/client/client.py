"""ChatClient: the public face of the headless client."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from weakref import WeakSet

import msgspec
from msgspec import structs

from pychat import protocol
from pychat.client.address import normalized_address
from pychat.client.cache import Cache, MemoryCache
from pychat.client.cursors import Cursors
from pychat.client.errors import LoginRefused, RequestRefused, ServerUnreachable
from pychat.client.events import ClientEvent, MessageAdded, MessageChanged, StatusChanged
from pychat.client.models import (
    ConnectionState,
    Conversation,
    Delivery,
    HistoryPage,
    Message,
    Status,
)
from pychat.client.outbox import Outbox
from pychat.client.requests import ServerRequests
from pychat.client.roster import Roster
from pychat.client.session import ANSWER_TIMEOUT, Session
from pychat.client.subscription import Subscription
from pychat.client.sync import Sync
from pychat.client.typingnotice import TypingNotice
from pychat.client.wire import check_refusal, conversation_name, message_record, parsed
from pychat.protocol import Event

if TYPE_CHECKING:
    from pychat.client.connection import Connection

T = TypeVar("T")

logger = logging.getLogger("pychat.client")
logger.addHandler(logging.NullHandler())

SETTLING_TIME: Final = 0.03
"""Seconds for which changes gather before they are written, and cursors sent, in one go."""
CLOSING_TIME: Final = 1.0


class ChatClient(ServerRequests):
    """One user's connection to a chat server: it comes back by itself, fetches what it missed, and
    sends again what was not answered.

    ``server``: "127.0.0.1:3000", "http://…" or "https://…". ``password`` claims the id or logs in;
    ``token`` (of an earlier login, see ``on_token``) comes first where both are given. ``cache``: a
    file for conversations, messages, outbox and drafts (one process at a time); None keeps them in
    memory. All methods belong to the event loop's thread.
    """

    def __init__(
        self,
        server: str,
        *,
        user: str,
        password: str | None = None,
        token: str | None = None,
        alias: str = "",
        cache: Path | str | None = None,
        on_token: Callable[[str], None] | None = None,
    ) -> None:
        """Raises InvalidAddress. ``on_token`` is called with each new token: keep it secret."""
        self._on_token = on_token
        self._subscriptions: WeakSet[Subscription] = WeakSet()
        self._cache = _cache_at(cache)
        self._settling: asyncio.TimerHandle | None = None
        self._opened = self._closed = False
        self._session = Session(
            normalized_address(server),
            user=user,
            alias=alias,
            password=password,
            token=token,
            on_event=self._on_event,
            on_online=self._on_online,
            on_offline=self._on_offline,
            on_status=self._on_status,
            on_token=self._on_new_token,
        )
        self._outbox = Outbox(
            self._cache,
            on_stored=self._on_stored,
            on_failed=self._on_failed,
            on_count=self._on_status,
        )
        self._roster = Roster(self._cache, self._publish)
        self._cursors = Cursors(self._request)
        self._sync = Sync(
            cache=self._cache,
            roster=self._roster,
            outbox=self._outbox,
            request=self._request,
            publish=self._publish,
            on_told=self._on_told,
            on_behind=self._cursors.move,
        )
        self._typing_notice = TypingNotice(self._send_typing)

    @property
    def server(self) -> str:
        """The normalised address, e.g. "http://127.0.0.1:3000"."""
        return self._session.address

    @property
    def user(self) -> str:
        """The login id, as the server writes it once logged in."""
        return self._session.user

    @property
    def alias(self) -> str:
        """The name shown beside the id."""
        return self._session.alias

    @property
    def token(self) -> str | None:
        """Logs in again without the password; None before the first login, and when refused."""
        return self._session.token

    # --- life ---

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Logs in, and returns once the conversations are known; comes back by itself from then on.

        The delivered cursor is the caller's: ``messages`` moves it, or ``mark_delivered`` does.
        Raises LoginRefused, ServerUnreachable, CacheUnusable; the client is closed then.
        """
        if self._session.token is None and self._session.password is None:
            self._session.password = ""  # enough where the accounts are open
        self._open()
        try:
            self._session.start()
            await self._session.outcome()
            await self._sync.loaded.wait()
        except BaseException:
            await self.close()
            raise

    def start(self) -> None:
        """Returns at once and works in the background; all that happens is told by ``events``.

        What is in the cache is known when this returns. Messages are marked delivered as they
        arrive. With neither password nor token the state is REFUSED until ``login``. Raises
        CacheUnusable.
        """
        self._sync.whole = False
        self._open()
        self._sync.tell()
        self._session.start()

    def _open(self) -> None:
        if self._opened:
            return
        self._cache.open(self.server, self.user)
        self._opened = True
        self._outbox.load()
        self._roster.load(self.user, self._outbox.entries())
        self._sync.load(self.user)

    async def login(self, password: str) -> None:
        """Tries (again) with this password, which is not kept; returns once logged in.

        Raises LoginRefused, ServerUnreachable (it goes on trying then, with this password).
        """
        self._session.offer(password)
        await self._session.outcome()

    async def logout(self) -> None:
        """The token ends, here and on the server; the state is REFUSED then."""
        await self._request(Event.LOGOUT, protocol.LogoutRequest(), protocol.Answer)
        self._session.forget_credentials("logged out")

    async def close(self) -> None:
        """Ends the connection and all iterators. The outbox stays in the cache file."""
        if self._closed:
            return
        self._closed = True
        if self._session.connection is not None:
            self._settle()
            sending = self._cursors.send()
            if sending is not None:
                await asyncio.wait((sending,), timeout=CLOSING_TIME)
        await self._session.close()
        self._outbox.close()
        self._roster.close()
        if self._settling is not None:
            self._settling.cancel()
        if self._opened:
            self._cache.close()
        for subscription in self._subscriptions:
            subscription.close()

    @property
    def status(self) -> Status:
        """Where the client stands now."""
        return structs.replace(self._session.status, waiting=self._outbox.waiting)

    def events(self) -> Subscription:
        """All that changes, from this call on, each iterator with a queue of its own."""
        subscription = Subscription()
        if self._closed:
            subscription.close()
        self._subscriptions.add(subscription)
        self._sync.tell()
        return subscription

    # --- conversations and messages ---

    @property
    def conversations(self) -> list[Conversation]:
        """What is known now, newest first."""
        return self._roster.newest_first()

    def conversation(self, name: str) -> Conversation | None:
        """The one with this name, if it is known."""
        return self._roster.get(name)

    def cached_messages(self, name: str, limit: int = 500) -> list[Message]:
        """The newest that are known without asking, oldest first, without a gap; then the outbox.

        Reaches as far back as was fetched: ``history`` with ``before`` goes on from there.
        """
        stored = self._cache.messages(name, limit=limit)
        return [self._roster.decorated(each) for each in stored] + self._outbox.entries(name)

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
        try:
            page = await self._history_page(protocol.HistoryRequest(name, before, after, limit))
        except ServerUnreachable:
            page = self._cached_page(name, before, after, limit)
            if not page.messages:
                raise
        else:
            self._keep(name, page.messages)
        page.messages = [self._roster.decorated(each) for each in page.messages]
        return page

    def _cached_page(
        self, name: str, before: int | None, after: int | None, limit: int
    ) -> HistoryPage:
        if after is not None:
            rest = self._cache.messages_after(name, after) or []
            return HistoryPage(rest[:limit], len(rest) > limit)
        kept = self._cache.messages(name, before=before, limit=limit)
        known = self._roster.get(name)
        first_seq = known.first_seq if known else 1
        return HistoryPage(kept, bool(kept) and kept[0].seq > first_seq)

    def _keep(self, name: str, page: list[Message]) -> None:
        """In the cache, if that leaves no gap in it."""
        told = self._sync.told(name)
        oldest = self._cache.oldest_seq(name)
        page = [each for each in page if each.seq <= told]
        if page and page[-1].seq >= (told if oldest is None else oldest - 1):
            self._cache.save_messages(name, page)
            self._settle_soon()

    async def messages(self) -> AsyncIterator[Message]:
        """What others write, each message once and in order, from the delivered cursor on.

        The cursor moves when the next message is asked for: a message whose handling did not end
        comes again after the next start.
        """
        subscription = self.events()
        # Others may have been told more already than the cursor says.
        for conversation in self.conversations if self._sync.whole else []:
            name, seq = conversation.name, conversation.delivered_seq
            told = self._sync.told(name)
            while seq < told:
                page = await self.history(name, after=seq, limit=protocol.MAX_LIMIT)
                seq = page.messages[-1].seq if page.messages else told
                for message in page.messages:
                    if message.seq <= told and not message.own and not message.removed:
                        yield message
                        self._move(Event.DELIVERED, name, message.seq)
        async for event in subscription:
            if isinstance(event, MessageAdded):
                message = event.message
                if not message.own and not message.removed:
                    yield message
                    self._move(Event.DELIVERED, message.conversation, message.seq)

    async def send(self, to: str, text: str) -> Message:
        """Returns once the server has stored it, with its id and seq; waits while offline.

        Raises RequestRefused. If this call is cancelled, the message is not sent again, but it may
        have been stored.
        """
        client_id = self.post(to, text).client_id
        try:
            return await self._outbox.stored(client_id)
        except (asyncio.CancelledError, RequestRefused):
            if not self._closed:
                self.discard(client_id)
            raise

    def post(self, to: str, text: str) -> Message:
        """Into the outbox, and returns at once: told as ``MessageAdded`` now, and as
        ``MessageChanged`` when it is sent or refused. Raises RequestRefused for what may not be
        sent at all (empty, too long, not a conversation's name).
        """
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        try:
            _check_conversation_name(to)
            protocol.check_data(text)
        except protocol.ProtocolError as error:
            raise RequestRefused(error.code, str(error)) from None
        message = Message(
            conversation=to,
            sender=self.user,
            text=text,
            client_id=str(uuid.uuid4()),
            sent_at=time.time(),
            own=True,
            delivery=Delivery.SENDING,
        )
        self._typing_notice.end(to)
        self._outbox.add(message)
        self._sync.posted(message)
        self._roster.posted(message)
        return message

    def retry(self, client_id: str) -> None:
        """Sends a FAILED message again, at the end of the outbox."""
        message = self._outbox.retry(client_id)
        if message is not None:
            self._roster.posted(message)
            self._publish(MessageChanged(message))

    def discard(self, client_id: str) -> None:
        """Takes a message out of the outbox: told as ``MessageChanged``, removed."""
        message = self._outbox.discard(client_id)
        if message is None:
            return
        self._sync.withdrawn(message)
        rest = self.cached_messages(message.conversation, limit=1)
        self._roster.unposted(message, rest[-1] if rest else None)
        self._publish(MessageChanged(structs.replace(message, removed=True)))

    async def mark_delivered(self, name: str, seq: int) -> None:
        """Moves one's delivered cursor forward to seq. Kept and sent later while offline.

        Raises RequestRefused for an unknown conversation or a seq beyond its last.
        """
        self._check_cursor(name, seq)
        self._move(Event.DELIVERED, name, seq)

    async def mark_read(self, name: str, seq: int) -> None:
        """Moves one's read cursor forward to seq, and the delivered one along."""
        self._check_cursor(name, seq)
        self._move(Event.READ, name, seq)

    def _check_cursor(self, name: str, seq: int) -> None:
        known = self._roster.get(name)
        if known is None:
            raise RequestRefused(protocol.Code.NOT_FOUND, f"there is no conversation {name}")
        if seq > known.last_seq:
            raise RequestRefused(
                protocol.Code.MALFORMED, f"seq: {name} has {known.last_seq} messages, not {seq}"
            )

    def _move(self, event: Event, name: str, seq: int) -> None:
        if self._roster.own_cursor(name, event, seq):
            self._cursors.move(event, name, seq)
            self._settle_soon()

    def typing(self, to: str, typing: bool) -> None:
        """Call it at every key: it is sent every 3 s at most, and stops by itself after 5 s."""
        if self._session.connection is not None:
            self._typing_notice.set(to, typing)

    def _send_typing(self, name: str, typing: bool) -> None:
        if self._session.connection is not None:
            request = protocol.TypingRequest(name, typing)
            self._session.connection.send(Event.TYPING, msgspec.to_builtins(request))

    def draft(self, name: str) -> str:
        """What was typed in this conversation and not sent."""
        return self._cache.draft(name)

    def set_draft(self, name: str, text: str) -> None:
        """Keeps it, across restarts where there is a cache file."""
        self._cache.save_draft(name, text)
        self._settle_soon()

    # --- requests ---

    async def _request(self, event: Event, payload: msgspec.Struct, answer: type[T]) -> T:
        connection = await self._ready()
        try:
            reply = await connection.request(event, msgspec.to_builtins(payload), ANSWER_TIMEOUT)
        except TimeoutError:
            reason = f"the server has not answered for {ANSWER_TIMEOUT:.0f} seconds"
            if time.monotonic() - connection.last_received >= ANSWER_TIMEOUT:
                connection.abort(reason)
            raise ServerUnreachable(reason) from None
        check_refusal(reply)
        return parsed(reply, answer)

    async def _ready(self) -> Connection:
        """The connection, waited for while the first one is being made."""
        if self._session.status.state is ConnectionState.CONNECTING:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    await self._session.outcome()
        if self._session.connection is not None:
            return self._session.connection
        status = self._session.status
        if status.state is ConnectionState.REFUSED:
            raise LoginRefused(protocol.Code.UNAUTHORIZED, status.reason)
        raise ServerUnreachable(status.reason or "not connected")

    async def _joined(self) -> None:
        await self._sync.refreshed()

    def _left(self, name: str) -> None:
        self._roster.left(name)

    # --- what happens ---

    def _on_event(self, name: str, data: Any) -> None:
        try:
            match name:
                case Event.MESSAGE:
                    message = parsed(data, protocol.Message)
                    conversation = conversation_name(message, self.user)
                    self._sync.arrived(message_record(message, conversation, self.user))
                case Event.RECEIPT:
                    self._roster.receipt(parsed(data, protocol.Receipt))
                case Event.TYPING:
                    self._roster.typing(parsed(data, protocol.Typing))
                case Event.PRESENCE:
                    self._roster.presence(parsed(data, protocol.Presence))
                case Event.REMOVED:
                    removed = parsed(data, protocol.Removed)
                    self._sync.removed(removed.with_, removed.seq)
                case Event.ROOM:
                    self._roster.rooms(parsed(data, protocol.RoomList).rooms)
                case _:
                    pass  # events of a newer server
        except RequestRefused as error:
            logger.warning("a %s event is not understood: %s", name, error)

    def _on_online(self) -> None:
        connection = self._session.connection
        assert connection is not None
        self._roster.user = self._sync.user = self.user
        self._sync.connected()
        self._outbox.connected(connection)
        self._cursors.send()

    def _on_offline(self) -> None:
        self._sync.disconnected()
        self._outbox.disconnected()
        self._cursors.disconnected()
        self._typing_notice.clear()
        self._roster.offline()

    def _on_status(self) -> None:
        self._publish(StatusChanged(self.status))

    def _on_new_token(self, token: str) -> None:
        if self._on_token is not None:
            self._on_token(token)

    def _on_stored(self, message: Message) -> None:
        self._sync.arrived(message)

    def _on_failed(self, message: Message) -> None:
        self._roster.failed(message)
        self._publish(MessageChanged(message))

    def _on_told(self, message: Message) -> None:
        if not self._sync.whole and not message.own:
            self._move(Event.DELIVERED, message.conversation, message.seq)

    def _publish(self, event: ClientEvent) -> None:
        for subscription in self._subscriptions:
            subscription.put(event)
        self._settle_soon()

    def _settle_soon(self) -> None:
        if self._settling is None and self._opened and not self._closed:
            self._settling = asyncio.get_running_loop().call_later(SETTLING_TIME, self._settle)

    def _settle(self) -> None:
        """Cursors go out after what they stand for is in the cache."""
        self._settling = None
        self._cache.flush()
        if self._session.connection is not None:
            self._cursors.send()


def _cache_at(path: Path | str | None) -> Cache:
    if path is None:
        return MemoryCache()
    from pychat.client.sqlitecache import SQLiteCache  # with the database, only where it is used

    return SQLiteCache(path)


def _check_conversation_name(name: str) -> None:
    if name == protocol.EVERYONE:
        return
    if name.startswith(protocol.ROOM_PREFIX):
        protocol.check_id(name[1:], "room")
    else:
        protocol.check_id(name, "recepient")
