"""Clients of the original protocol: pushed what they missed, their delivered cursor moved."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

from pychat.protocol import Event, Message
from pychat.server.chat.answers import encode
from pychat.server.chat.connection import EncodeEvent
from pychat.server.chat.cursors import Cursors
from pychat.server.chat.directory import Directory
from pychat.server.chat.entities import Pair, User
from pychat.server.chat.session import Session
from pychat.server.chat.views import to_wire
from pychat.server.store.base import Store, StoreError
from pychat.server.store.records import StoredMessage

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
    """One-to-one messages for them: after the delivered cursor, which moves as they are written
    to the socket."""

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
        # A batch that was being committed when a catch-up ended is in its pages and comes again
        # as a delivery: by connection and conversation, how far the pages went.
        self._sent_up_to: dict[Session, dict[int, int]] = {}

    def send(self, session: Session, user: User, pair: Pair, packet: Any, seq: int) -> None:
        """A message that has just been kept."""
        if session.catch_up is not None:
            session.catch_up.missed = True
            return
        if self._sent_up_to:
            sent = self._sent_up_to.get(session)
            if sent is not None and sent.get(pair.key, 0) >= seq:
                return
        session.connection.send(packet, partial(self._cursors.written, pair, user, seq))

    def start(self, session: Session, user: User) -> None:
        """After the 200 of its login."""
        catch_up = session.catch_up = CatchUp()
        catch_up.task = asyncio.get_running_loop().create_task(
            self._run(session, user, catch_up), name="legacy catch-up"
        )

    def stop(self, session: Session) -> None:
        """The connection is gone, or somebody else logs in on it."""
        if session.catch_up is not None:
            if session.catch_up.task is not None:
                session.catch_up.task.cancel()
            session.catch_up = None
        self._sent_up_to.pop(session, None)

    async def _run(self, session: Session, user: User, catch_up: CatchUp) -> None:
        while True:
            catch_up.missed = False
            try:
                await self._cursors.flush()
                page = await self._store.undelivered(user.key, PAGE)
                outgoing = await self._outgoing(user, page, catch_up)
            except StoreError as error:
                log.warning("%s waits for its messages: %s", user.id, error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except Exception:
                log.exception("%s could not be given what it missed", user.id)
                break
            if outgoing:
                await self._send_page(session, user, catch_up, outgoing)
            elif not catch_up.missed:
                break
        for packet in catch_up.release(None, 0):
            session.connection.send(packet)
        if catch_up.sent_up_to:
            self._sent_up_to[session] = catch_up.sent_up_to
        session.catch_up = None

    async def _outgoing(
        self, user: User, page: list[StoredMessage], catch_up: CatchUp
    ) -> list[tuple[Pair, Message]]:
        pairs = await self._directory.conversations({m.conversation for m in page})
        senders = await self._directory.users({m.sender for m in page})
        return [
            (pair, to_wire(user, pair, message, senders))
            for message in page
            if isinstance(pair := pairs.get(message.conversation), Pair)
            and message.seq > catch_up.sent_up_to.get(pair.key, 0)
        ]

    async def _send_page(
        self, session: Session, user: User, catch_up: CatchUp, page: list[tuple[Pair, Message]]
    ) -> None:
        all_written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for number, (pair, message) in enumerate(page, 1):
            for packet in catch_up.release(pair.key, message.seq):
                session.connection.send(packet)
            catch_up.sent_up_to[pair.key] = message.seq
            last = all_written if number == len(page) else None
            written = partial(self._written, pair, user, message.seq, last)
            if message.removed:
                # Nothing a client of the original protocol could show.
                written()
            else:
                session.connection.send(self._encode_event(Event.MESSAGE, encode(message)), written)
        # Never, if the connection is gone: then `stop` ends this task.
        await all_written

    def _written(
        self, pair: Pair, user: User, seq: int, all_written: asyncio.Future[None] | None
    ) -> None:
        self._cursors.written(pair, user, seq)
        if all_written is not None and not all_written.done():
            all_written.set_result(None)
