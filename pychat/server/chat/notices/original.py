"""Clients of the original protocol: catch-up after login, and delivery that needs proof.

They cannot acknowledge messages. The delivered cursor moves when they have proven receipt, and the
next login continues after it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from msgspec import UNSET

from pychat.protocol import Event, MessagePayload, ProtocolError
from pychat.server.chat.answers import encode
from pychat.server.chat.notices.cursors import CursorWriter
from pychat.server.chat.notices.file_links import FileLinks
from pychat.server.chat.notices.proof import ReceiptProof
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser, Pair
from pychat.server.chat.state.session import ChatSession, EncodeEvent, Packet, Work
from pychat.server.chat.views import message_payload
from pychat.server.store.base import Store, StoreError
from pychat.server.store.records import MessageRecord

log = logging.getLogger(__name__)

PAGE = 200
RETRY_SECONDS = 1.0
MAX_HELD = 200
"""Messages that a connection may hold during its catch-up. More mean that it does not read."""


class OriginalClients:
    """All connections on which a client of the original protocol is logged in."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        cursors: CursorWriter,
        encode_event: EncodeEvent,
        settled: Callable[[], Awaitable[None]],
        links: FileLinks,
    ) -> None:
        """``settled`` returns when all messages that are being stored were delivered."""
        self._store = store
        self._directory = directory
        self._cursors = cursors
        self._encode_event = encode_event
        self._settled = settled
        self._links = links
        self._clients: dict[ChatSession, _OriginalClient] = {}

    def start(self, session: ChatSession, user: OnlineUser) -> None:
        """Begin to send the messages that the user missed. The login must be answered before."""
        client = _OriginalClient(session, user, self._cursors, self._catch_up)
        self._clients[session] = client
        session.original = client
        client.catch_up()

    def stop(self, session: ChatSession) -> None:
        """Forget a connection that has ended or on which somebody else logs in.

        What is not proven by now is sent again at the next login.
        """
        client = self._clients.pop(session, None)
        if client is not None:
            session.original = None
            client.stop()

    def finish(self) -> None:
        """Forget all connections, because the server stops. All proof given so far counts."""
        for session, client in list(self._clients.items()):
            client.proof.finish()
            self.stop(session)

    async def _catch_up(self, client: _OriginalClient) -> None:
        user, sent, proof = client.user, client.sent_up_to, client.proof
        while True:
            client.missed = False
            try:
                if not sent:
                    # Do not send what another connection has proven.
                    await self._cursors.flush()
                page = await self._directory.read_for(user, partial(self._page, user, sent))
            except (StoreError, ProtocolError) as error:
                log.warning("catch-up waits for the store: user=%r: %s", user.id, error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except Exception:
                # Later messages would move the cursor past those that were not sent.
                log.exception("catch-up failed, client disconnected: user=%r", user.id)
                client.session.connection.close()
                return
            if page:
                self._send_page(client, page)
                # At most two pages are unproven.
                await proof.answered()
                proof.ask()
            elif not client.missed:
                break
        client.end_catch_up()

    async def _page(
        self, user: OnlineUser, sent: dict[int, int]
    ) -> list[tuple[Pair, MessagePayload]]:
        page = await self._store.undelivered(user.key, PAGE, sent)
        if page:
            # It can contain messages of a batch that is not delivered yet. What the user wrote in
            # the same batch must be held before the page is sent.
            await self._settled()
        pairs = await self._directory.conversations({m.conversation for m in page})
        senders = await self._directory.users({m.sender for m in page})
        if any(message.file is not None for message in page):
            await self._links.load()
        return [
            (pair, self._payload(user, pair, message, senders))
            for message in page
            if isinstance(pair := pairs.get(message.conversation), Pair)
        ]

    def _payload(
        self,
        user: OnlineUser,
        pair: Pair,
        message: MessageRecord,
        senders: Mapping[int, OnlineUser],
    ) -> MessagePayload:
        payload = message_payload(user, pair, message, senders)
        if message.file is not None and not payload.removed:
            payload.data = self._links.as_text(message.data, message.file, user.key)
            payload.file = UNSET
        return payload

    def _send_page(self, client: _OriginalClient, page: list[tuple[Pair, MessagePayload]]) -> None:
        connection = client.session.connection
        for pair, message in page:
            client.release(pair.key, message.seq)
            client.sent_up_to[pair.key] = message.seq
            # An original client could not show a removed message.
            if not message.removed:
                connection.send(self._encode_event(Event.MESSAGE, encode(message)))
            client.proof.note(pair, message.seq)


class _OriginalClient:
    """One connection: an ``OriginalReceiver``.

    During a catch-up new messages from others are not sent: they are in the store and come with
    a later page. Messages that the user writes on another device are held, because no page has
    them.
    """

    __slots__ = (
        "_catch_up",
        "_catch_up_task",
        "_catching_up",
        "_held",
        "missed",
        "proof",
        "sent_up_to",
        "session",
        "user",
    )

    def __init__(
        self,
        session: ChatSession,
        user: OnlineUser,
        cursors: CursorWriter,
        catch_up: Callable[[_OriginalClient], Work],
    ) -> None:
        """``catch_up`` sends what was missed, then calls ``end_catch_up``."""
        self.session = session
        self.user = user
        self.proof = ReceiptProof(session.connection, user, cursors)
        self._catch_up = catch_up
        self._catch_up_task: asyncio.Task[None] | None = None
        self.missed = False
        """Whether a message was not sent since the last page was requested."""
        self.sent_up_to: dict[int, int] = {}
        """The last seq that was sent, by conversation. A message of a failed write can be in a page
        and be delivered as well, when its sender tries again."""
        self._catching_up = False
        self._held: list[tuple[int, int, Packet]] = []

    def catch_up(self) -> None:
        if self._catching_up:
            self.missed = True
            return
        self._catching_up = True
        self._catch_up_task = asyncio.get_running_loop().create_task(
            self._catch_up(self), name="catch-up of an original client"
        )

    def receive(self, pair: Pair, seq: int, packet: Packet) -> None:
        if self._catching_up:
            self.missed = True
        elif seq > self.sent_up_to.get(pair.key, 0):
            self.sent_up_to[pair.key] = seq
            self.session.connection.send(packet)
            self.proof.sent(pair, seq)

    def echo(self, pair: Pair, seq: int, packet: Packet) -> None:
        if not self._catching_up:
            self.session.connection.send(packet)
        elif len(self._held) < MAX_HELD:
            self._held.append((pair.key, seq, packet))
        else:
            # The connection may be dead. The engine limits only what was passed to it.
            log.warning("slow catch-up, client disconnected: user=%r", self.user.id)
            self._held.clear()
            self.session.connection.close()

    def release(self, conversation: int, before: int) -> None:
        """Send the held messages of a conversation that come before a seq."""
        held, self._held = self._held, []
        for entry in held:
            if entry[0] == conversation and entry[1] < before:
                self.session.connection.send(entry[2])
            else:
                self._held.append(entry)

    def end_catch_up(self) -> None:
        """Send all held messages, and new messages from now on."""
        for _, _, packet in self._held:
            self.session.connection.send(packet)
        self._held.clear()
        self._catching_up = False

    def stop(self) -> None:
        if self._catch_up_task is not None:
            self._catch_up_task.cancel()
        self.proof.drop()
