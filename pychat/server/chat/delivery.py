"""Group commit of messages and their changes: store them in batches, then deliver and acknowledge
them in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

import msgspec
from msgspec import UNSET, UnsetType

from pychat.protocol import (
    EVERYONE,
    ClientMessage,
    Code,
    Event,
    FilePayload,
    MessageAnswer,
    MessagePayload,
    ProtocolError,
    QuotePayload,
)
from pychat.server.chat.answers import Answers, encode
from pychat.server.chat.changing import ChangeDelivery, SubmittedChange, late_readers
from pychat.server.chat.clock import now, rfc3339
from pychat.server.chat.notices.cursors import CursorWriter
from pychat.server.chat.notices.file_links import FileLinks
from pychat.server.chat.state.entities import Conversation, OnlineUser, Pair, Room
from pychat.server.chat.state.mentions import mentioned_ids
from pychat.server.chat.state.reach import Original, Reach, Reduced
from pychat.server.chat.state.session import ChatSession
from pychat.server.chat.views import file_payload, quote
from pychat.server.store.base import Store, StoreError
from pychat.server.store.records import (
    Appended,
    ChangeResult,
    FileRecord,
    MessageRecord,
    NewChange,
    NewEdit,
    NewMessage,
)

log = logging.getLogger(__name__)

MAX_BATCH = 2_000
"""Delivering a batch blocks everything else, so a long queue is split."""
MAX_MESSAGES_WAITING = 50_000
MAX_CHARACTERS_WAITING = 64 * 1024 * 1024
MAX_IN_DOUBT = 100_000
LOOK_UP_SECONDS = 1.0
"""Until failed changes are looked up, if nothing else is stored."""

DELIVERED = "delivered"
STORED = "stored: the recepient is offline and gets it at the next login"

# Looking up an enum member takes time, and every message needs these.
_MESSAGE = Event.MESSAGE.value
_DONE = Code.DONE.value
_STORED = Code.STORED.value

_WITH_TEXT = (NewMessage, NewEdit)

_Pending: TypeAlias = tuple[
    ChatSession,
    OnlineUser,
    Conversation,
    ClientMessage,
    int | None,
    OnlineUser | None,
    tuple[int, ...],
    FileRecord | None,
]
"""The last ones are the sender of the message that this one answers, the accounts that this one
mentions, and its file."""


class Delivery:
    """Messages and changes that arrive while a batch is being written form the next batch.

    A message is delivered and acknowledged only after its batch is stored, in the order of the
    batch. So every connection sees the seqs of a conversation in ascending order.
    """

    def __init__(
        self,
        store: Store,
        reach: Reach,
        cursors: CursorWriter,
        answers: Answers,
        pair_opened: Callable[[Pair], None],
        text_gone: Callable[[], None],
        links: FileLinks,
    ) -> None:
        """``pair_opened`` is called after the first message of a pair was delivered, ``text_gone``
        after a text was removed from the store."""
        self._store = store
        self._reach = reach
        self._cursors = cursors
        self._answers = answers
        self._pair_opened = pair_opened
        self._links = links
        self._changes = ChangeDelivery(store, reach, text_gone)
        self._new: list[NewMessage | NewChange] = []
        self._pending: list[_Pending | SubmittedChange] = []
        self._plain = True
        """Whether all that is waiting are messages that answer no other."""
        self._characters = 0
        self._failing = ""
        """The error that was logged last, while messages cannot be stored."""
        self._refused = 0
        self._in_doubt: dict[tuple[int, str], int] = {}
        """(sender, clientId) of failed writes, and the last seq that had been delivered before in
        their conversation. The store may have kept them (MongoDB stores a batch one by one). With a
        higher seq they were not delivered, so a retry must still be delivered."""
        self._writing = False
        self.stored = 0
        """Number of messages stored since the start."""
        self._wake: asyncio.Future[None] | None = None
        self._waiters: list[asyncio.Future[None]] = []
        """Done when the batch that is being gathered is delivered."""
        self._waiters_of_written: list[asyncio.Future[None]] = []
        """Done when the batch that is being written is delivered."""

    @property
    def waiting(self) -> int:
        """Number of messages not yet passed to the store."""
        return len(self._new)

    def submit(
        self,
        session: ChatSession,
        user: OnlineUser,
        conversation: Conversation,
        message: ClientMessage,
        client_id: bytes | None,
        ack_id: int | None,
        answered: OnlineUser | None = None,
        mentions: tuple[int, ...] = (),
        file: FileRecord | None = None,
    ) -> None:
        """Queue a message, which is answered later. ``answered``: the sender of the message that it
        replies to. ``mentions``: the accounts that it mentions (``Mentions.find``). ``file``: the
        file with the id of its ``file``, if there is one, and the links must be loaded. Raises
        ProtocolError 404 or 503."""
        if isinstance(conversation, Room) and conversation.deleted:
            raise ProtocolError(Code.NOT_FOUND, "the room was deleted", field="recepient")
        if isinstance(conversation, Room):
            conversation.require_decided()
        self._require_space()
        new = NewMessage(conversation.key, user.key, client_id, now(), message.data)
        if answered is not None:
            new.reply_to = message.reply_to
            self._plain = False
        if mentions:
            new.mentions = mentions
        if message.file is not None:
            new.file = message.file
            self._plain = False
        session.unanswered += 1
        self._characters += len(message.data)
        self._new.append(new)
        self._pending.append(
            (session, user, conversation, message, ack_id, answered, mentions, file)
        )
        self._start()

    def submit_change(self, entry: SubmittedChange) -> None:
        """Queue a change, which is answered later: by ``entry.answer``, or with an error if it
        cannot be stored. Raises ProtocolError 503."""
        self._require_space()
        change = entry.change
        if isinstance(change, NewEdit):
            self._characters += len(change.data)
        self._plain = False
        entry.session.unanswered += 1
        self._new.append(change)
        self._pending.append(entry)
        self._start()

    def _require_space(self) -> None:
        if len(self._new) >= MAX_MESSAGES_WAITING or self._characters > MAX_CHARACTERS_WAITING:
            raise ProtocolError(
                Code.UNAVAILABLE, "the store is too slow: try again", retry_after=1.0
            )

    def _start(self) -> None:
        wake = self._wake
        if wake is not None and not wake.done():
            wake.set_result(None)

    async def settled(self) -> None:
        """Return when all messages submitted so far are stored and delivered, or refused."""
        if not self._new and not self._writing:
            return
        waiter = asyncio.get_running_loop().create_future()
        (self._waiters if self._new else self._waiters_of_written).append(waiter)
        await waiter

    # --- storing ---
    async def run(self) -> None:
        """Store and deliver messages until cancelled. Run it once."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._new:
                self._wake = loop.create_future()
                if self._changes.in_doubt:
                    await asyncio.wait([self._wake], timeout=LOOK_UP_SECONDS)
                else:
                    await self._wake
                self._wake = None
                if not self._new:
                    await self._changes.deliver_doubtful()
                    continue
            plain = self._plain
            new, pending, waiters = self._take()
            self._waiters_of_written = waiters
            self._writing = True
            try:
                answers: Sequence[Appended | ChangeResult]
                if plain:
                    answers = await self._store.append(cast("list[NewMessage]", new))
                else:
                    answers = await self._store.commit(new)
                if len(answers) != len(new):
                    raise RuntimeError(
                        f"the store answered for {len(answers)} of {len(new)} messages"
                    )
            except StoreError as error:
                self._log_failing(str(error))
                self._refused += len(new)
                self._doubt(pending)
                refusal = ProtocolError(
                    Code.UNAVAILABLE, "the message could not be stored: try again", retry_after=1.0
                )
                self._refuse_all(pending, refusal)
            except Exception:
                log.exception("%d messages not stored", len(new))
                self._doubt(pending)
                self._refuse_all(pending, ProtocolError(Code.INTERNAL, "internal server error"))
            else:
                self._log_failing("")
                self.stored += sum(isinstance(answer, Appended) for answer in answers)
                origins = {} if plain else await self._origins(new)
                repeated = await self._repeated(answers)
                self._deliver_all(pending, answers, origins, repeated)
                if self._changes.in_doubt:
                    await self._changes.deliver_doubtful()
            self._writing = False
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def _origins(
        self, batch: Sequence[NewMessage | NewChange]
    ) -> dict[tuple[int, int], MessageRecord]:
        """Return the messages that those of the batch answer, as they are after it. A later quote
        of a text that the batch removes or replaces would show it again."""
        places = {
            (new.conversation, new.reply_to)
            for new in batch
            if isinstance(new, NewMessage) and new.reply_to is not None
        }
        try:
            found = await self._store.messages(list(places)) if places else []
        except StoreError:  # the messages are delivered without their quotes
            found = []
        return {(m.conversation, m.seq): m for m in found if not m.removed}

    async def _repeated(
        self, answers: Sequence[Appended | ChangeResult]
    ) -> dict[tuple[int, int], MessageRecord]:
        """Return the messages that had been stored before, as they are now: they may have been
        changed since."""
        places = [
            (answer.conversation, answer.seq)
            for answer in answers
            if isinstance(answer, Appended) and answer.duplicate
        ]
        if not places:
            return {}
        try:
            return {(m.conversation, m.seq): m for m in await self._store.messages(places)}
        except StoreError:  # they are answered without their revs
            return {}

    def _take(
        self,
    ) -> tuple[
        list[NewMessage | NewChange],
        list[_Pending | SubmittedChange],
        list[asyncio.Future[None]],
    ]:
        """Return the next batch, and the waiters for it."""
        if len(self._new) <= MAX_BATCH:
            taken = self._new, self._pending, self._waiters
            self._new, self._pending, self._waiters = [], [], []
            self._characters = 0
            self._plain = True
            return taken
        new, pending = self._new[:MAX_BATCH], self._pending[:MAX_BATCH]
        del self._new[:MAX_BATCH], self._pending[:MAX_BATCH]
        self._characters -= sum(len(each.data) for each in new if isinstance(each, _WITH_TEXT))
        return new, pending, []

    def _refuse_all(
        self, pending: list[_Pending | SubmittedChange], refusal: ProtocolError
    ) -> None:
        for entry in pending:
            event: str = Event.MESSAGE
            if isinstance(entry, SubmittedChange):
                session, ack_id, event = entry.session, entry.ack_id, entry.event
            else:
                session, _, _, _, ack_id, _, _, _ = entry
            session.unanswered -= 1
            self._answers.refuse(session, event, ack_id, refusal)

    def _log_failing(self, reason: str) -> None:
        """Log a reason once, not with every message: the log must not fill the disk."""
        if reason == self._failing:
            return
        if reason:
            log.error("messages cannot be stored: %s", reason)
        else:
            log.warning("messages are stored again: %d were refused", self._refused)
            self._refused = 0
        self._failing = reason

    def _doubt(self, pending: list[_Pending | SubmittedChange]) -> None:
        """Prepare for messages of a failed write that the store has kept nevertheless."""
        recipients: set[int] = set()
        for entry in pending:
            if isinstance(entry, SubmittedChange):
                self._changes.doubt(entry)
                continue
            _, user, conversation, message, _, _, _, _ = entry
            if type(conversation) is Pair:
                recipients.add(conversation.other(user.key))
            if message.client_id is not None:
                key = user.key, message.client_id.lower()
                # The first failure counts: messages may have been delivered since.
                self._in_doubt.setdefault(key, conversation.sent_seq)
        while len(self._in_doubt) > MAX_IN_DOUBT:
            del self._in_doubt[next(iter(self._in_doubt))]
        # Clients of protocol 1 notice a missing seq. For original clients the next message would
        # move the delivered cursor past it.
        for recipient in recipients:
            for session in self._reach.connections_of(recipient):
                if session.original is not None:
                    session.original.catch_up()

    def _was_in_doubt(self, user: OnlineUser, message: ClientMessage, seq: int) -> bool:
        """Whether a duplicate was stored by a write that failed, and so was not delivered."""
        key = (user.key, (message.client_id or "").lower())
        return seq > self._in_doubt.pop(key, seq)

    # --- delivering ---
    def _deliver_all(
        self,
        pending: list[_Pending | SubmittedChange],
        answers: Sequence[Appended | ChangeResult],
        origins: dict[tuple[int, int], MessageRecord],
        repeated: dict[tuple[int, int], MessageRecord],
    ) -> None:
        for entry, answer in zip(pending, answers, strict=False):
            try:
                if isinstance(answer, Appended):
                    before = repeated.get((answer.conversation, answer.seq)) if repeated else None
                    self._deliver(cast("_Pending", entry), answer, origins, before)
                elif isinstance(entry, SubmittedChange):
                    entry.session.unanswered -= 1
                    self._changes.made(entry, answer)
                else:
                    self._refuse_all([entry], _no_file())
            except Exception:
                # It is stored, so history has it. The messages after it must still be delivered.
                log.exception("not delivered: %s", answer)

    def _deliver(
        self,
        entry: _Pending,
        where: Appended,
        origins: dict[tuple[int, int], MessageRecord],
        before: MessageRecord | None,
    ) -> None:
        """``before``: the message as it is stored, if it had been stored before."""
        session, user, conversation, message, ack_id, answered, mentions, file = entry
        session.unanswered -= 1
        code, text = _DONE, DELIVERED
        seq = where.seq
        id = f"{where.conversation}-{seq}"
        sent_at = rfc3339(where.sent_at)
        room = None
        name = EVERYONE
        if type(conversation) is Pair:
            name = conversation.other_id(user.key)
        elif isinstance(conversation, Room):
            room, name = conversation, conversation.id
        quoted: QuotePayload | UnsetType = UNSET
        origin = None
        if answered is not None and message.reply_to is not None:
            quoted = QuotePayload(message.reply_to)
            origin = origins.get((conversation.key, message.reply_to))
            if origin is not None:
                quoted = quote(origin, answered)
        if before is not None:
            mentions = before.mentions
            file = before.file
        mentioned = mentioned_ids(conversation, mentions) if mentions else UNSET
        new = not where.duplicate
        if self._in_doubt and self._was_in_doubt(user, message, seq):
            new = before is None or not before.removed
            if before is not None and before.rev:
                message = msgspec.structs.replace(message, data=before.data)
        shown: FilePayload | UnsetType = UNSET
        original: Original | None = None
        if file is not None:
            shown = file_payload(file)
            original = self._original(id, seq, user, name, message, sent_at, file)
        if new:
            if seq > conversation.sent_seq:
                conversation.sent_seq = seq
            if seq > conversation.last_seq:
                conversation.last_seq = seq
        if type(conversation) is Pair:
            key = user.key
            recipient = conversation.other(key)
            accepted = self._reach.accepts(recipient, key)
            if not accepted:
                code, text = _STORED, STORED
            if new:
                payload = _payload(id, seq, user, name, message, sent_at, quoted, mentioned, shown)
                if accepted:
                    self._reach.deliver(recipient, conversation, seq, _MESSAGE, payload, original)
                if recipient != key:
                    if origin is not None and key in self._reach.blockers(origin.sender):
                        bare = QuotePayload(origin.seq)
                        payload = _payload(
                            id, seq, user, name, message, sent_at, bare, mentioned, shown
                        )
                    self._reach.echo(
                        key, conversation, seq, _MESSAGE, payload, original, but=session
                    )
                elif accepted and session.modern:
                    # A message to oneself. The client that wrote it has it, so none has missed it.
                    self._cursors.proven(conversation, user, seq, session)
                if seq == 1:
                    self._pair_opened(conversation)
        elif new:
            payload = _payload(id, seq, user, name, message, sent_at, quoted, mentioned, shown)
            reduced = None
            if origin is not None:
                accounts = self._reach.blockers(origin.sender) | late_readers(
                    self._reach, conversation, origin.seq
                )
                without = QuotePayload(origin.seq)
                reduced = Reduced(
                    accounts,
                    _payload(id, seq, user, name, message, sent_at, without, mentioned, shown),
                )
            if room is None:
                self._reach.deliver_to_everyone(user.key, seq, _MESSAGE, payload, reduced, original)
            else:
                self._reach.deliver_to_room(
                    room, user.key, seq, _MESSAGE, payload, reduced, original
                )
        if ack_id is not None:
            answer = MessageAnswer(code, text, id=id, seq=seq, sent_at=sent_at, mentions=mentioned)
            if before is not None and before.rev:
                answer.rev = before.rev
            session.connection.acknowledge(ack_id, encode(answer))
        elif message.recepient != EVERYONE:
            self._answers.respond(session, _MESSAGE, code, text)

    def _original(
        self,
        id: str,
        seq: int,
        user: OnlineUser,
        name: str,
        message: ClientMessage,
        sent_at: str,
        file: FileRecord,
    ) -> Original:
        """Return what original clients receive: the file as text, and no quote."""

        def payload(account: int) -> bytes:
            text = self._links.as_text(message.data, file, account)
            as_text = msgspec.structs.replace(message, data=text)
            return _payload(id, seq, user, name, as_text, sent_at, UNSET, UNSET)

        return payload


def _no_file() -> ProtocolError:
    return ProtocolError(
        Code.NOT_FOUND,
        "you have no such file that is not attached to a message yet: upload it again",
        field="file",
    )


def _payload(
    id: str,
    seq: int,
    user: OnlineUser,
    recepient: str,
    message: ClientMessage,
    sent_at: str,
    quoted: QuotePayload | UnsetType,
    mentioned: list[str] | UnsetType,
    file: FilePayload | UnsetType = UNSET,
) -> bytes:
    client_id = UNSET if message.client_id is None else message.client_id.lower()
    return encode(
        MessagePayload(
            *(id, seq, user.id, recepient, message.command, "text", message.data, sent_at),
            client_id,
            reply_to=quoted,
            mentions=mentioned,
            file=file,
        )
    )
