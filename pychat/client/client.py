"""ChatClient: the public face of the headless client."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec
from msgspec import structs

from pychat import protocol
from pychat.client.address import normalized_address
from pychat.client.core import Core
from pychat.client.errors import RequestRefused, ServerUnreachable
from pychat.client.events import MessageAdded, MessageChanged
from pychat.client.models import Conversation, Delivery, HistoryPage, Message, Status
from pychat.client.requests import ServerRequests
from pychat.client.subscription import Subscription
from pychat.protocol import Event

T = TypeVar("T")


class ChatClient(ServerRequests):
    """One user's connection to a chat server: it comes back by itself, fetches what it missed, and
    sends again what was not answered.

    ``server``: "127.0.0.1:3000", "http://…" or "https://…". ``password`` claims the id or logs in;
    ``token`` (of an earlier login, see ``on_token``) comes first where both are given; it may be a
    function that finds it, which is called in a thread. ``cache``: a file for conversations,
    messages, outbox and drafts (one process at a time); None keeps them in memory. All methods
    belong to the event loop's thread.
    """

    def __init__(
        self,
        server: str,
        *,
        user: str,
        password: str | None = None,
        token: str | Callable[[], str | None] | None = None,
        alias: str = "",
        cache: Path | str | None = None,
        on_token: Callable[[str], None] | None = None,
    ) -> None:
        """Raises InvalidAddress. ``on_token`` is called with each new token: keep it secret; and
        with an empty one when it has ended with ``logout``."""
        self._core = Core(
            normalized_address(server),
            user=user,
            alias=alias,
            password=password,
            token=token,
            cache=cache,
            on_token=on_token or (lambda _token: None),
        )
        self.cache_in_use = False
        """Another process has the cache file: this client keeps its drafts, outbox and messages in
        memory, and they end with it."""

    @property
    def server(self) -> str:
        """The normalised address, e.g. "http://127.0.0.1:3000"."""
        return self._core.session.address

    @property
    def user(self) -> str:
        """The login id, as the server writes it once logged in."""
        return self._core.session.user

    @property
    def alias(self) -> str:
        """The name shown beside the id."""
        return self._core.session.alias

    @property
    def token(self) -> str | None:
        """Logs in again without the password; None before the first login, and when refused."""
        return self._core.session.token

    @property
    def said(self) -> str:
        """The server's words at the last login: "logged in", or that the id was claimed."""
        return self._core.session.said

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
        if not self._core.session.has_secret:
            self._core.session.password = ""  # enough where the accounts are open
        self._core.open()
        try:
            self._core.session.start()
            await self._core.session.outcome()
            await self._core.sync.loaded.wait()
        except BaseException:
            await self.close()
            raise

    def start(self) -> None:
        """Returns at once and works in the background; all that happens is told by ``events``.

        What is in the cache is known when this returns. Messages are marked delivered as they
        arrive. With neither password nor token the state is REFUSED until ``login``. A cache file
        that another process has open is left to it, see ``cache_in_use``. Raises CacheUnusable.
        """
        self.cache_in_use = self._core.open_beside() or self.cache_in_use
        self._core.logs.whole = False
        self._core.logs.tell()
        self._core.session.start()

    async def login(self, password: str) -> str:
        """Tries (again) with this password, which is not kept; returns once logged in, with what
        the server says: "logged in", or that the id was claimed. Starts the client if it was not
        started.

        Raises LoginRefused, ServerUnreachable (it goes on trying then, with this password).
        """
        if not self._core.session.started:
            self.start()
        self._core.session.offer(password)
        await self._core.session.outcome()
        return self._core.session.said

    async def logout(self) -> None:
        """The token ends, here and on the server; the state is REFUSED then."""
        await self._request(Event.LOGOUT, protocol.LogoutRequest(), protocol.Answer)
        self._core.session.forget_credentials("logged out")
        self._core.on_token("")

    async def close(self) -> None:
        """Ends the connection and all iterators. The outbox stays in the cache file."""
        await self._core.close()

    @property
    def status(self) -> Status:
        """Where the client stands now."""
        return self._core.status

    def events(self) -> Subscription:
        """All that changes, from this call on, each iterator with a queue of its own."""
        return self._core.subscribe()

    # --- conversations and messages ---

    @property
    def conversations(self) -> list[Conversation]:
        """What is known now, newest first."""
        return self._core.roster.newest_first()

    def conversation(self, name: str) -> Conversation | None:
        """The one with this name, if it is known."""
        return self._core.roster.get(name)

    def cached_messages(self, name: str, limit: int = 500) -> list[Message]:
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
        try:
            page = await self._history_page(protocol.HistoryRequest(name, before, after, limit))
        except ServerUnreachable:
            page = self._cached_page(name, before, after, limit)
            if not page.messages:
                raise
        else:
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

    def _keep(self, name: str, page: list[Message]) -> None:
        """In the cache, if that leaves no gap in it."""
        told = self._core.logs.told(name)
        oldest = self._core.cache.oldest_seq(name)
        page = [each for each in page if each.seq <= told]
        if page and page[-1].seq >= (told if oldest is None else oldest - 1):
            self._core.cache.save_messages(name, page)
            self._core.settle_soon()

    async def messages(self) -> AsyncIterator[Message]:
        """What others write, each message once and in order, from the delivered cursor on.

        The cursor moves when the next message is asked for: a message whose handling did not end
        comes again after the next start.
        """
        subscription = self.events()
        # Others may have been told more already than the cursor says.
        for conversation in self.conversations if self._core.logs.whole else []:
            name, seq = conversation.name, conversation.delivered_seq
            told = self._core.logs.told(name)
            while seq < told:
                page = await self.history(name, after=seq, limit=protocol.MAX_LIMIT)
                seq = page.messages[-1].seq if page.messages else told
                for message in page.messages:
                    if message.seq <= told and not message.own and not message.removed:
                        yield message
                        self._core.move(Event.DELIVERED, name, message.seq)
        async for event in subscription:
            if isinstance(event, MessageAdded):
                message = event.message
                if not message.own and not message.removed:
                    yield message
                    self._core.move(Event.DELIVERED, message.conversation, message.seq)

    async def send(self, to: str, text: str) -> Message:
        """Returns once the server has stored it, with its id and seq; waits while offline.

        Raises RequestRefused. If this call is cancelled, the message is not sent again, but it may
        have been stored.
        """
        client_id = self.post(to, text).client_id
        try:
            return await self._core.outbox.stored(client_id)
        except (asyncio.CancelledError, RequestRefused):
            if not self._core.closed:
                self.discard(client_id)
            raise

    def post(self, to: str, text: str) -> Message:
        """Into the outbox, and returns at once: told as ``MessageAdded`` now, and as
        ``MessageChanged`` when it is sent or refused. Raises RequestRefused for what may not be
        sent at all (empty, too long, not a conversation's name).
        """
        self._core.check_not_closed()
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        try:
            _check_conversation_name(to)
            protocol.check_data(text)
        except protocol.ProtocolError as error:
            raise RequestRefused(error.code, str(error)) from None
        to = self._core.roster.known_name(to)
        message = Message(
            conversation=to,
            sender=self.user,
            text=text,
            client_id=str(uuid.uuid4()),
            sent_at=time.time(),
            own=True,
            delivery=Delivery.SENDING,
        )
        self._core.typing_notice.end(to)
        self._core.outbox.add(message)
        self._core.logs.posted(message)
        self._core.roster.posted(message)
        return message

    def retry(self, client_id: str) -> None:
        """Sends a FAILED message again, at the end of the outbox."""
        message = self._core.outbox.retry(client_id)
        if message is not None:
            self._core.roster.posted(message)
            self._core.publish(MessageChanged(message))

    def discard(self, client_id: str) -> None:
        """Takes a message out of the outbox: told as ``MessageChanged``, removed."""
        message = self._core.outbox.discard(client_id)
        if message is None:
            return
        self._core.logs.withdrawn(message)
        rest = self.cached_messages(message.conversation, limit=1)
        self._core.roster.unposted(message, rest[-1] if rest else None)
        self._core.publish(MessageChanged(structs.replace(message, removed=True)))

    async def mark_delivered(self, name: str, seq: int) -> None:
        """Moves one's delivered cursor forward to seq. Kept and sent later while offline.

        Raises RequestRefused for an unknown conversation or a seq beyond its last.
        """
        self._check_cursor(name, seq)
        self._core.move(Event.DELIVERED, name, seq)

    async def mark_read(self, name: str, seq: int) -> None:
        """Moves one's read cursor forward to seq, and the delivered one along."""
        self._check_cursor(name, seq)
        self._core.move(Event.READ, name, seq)

    def _check_cursor(self, name: str, seq: int) -> None:
        known = self._core.roster.get(name)
        if known is None:
            raise RequestRefused(protocol.Code.NOT_FOUND, f"there is no conversation {name}")
        if seq > known.last_seq:
            raise RequestRefused(
                protocol.Code.MALFORMED, f"seq: {name} has {known.last_seq} messages, not {seq}"
            )

    def typing(self, to: str, typing: bool) -> None:
        """Call it at every key: it is sent every 3 s at most, and stops by itself after 5 s."""
        if self._core.session.connection is not None:
            self._core.typing_notice.set(to, typing)

    def draft(self, name: str) -> str:
        """What was typed in this conversation and not sent."""
        return self._core.cache.draft(name)

    def set_draft(self, name: str, text: str) -> None:
        """Keeps it, across restarts where there is a cache file."""
        self._core.cache.save_draft(name, text)
        self._core.settle_soon()

    # --- requests ---

    async def _request(self, event: Event, payload: msgspec.Struct, answer: type[T]) -> T:
        return await self._core.request(event, payload, answer)

    async def _joined(self) -> None:
        await self._core.sync.refreshed()

    async def _hidden_or_shown(self, id: str) -> None:
        if self._core.logs.whole:
            await self._core.sync.refreshed()  # nothing is told twice to ``messages``
        else:
            shared = (
                each.name
                for each in self.conversations
                if each.name == protocol.EVERYONE or each.name.startswith(protocol.ROOM_PREFIX)
            )
            await self._core.sync.read_anew([self._core.roster.known_name(id), *shared])

    def _left(self, name: str) -> None:
        self._core.roster.left(name)


def _check_conversation_name(name: str) -> None:
    if name == protocol.EVERYONE:
        return
    if name.startswith(protocol.ROOM_PREFIX):
        protocol.check_id(name[1:], "room")
    else:
        protocol.check_id(name, "recepient")
