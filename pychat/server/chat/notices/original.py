"""Clients of the original protocol: sent what they missed, delivered cursors moved on proof."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

from pychat.protocol import Event, MessagePayload
from pychat.server.chat.answers import encode
from pychat.server.chat.connection import EncodeEvent
from pychat.server.chat.notices.cursors import Cursors
from pychat.server.chat.notices.proof import Unproven
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser, Pair
from pychat.server.chat.state.session import ChatSession
from pychat.server.chat.views import to_wire
from pychat.server.store.base import Store, StoreError

log = logging.getLogger(__name__)

PAGE = 200
RETRY_SECONDS = 1.0


class CatchUp:
    """What a connection that is still catching up must not lose. What others send it meanwhile is
    in the store and comes with a later page; its own user's messages from elsewhere wait here."""

    __slots__ = ("held", "missed", "sent_up_to", "task")

    def __init__(self) -> None:
        self.missed = False
        self.held: list[tuple[int, int, Any]] = []
        self.sent_up_to: dict[int, int] = {}
        self.task: asyncio.Task[None] | None = None

    def hold(self, conversation: int, seq: int, packet: Any) -> None:
        self.held.append((conversation, seq, packet))

    def release(self, conversation: int | None, before: int) -> list[Any]:
        """What was held of that conversation before a seq; of all of them with None."""
        free = [
            h for h in self.held if conversation is None or (h[0] == conversation and h[1] < before)
        ]
        self.held = [h for h in self.held if h not in free]
        return [packet for _, _, packet in free]


class Legacy:
    """One-to-one messages for them: after the delivered cursor, which moves when they have shown
    that they received them."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        cursors: Cursors,
        encode_event: EncodeEvent,
    ) -> None:
        self._store = store
        self._directory = directory
        self._cursors = cursors
        self._encode_event = encode_event
        self._unproven: dict[ChatSession, Unproven] = {}
        # A batch that was being committed when a catch-up ended is in its pages and comes again
        # as a delivery: by connection and conversation, how far the pages went.
        self._sent_up_to: dict[ChatSession, dict[int, int]] = {}

    def send(self, session: ChatSession, pair: Pair, packet: Any, seq: int) -> None:
        """Send a message that has just been stored."""
        if session.catch_up is not None:
            session.catch_up.missed = True
            return
        if self._sent_up_to:
            sent = self._sent_up_to.get(session)
            if sent is not None and sent.get(pair.key, 0) >= seq:
                return
        session.connection.send(packet)
        self._unproven[session].add(pair, seq)

    def start(self, session: ChatSession, user: OnlineUser) -> None:
        """After the 200 of its login."""
        unproven = Unproven(session.connection, user, self._cursors)
        self._unproven[session] = unproven
        catch_up = session.catch_up = CatchUp()
        catch_up.task = asyncio.get_running_loop().create_task(
            self._run(session, user, catch_up, unproven), name="legacy catch-up"
        )

    def stop(self, session: ChatSession) -> None:
        """The connection is gone, or somebody else logs in on it: what is not proven now is sent
        again at the next login."""
        if session.catch_up is not None:
            if session.catch_up.task is not None:
                session.catch_up.task.cancel()
            session.catch_up = None
        self._sent_up_to.pop(session, None)
        unproven = self._unproven.pop(session, None)
        if unproven is not None:
            unproven.drop()

    def finish(self) -> None:
        """The server ends the connections: what their clients have shown to have received counts,
        however short ago."""
        for session, unproven in list(self._unproven.items()):
            unproven.finish()
            self.stop(session)

    def wrote_to_oneself(
        self, session: ChatSession, user: OnlineUser, pair: Pair, seq: int
    ) -> None:
        """A client of protocol 1 did: it has the message, so no other one has missed it."""
        self._cursors.proven(pair, user, seq, session)

    async def _run(
        self, session: ChatSession, user: OnlineUser, catch_up: CatchUp, unproven: Unproven
    ) -> None:
        sent = catch_up.sent_up_to
        while True:
            catch_up.missed = False
            try:
                if not sent:
                    # What another connection has proven is not sent again.
                    await self._cursors.flush()
                page = partial(self._page, user, sent)
                outgoing = await self._directory.read_for(user, page)
            except StoreError as error:
                log.warning("%s waits for its messages: %s", user.id, error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except Exception:
                # Messages sent from here on would move the cursor past those that were not.
                log.exception("%s could not be given what it missed", user.id)
                session.connection.close()
                return
            if outgoing:
                self._send_page(session, catch_up, unproven, outgoing)
                # At most two pages are under way.
                await unproven.asked()
                unproven.ask()
            elif not catch_up.missed:
                break
        for packet in catch_up.release(None, 0):
            session.connection.send(packet)
        if sent:
            self._sent_up_to[session] = sent
        session.catch_up = None

    async def _page(
        self, user: OnlineUser, sent: dict[int, int]
    ) -> list[tuple[Pair, MessagePayload]]:
        page = await self._store.undelivered(user.key, PAGE, sent)
        pairs = await self._directory.conversations({m.conversation for m in page})
        senders = await self._directory.users({m.sender for m in page})
        return [
            (pair, to_wire(user, pair, message, senders))
            for message in page
            if isinstance(pair := pairs.get(message.conversation), Pair)
        ]

    def _send_page(
        self,
        session: ChatSession,
        catch_up: CatchUp,
        unproven: Unproven,
        page: list[tuple[Pair, MessagePayload]],
    ) -> None:
        for pair, message in page:
            for packet in catch_up.release(pair.key, message.seq):
                session.connection.send(packet)
            catch_up.sent_up_to[pair.key] = message.seq
            # A client of the original protocol could not show a removed one.
            if not message.removed:
                session.connection.send(self._encode_event(Event.MESSAGE, encode(message)))
            unproven.note(pair, message.seq)
