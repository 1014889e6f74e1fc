"""Messages on their way: kept together in one commit, then delivered and answered in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from pychat.protocol import (
    EVERYONE,
    ClientMessage,
    Code,
    Event,
    MessageAnswer,
    MessagePayload,
    ProtocolError,
)
from pychat.server.chat.answers import Answers, encode
from pychat.server.chat.clock import now, rfc3339
from pychat.server.chat.connection import EncodeEvent
from pychat.server.chat.notices.original import Legacy
from pychat.server.chat.state.entities import Conversation, OnlineUser, Pair, Room
from pychat.server.chat.state.reach import LocalDelivery
from pychat.server.chat.state.session import ChatSession
from pychat.server.store.base import Store, StoreError
from pychat.server.store.records import Appended, NewMessage

log = logging.getLogger(__name__)

MAX_BATCH = 2_000
MAX_MESSAGES_WAITING = 50_000
MAX_CHARACTERS_WAITING = 64 * 1024 * 1024
MAX_IN_DOUBT = 100_000

DELIVERED = "delivered"
STORED = "stored: the recepient is offline and gets it at the next login"

# Enum members cost a look-up each time: once is enough for what every message needs.
_MESSAGE = Event.MESSAGE.value
_DONE = Code.DONE.value
_STORED = Code.STORED.value

_Pending = tuple[ChatSession, OnlineUser, Conversation, ClientMessage, int | None]


class Delivery:
    """Group commit: whatever waits goes to the store in one batch, one batch at a time. Nothing
    is shown or answered before the batch is kept. Answers and deliveries go out in the order of
    the batch, so that every connection sees the seqs of a conversation ascending."""

    def __init__(
        self,
        store: Store,
        reach: LocalDelivery,
        legacy: Legacy,
        answers: Answers,
        encode_event: EncodeEvent,
        pair_opened: Callable[[Pair], None],
    ) -> None:
        self._store = store
        self._reach = reach
        self._legacy = legacy
        self._answers = answers
        self._encode_event = encode_event
        self._pair_opened = pair_opened
        self._new: list[NewMessage] = []
        self._pending: list[_Pending] = []
        self._characters = 0
        self._failing = ""
        """What the log was told of the store, while it keeps no messages."""
        self._refused = 0
        self._in_doubt: dict[tuple[int, str], int] = {}
        """(sender, clientId) of failed writes, and the last seq that had been sent before in their
        conversation. The store may have kept them (MongoDB stores a batch one by one): with a
        higher seq, nobody has been sent them, and a retry must still be delivered."""
        self._writing = False
        self.stored = 0
        """Since the start."""
        self._wake: asyncio.Future[None] | None = None
        self._waiters: list[asyncio.Future[None]] = []
        """Those who wait for the batch that is gathered now."""
        self._waiters_of_written: list[asyncio.Future[None]] = []

    @property
    def waiting(self) -> int:
        """Those that the store has not been given yet."""
        return len(self._new)

    def submit(
        self,
        session: ChatSession,
        user: OnlineUser,
        conversation: Conversation,
        message: ClientMessage,
        client_id: bytes | None,
        ack_id: int | None,
    ) -> None:
        """Answered later, delivered or refused. Raises ProtocolError 404 or 503 at once."""
        if isinstance(conversation, Room) and conversation.deleted:
            raise ProtocolError(Code.NOT_FOUND, "the room is gone", field="recepient")
        if len(self._new) >= MAX_MESSAGES_WAITING or self._characters > MAX_CHARACTERS_WAITING:
            raise ProtocolError(
                Code.UNAVAILABLE, "the store is too slow: try again", retry_after=1.0
            )
        session.unanswered += 1
        self._characters += len(message.data)
        self._new.append(NewMessage(conversation.key, user.key, client_id, now(), message.data))
        self._pending.append((session, user, conversation, message, ack_id))
        wake = self._wake
        if wake is not None and not wake.done():
            wake.set_result(None)

    async def run(self) -> None:
        """Until cancelled; one for all messages."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._new:
                self._wake = loop.create_future()
                await self._wake
                self._wake = None
            new, pending, waiters = self._take()
            self._waiters_of_written = waiters
            self._writing = True
            try:
                appended = await self._store.append(new)
                if len(appended) != len(new):
                    raise RuntimeError(f"the store answered for {len(appended)}")
            except StoreError as error:
                self._say_failing(str(error))
                self._refused += len(new)
                self._doubt(pending)
                refusal = ProtocolError(
                    Code.UNAVAILABLE, "the message could not be stored: try again", retry_after=1.0
                )
                self._refuse_all(pending, refusal)
            except Exception:
                log.exception("%d messages could not be stored", len(new))
                self._doubt(pending)
                self._refuse_all(pending, ProtocolError(Code.INTERNAL, "something went wrong"))
            else:
                self._say_failing("")
                self.stored += len(appended)
                self._deliver_all(pending, appended)
            self._writing = False
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _take(self) -> tuple[list[NewMessage], list[_Pending], list[asyncio.Future[None]]]:
        """The next batch, and who waits for its end."""
        if len(self._new) <= MAX_BATCH:
            taken = self._new, self._pending, self._waiters
            self._new, self._pending, self._waiters = [], [], []
            self._characters = 0
            return taken
        # Delivering holds up everything else: a backlog goes out in pieces.
        new, pending = self._new[:MAX_BATCH], self._pending[:MAX_BATCH]
        del self._new[:MAX_BATCH], self._pending[:MAX_BATCH]
        self._characters -= sum(len(message.data) for message in new)
        return new, pending, []

    async def settled(self) -> None:
        """Returns when all that was submitted until now is kept and delivered, or refused."""
        if not self._new and not self._writing:
            return
        waiter = asyncio.get_running_loop().create_future()
        (self._waiters if self._new else self._waiters_of_written).append(waiter)
        await waiter

    def _refuse_all(self, pending: list[_Pending], refusal: ProtocolError) -> None:
        for session, _, _, _, ack_id in pending:
            session.unanswered -= 1
            self._answers.refuse(session, Event.MESSAGE, ack_id, refusal)

    def _say_failing(self, why: str) -> None:
        """Once, not with every message: a log must not fill what is left of the disk."""
        if why == self._failing:
            return
        if why:
            log.error("messages cannot be stored: %s", why)
        else:
            log.warning("messages are stored again; %d were refused", self._refused)
            self._refused = 0
        self._failing = why

    def _doubt(self, pending: list[_Pending]) -> None:
        for _, user, conversation, message, _ in pending:
            if message.client_id is not None:
                key = user.key, message.client_id.lower()
                # The first failure counts: later messages may have been sent since.
                self._in_doubt.setdefault(key, conversation.sent_seq)
        while len(self._in_doubt) > MAX_IN_DOUBT:
            del self._in_doubt[next(iter(self._in_doubt))]

    def _was_in_doubt(self, user: OnlineUser, message: ClientMessage, seq: int) -> bool:
        """Whether it was stored although its write failed."""
        key = (user.key, (message.client_id or "").lower())
        return seq > self._in_doubt.pop(key, seq)

    def _deliver_all(self, pending: list[_Pending], appended: list[Appended]) -> None:
        for entry, where in zip(pending, appended, strict=False):
            try:
                self._deliver(entry, where)
            except Exception:
                # It is kept, so history has it; the messages after it must still go out.
                log.exception("message %d-%d was not delivered", where.conversation, where.seq)

    def _deliver(self, entry: _Pending, where: Appended) -> None:
        session, user, conversation, message, ack_id = entry
        session.unanswered -= 1
        code, text = _DONE, DELIVERED
        seq = where.seq
        id = f"{where.conversation}-{seq}"
        sent_at = rfc3339(where.sent_at)
        new = not where.duplicate
        if self._in_doubt and self._was_in_doubt(user, message, seq):
            new = True
        if new and seq > conversation.sent_seq:
            conversation.sent_seq = seq
        if type(conversation) is Pair:
            key = user.key
            recepient = self._reach.users.get(conversation.other(key))
            if recepient is None or key in recepient.blocked:
                recepient = None
                code, text = _STORED, STORED
            if new:
                conversation.last_seq = max(conversation.last_seq, seq)
                name = conversation.other_id(key)
                packet = self._packet(id, seq, user, name, message, sent_at)
                if recepient is not None:
                    for reached in recepient.sessions:
                        if reached.modern:
                            reached.connection.send(packet)
                        else:
                            self._legacy.send(reached, conversation, packet, seq)
                if recepient is user:
                    if session.modern:
                        self._legacy.wrote_to_oneself(session, user, conversation, seq)
                else:
                    self._to_own_devices(session, user, conversation, packet, seq)
                if seq == 1:
                    self._pair_opened(conversation)
        elif new:
            conversation.last_seq = max(conversation.last_seq, seq)
            if isinstance(conversation, Room):
                packet = self._packet(id, seq, user, conversation.id, message, sent_at)
                self._to_room(user, conversation, packet, seq)
            else:
                packet = self._packet(id, seq, user, EVERYONE, message, sent_at)
                self._to_everyone(user, packet, seq)
        if ack_id is not None:
            answer = MessageAnswer(code, text, id=id, seq=seq, sent_at=sent_at)
            session.connection.acknowledge(ack_id, encode(answer))
        elif message.recepient != EVERYONE:
            self._answers.respond(session, _MESSAGE, code, text)

    def _packet(
        self,
        id: str,
        seq: int,
        user: OnlineUser,
        recepient: str,
        message: ClientMessage,
        sent_at: str,
    ) -> Any:
        client_id = UNSET if message.client_id is None else message.client_id.lower()
        outgoing = MessagePayload(
            id, seq, user.id, recepient, message.command, "text", message.data, sent_at, client_id
        )
        return self._encode_event(_MESSAGE, encode(outgoing))

    def _to_own_devices(
        self, origin: ChatSession, user: OnlineUser, pair: Pair, packet: Any, seq: int
    ) -> None:
        for session in user.sessions:
            if session is not origin:
                if session.catch_up is None:
                    session.connection.send(packet)
                else:
                    session.catch_up.hold(pair.key, seq, packet)

    def _to_room(self, user: OnlineUser, room: Room, packet: Any, seq: int) -> None:
        blockers = self._reach.blockers(user.key)
        online = self._reach.users
        for key, first_seq in room.members.items():
            member = online.get(key)
            # Who joined after it was stored may not read it.
            if member is not None and seq >= first_seq and key not in blockers:
                for session in member.sessions:
                    session.connection.send(packet)

    def _to_everyone(self, user: OnlineUser, packet: Any, seq: int) -> None:
        hidden_from = self._reach.blockers(user.key)
        if self._reach.newcomers:
            newcomers = self._reach.newcomers
            # Stored before their accounts were made, and sent after they came.
            hidden_from = hidden_from | {key for key, first in newcomers.items() if seq < first}
            self._reach.newcomers = {k: first for k, first in newcomers.items() if seq + 1 < first}
        if not hidden_from:
            for session in self._reach.sessions:
                session.connection.send(packet)
            return
        for session in self._reach.sessions:
            if session.user is not None and session.user.key not in hidden_from:
                session.connection.send(packet)
