"""Chat: the table from events to what handles them, in the order they came in."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from time import monotonic
from typing import Any

from pychat.protocol import Code, Event, ProtocolError
from pychat.server.chat.accounts.authentication import Accounts, AccountsMode
from pychat.server.chat.accounts.changes import AccountChanges
from pychat.server.chat.accounts.watch import AccountWatch
from pychat.server.chat.answers import MAX_EVENT_NAME_SHOWN, Answers
from pychat.server.chat.connection import ChatConnection, EncodeEvent
from pychat.server.chat.delivery import Delivery
from pychat.server.chat.events.block import Blocks
from pychat.server.chat.events.conversations import Conversations
from pychat.server.chat.events.history import History
from pychat.server.chat.events.login import Logins
from pychat.server.chat.events.message import Messages
from pychat.server.chat.events.remove import Removal
from pychat.server.chat.events.room import Rooms
from pychat.server.chat.events.typing import TypingRelay
from pychat.server.chat.events.users import Users
from pychat.server.chat.limits import Limiter, Limits
from pychat.server.chat.notices.cursors import Cursors
from pychat.server.chat.notices.original import Legacy
from pychat.server.chat.notices.presence import Presence
from pychat.server.chat.notices.receipts import Receipts
from pychat.server.chat.notices.room_list import RoomList
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.reach import LocalDelivery
from pychat.server.chat.state.relations import Relations
from pychat.server.chat.state.session import ChatSession
from pychat.server.store.base import Store, StoreError

log = logging.getLogger(__name__)

FINISH_SECONDS = 2.0
SAY_AGAIN_SECONDS = 60.0
READS_MESSAGES = frozenset({Event.CONVERSATIONS.value, Event.HISTORY.value, Event.SEARCH.value})
"""What a connection has sent before it asks for these must be in the answer."""

Work = Coroutine[Any, Any, None]
Handler = Callable[[ChatSession, bytes, int | None], Work | None]
"""Raises ProtocolError to refuse. What cannot be done at once is handed back as a coroutine; the
connection's later events wait for it."""


class Chat:
    """What the engine calls: ``connected``, ``event`` and ``disconnected``, all synchronous.

    The store must be open before ``start`` and stay so until ``stop`` has returned. ``limits``
    None turns the rates off; sizes stay. ``admins`` may remove messages.
    """

    def __init__(
        self,
        store: Store,
        *,
        encode_event: EncodeEvent,
        accounts: AccountsMode = "claim",
        limits: Limits | None = None,
        admins: Iterable[str] = (),
    ) -> None:
        limiter = Limiter(limits)
        answers = self._answers = Answers(encode_event)
        reach = self._reach = LocalDelivery()
        relations = Relations(store, reach)
        directory = self._directory = Directory(store, relations)
        self._presence = Presence(directory, reach, encode_event)
        receipts = Receipts(directory, reach, encode_event)
        cursors = self._cursors = Cursors(store, directory, receipts, limiter, answers)
        legacy = self._legacy = Legacy(store, directory, cursors, encode_event)
        self._delivery = Delivery(
            store, reach, legacy, answers, encode_event, self._presence.pair_opened
        )
        changes = AccountChanges(store)
        admins = tuple(admins)
        self._accounts = Accounts(store, changes, accounts, limiter, reserved=admins)
        logins = self._logins = Logins(
            store,
            changes,
            self._accounts,
            directory,
            relations,
            reach,
            self._presence,
            legacy,
            limiter,
            answers,
        )
        list_of_rooms = self._list_of_rooms = RoomList(directory, reach, encode_event)
        rooms = self._rooms = Rooms(
            store, directory, list_of_rooms, self._delivery, limiter, answers, encode_event
        )
        blocks = Blocks(relations, cursors, directory, self._presence, limiter, answers)
        conversations = Conversations(store, directory, reach, cursors, limiter, answers)
        history = History(store, directory, limiter, answers)
        messages = Messages(
            directory, self._delivery, limiter, logins.by_message if accounts == "open" else None
        )
        removal = Removal(
            store, directory, self._delivery, reach, limiter, answers, encode_event, admins
        )
        typing = TypingRelay(directory, reach, limiter, answers, encode_event)
        self._watch = AccountWatch(store, changes, reach, logins)
        self._handlers: dict[str, Handler] = {
            Event.LOGIN.value: logins.login,
            Event.LOGOUT.value: logins.logout,
            Event.SESSIONS.value: logins.sessions,
            Event.MESSAGE.value: messages.message,
            Event.ROOM.value: rooms.room,
            Event.CONVERSATIONS.value: conversations.conversations,
            Event.HISTORY.value: history.history,
            Event.SEARCH.value: history.search,
            Event.DELIVERED.value: cursors.delivered,
            Event.READ.value: cursors.read,
            Event.TYPING.value: typing.typing,
            Event.USERS.value: Users(store, directory, reach, limiter, answers).users,
            Event.BLOCK.value: blocks.block,
            Event.UNBLOCK.value: blocks.unblock,
            Event.REMOVE.value: removal.remove,
        }
        self._stopping = False
        self._failing, self._failing_since = "", 0.0
        self._too_fast = 0
        self._failures = 0
        self.failed: asyncio.Future[BaseException]
        """Done, from ``start`` on, once the chat cannot go on: why. The server is to stop then."""
        self._ended_early = False
        self._background: list[asyncio.Task[None]] = []
        self._working: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises StoreError."""
        await self._directory.load()
        loop = asyncio.get_running_loop()
        self._background = [
            loop.create_task(self._delivery.run(), name="delivery"),
            loop.create_task(self._watch.run(), name="account watch"),
        ]
        self.failed = loop.create_future()
        for task in self._background:
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that is to run until the chat stops."""
        if task.cancelled() or self._ended_early:
            return
        self._ended_early = True
        error = task.exception() or RuntimeError(f"{task.get_name()} has ended")
        if not isinstance(error, StoreError):
            log.error("%s has ended", task.get_name(), exc_info=error)
        self.failed.set_result(error)

    async def stop(self) -> None:
        """What came in is kept, delivered and answered; what comes in from here on is refused."""
        self._stopping = True
        if not self._ended_early:
            await self._finish()
        self._accounts.close()
        self._list_of_rooms.close()
        tasks = [*self._background, *self._working, *self._cursors.close(), *self._rooms.close()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(FINISH_SECONDS):
                if self._working:
                    await asyncio.wait(self._working)
                await self._delivery.settled()
                self._legacy.finish()
                await self._cursors.flush()
                await self._presence.finish()
        except TimeoutError:
            log.error("not everything could be finished within %s s", FINISH_SECONDS)
        except StoreError as error:
            log.error("not everything could be finished: %s", error)

    def figures(self) -> dict[str, float]:
        """What there is now, and what has been counted since the start."""
        return {
            "connections": len(self._reach.sessions),
            "users_online": len(self._reach.users),
            "rooms": len(self._directory.rooms),
            "messages_waiting": self._delivery.waiting,
            "messages": self._delivery.stored,
            "logins": self._logins.succeeded,
            "logins_refused": self._logins.refused,
            "too_fast": self._too_fast,
            "failures": self._failures,
        }

    # --- what the engine calls ---
    def connected(self, connection: ChatConnection) -> None:
        connection.context = ChatSession(connection)

    def event(
        self, connection: ChatConnection, event: str, payload: bytes, ack_id: int | None
    ) -> None:
        session: ChatSession = connection.context
        try:
            if session.waiting is not None:
                session.enqueue(event, payload, ack_id)
                return
            work = self._handle(session, event, payload, ack_id)
        except Exception as error:
            self._refuse(session, event, ack_id, error)
            return
        if work is not None:
            session.waiting = deque()
            session.login_pending = event == Event.LOGIN
            task = asyncio.get_running_loop().create_task(self._work(session, event, ack_id, work))
            self._working.add(task)
            task.add_done_callback(partial(self._worked, session))

    def _worked(self, session: ChatSession, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and (error := task.exception()):
            # Its later events would wait for this one for ever: the client comes back and asks.
            self._failures += 1
            log.error("a client could not be answered and is disconnected", exc_info=error)
            session.connection.close()

    def disconnected(self, connection: ChatConnection, reason: str) -> None:
        session: ChatSession = connection.context
        user = session.user
        if user is not None:
            log.info("%r disconnected: %s", user.id, reason)
        if self._stopping:
            session.closed = True
            return
        self._logins.disconnected(session)

    # --- the order of a connection's events ---
    def _handle(
        self, session: ChatSession, event: str, payload: bytes, ack_id: int | None
    ) -> Work | None:
        handler = self._handlers.get(event)
        if handler is None:
            name = event[:MAX_EVENT_NAME_SHOWN]
            raise ProtocolError(Code.MALFORMED, f"there is no event {name!r}")
        if self._stopping:
            raise ProtocolError(Code.UNAVAILABLE, "the server is stopping", retry_after=1.0)
        if session.unanswered and event in READS_MESSAGES:
            return self._after_messages(handler, session, payload, ack_id)
        return handler(session, payload, ack_id)

    async def _after_messages(
        self, handler: Handler, session: ChatSession, payload: bytes, ack_id: int | None
    ) -> None:
        await self._delivery.settled()
        work = handler(session, payload, ack_id)
        if work is not None:
            await work

    async def _work(
        self, session: ChatSession, event: str, ack_id: int | None, work: Work | None
    ) -> None:
        waiting = session.waiting
        assert waiting is not None
        while True:
            try:
                if work is not None:
                    await work
            except Exception as error:
                self._refuse(session, event, ack_id, error)
            if not waiting:
                break
            event, payload, ack_id = waiting.popleft()
            session.waiting_bytes -= len(payload)
            session.login_pending = event == Event.LOGIN
            work = None
            try:
                work = self._handle(session, event, payload, ack_id)
            except Exception as error:
                self._refuse(session, event, ack_id, error)
        session.waiting = None
        session.login_pending = False

    def _say_failing(self, why: str) -> None:
        """Not with every request: a log must not fill what is left of the disk."""
        if why != self._failing or monotonic() - self._failing_since > SAY_AGAIN_SECONDS:
            self._failing, self._failing_since = why, monotonic()
            log.error("requests are refused: %s", why)

    def _refuse(
        self, session: ChatSession, event: str, ack_id: int | None, error: Exception
    ) -> None:
        if isinstance(error, ProtocolError):
            refusal = error
            self._too_fast += error.code is Code.TOO_FAST
        elif isinstance(error, StoreError):
            self._say_failing(str(error))
            refusal = ProtocolError(
                Code.UNAVAILABLE, "the store cannot be reached: try again", retry_after=1.0
            )
        else:
            self._failures += 1
            log.error("%s failed", event[:MAX_EVENT_NAME_SHOWN], exc_info=error)
            refusal = ProtocolError(Code.INTERNAL, "something went wrong on the server")
        self._answers.refuse(session, event, ack_id, refusal)
