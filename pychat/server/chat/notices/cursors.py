"""Moves of delivered and read cursors: stored in batches, then announced as ``receipt`` events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager
from itertools import chain
from typing import Literal, TypeAlias

from pychat.protocol import Code, Event, ProtocolError, Receipt
from pychat.server.chat.answers import Answers, encode
from pychat.server.chat.state.entities import Conversation, Member, OnlineUser, Pair
from pychat.server.chat.state.memberships import Memberships
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.session import ChatSession
from pychat.server.store.base import Store, StoreError
from pychat.server.store.records import CursorMove, Membership

log = logging.getLogger(__name__)

CursorKind: TypeAlias = Literal["delivered", "read"]

PAIR_SECONDS = 0.02
"""Moves in pairs within this time are stored and announced as one."""
OTHER_SECONDS = 1.0
"""The same for rooms and ALL, and the delay before a failed write is retried."""


class _Move:
    """A user's cursors in one conversation, to be written, and the requests to be answered."""

    __slots__ = (
        "conversation",
        "delivered_seq",
        "in_doubt",
        "origins",
        "read_seq",
        "user",
        "waiting",
    )

    def __init__(self, conversation: Conversation, user: OnlineUser) -> None:
        self.conversation = conversation
        self.user = user
        self.delivered_seq = 0
        self.read_seq = 0
        self.waiting: list[tuple[ChatSession, int | None, CursorKind]] = []
        self.origins: set[ChatSession | None] = set()
        """The connections it came from; None for a proof of receipt."""
        self.in_doubt = (0, 0)
        """Delivered and read seq of a write that failed. The store may have done it."""

    def settle(self, stored: Membership) -> None:
        """Add the write in doubt to the move if the store has done it."""
        delivered_seq, read_seq = self.in_doubt
        if stored.delivered_seq >= delivered_seq:
            self.delivered_seq = max(self.delivered_seq, delivered_seq)
        if stored.read_seq >= read_seq:
            self.read_seq = max(self.read_seq, read_seq)


class CursorWriter:
    """Group commit for cursors. They only move forward.

    Moves in pairs are answered and announced after they are stored. Moves in ALL and rooms are
    answered at once and stored within a second.
    """

    def __init__(
        self, store: Store, memberships: Memberships, reach: Reach, answers: Answers
    ) -> None:
        self._store = store
        self._memberships = memberships
        self._reach = reach
        self._answers = answers
        self._pairs: dict[tuple[int, int], _Move] = {}
        self._others: dict[tuple[int, int], _Move] = {}
        self._being_written: dict[tuple[int, int], _Move] = {}
        """Moves in pairs."""
        self._others_being_written: list[_Move] = []
        self._timer: asyncio.TimerHandle | None = None
        self._other_timer: asyncio.TimerHandle | None = None
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(
        self,
        session: ChatSession,
        user: OnlineUser,
        conversation: Conversation,
        member: Member,
        kind: CursorKind,
        seq: int,
        ack_id: int | None,
    ) -> None:
        """Move a cursor as a client requested, and answer the request, now or later."""
        behind = member.delivered_seq if kind == "delivered" else member.read_seq
        hidden = _is_hidden(conversation, user)
        if seq <= behind or hidden:
            key = (conversation.key, user.key)
            pending = self._pairs.get(key) or self._being_written.get(key)
            if pending is not None and not hidden:
                pending.waiting.append((session, ack_id, kind))
            else:
                self._answers.succeed(session, ack_id)
            return
        move = self._move(conversation, user, member, kind, seq, session)
        if isinstance(conversation, Pair):
            move.waiting.append((session, ack_id, kind))
        else:
            self._answers.succeed(session, ack_id)
            self._notify_own_devices(conversation, user, kind, seq, {session})

    def proven(
        self, pair: Pair, user: OnlineUser, seq: int, session: ChatSession | None = None
    ) -> None:
        """Move the delivered cursor of an original client, which cannot request it.

        ``session``: a connection of the user that needs no receipt.
        """
        move = self._pairs.get((pair.key, user.key))
        if move is not None:
            # This is done for every message to an original client. ``Memberships.moved`` updates
            # the cached cursor later.
            if seq > move.delivered_seq:
                move.delivered_seq = seq
            move.origins.add(session)
            return
        member = pair.cursors.get(user.key)
        if member is None or seq > member.delivered_seq:
            self._move(pair, user, member, "delivered", seq, session)

    async def flush(self) -> None:
        """Return when all moves so far are stored. Raises StoreError."""
        if self._pairs or self._others or self._writing.locked():
            for timer in (self._timer, self._other_timer):
                if timer is not None:
                    timer.cancel()
            self._timer = self._other_timer = None
            # The caller may be cancelled, but the cursors of others must still be written.
            await asyncio.shield(self._start_flush(True))

    async def flush_for(self, user: OnlineUser) -> None:
        """Return when all moves that the user may see are stored. Raises StoreError.

        It does not wait for other moves: that would reveal how busy others are.
        """
        moves = chain(
            self._pairs.values(),
            self._others.values(),
            self._being_written.values(),
            self._others_being_written,
        )
        if any(_concerns(move, user) for move in moves):
            await self.flush()

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Store and announce all earlier moves, then write none in the context.

        Raises StoreError.
        """
        await self.flush()
        async with self._writing:
            yield

    def close(self) -> set[asyncio.Task[None]]:
        """Stop writing. Return the tasks that still run."""
        for timer in (self._timer, self._other_timer):
            if timer is not None:
                timer.cancel()
        return self._tasks

    # --- gathering ---
    def _move(
        self,
        conversation: Conversation,
        user: OnlineUser,
        member: Member | None,
        kind: CursorKind,
        seq: int,
        origin: ChatSession | None,
    ) -> _Move:
        move = self._gathered(conversation, user)
        read_seq = seq if kind == "read" else 0
        move.delivered_seq = max(move.delivered_seq, seq)
        move.read_seq = max(move.read_seq, read_seq)
        move.origins.add(origin)
        if member is not None:
            member.advance(seq, read_seq)
        return move

    def _gathered(self, conversation: Conversation, user: OnlineUser) -> _Move:
        """Return the move that is to be written next, a new one if necessary."""
        key = (conversation.key, user.key)
        moves = self._pairs if isinstance(conversation, Pair) else self._others
        move = moves.get(key)
        if move is None:
            move = moves[key] = _Move(conversation, user)
            self._schedule(moves)
        return move

    def _schedule(self, moves: dict[tuple[int, int], _Move]) -> None:
        loop = asyncio.get_running_loop()
        if moves is self._pairs:
            if self._timer is None:
                self._timer = loop.call_later(PAIR_SECONDS, self._start_flush, False)
        elif self._other_timer is None:
            self._other_timer = loop.call_later(OTHER_SECONDS, self._start_flush, True)

    # --- writing ---
    def _start_flush(self, all: bool) -> asyncio.Task[None]:
        if all:
            self._other_timer = None
        else:
            self._timer = None
        task = asyncio.get_running_loop().create_task(self._flush(all))
        self._tasks.add(task)
        task.add_done_callback(self._flushed)
        return task

    def _flushed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, StoreError):
            log.warning("cursors not stored: %s", error)
        elif error is not None:
            log.error("cursors not stored", exc_info=error)

    async def _flush(self, all: bool) -> None:
        async with self._writing:
            pairs, self._pairs = self._pairs, {}
            for key, move in pairs.items():
                if _is_hidden(move.conversation, move.user):
                    self._discard(move)
                else:
                    self._being_written[key] = move
            moves = list(self._being_written.values())
            others: list[_Move] = []
            if all:
                others = list(self._others.values())
                self._others = {}
            self._others_being_written = others
            if not moves and not others:
                return
            records = [
                CursorMove(m.conversation.key, m.user.key, m.delivered_seq, m.read_seq)
                for m in moves + others
            ]
            try:
                memberships = await self._store.move_cursors(records)
            except BaseException:
                self._failed(moves, others)
                raise
            finally:
                self._being_written = {}
                self._others_being_written = []
            for move, stored in zip(moves, memberships, strict=False):
                self._memberships.moved(move.conversation, stored)
                move.settle(stored)
                self._stored(move)

    def _discard(self, move: _Move) -> None:
        """Forget a move in a pair whose other account was blocked before it was written."""
        self._memberships.evict(move.conversation, move.user.key)
        for session, ack_id, _ in move.waiting:
            self._answers.succeed(session, ack_id)

    def _failed(self, moves: list[_Move], others: list[_Move]) -> None:
        refusal = ProtocolError(
            Code.UNAVAILABLE, "the cursor could not be stored: try again", retry_after=1.0
        )
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(OTHER_SECONDS, self._start_flush, False)
        for move in moves:
            # The cached cursor is ahead of the stored one.
            self._memberships.evict(move.conversation, move.user.key)
            for session, ack_id, kind in move.waiting:
                self._answers.refuse(session, kind, ack_id, refusal)
            # Reads what the store has, so that receipts are sent for a write that it has done.
            again = self._gathered(move.conversation, move.user)
            again.in_doubt = (
                max(move.in_doubt[0], move.delivered_seq),
                max(move.in_doubt[1], move.read_seq),
            )
            if None in move.origins:
                # An original client that has proven receipt will not do so again.
                self._move(
                    move.conversation, move.user, None, "delivered", move.delivered_seq, None
                )
        for move in others:
            self._move(move.conversation, move.user, None, "delivered", move.delivered_seq, None)
            if move.read_seq:
                self._move(move.conversation, move.user, None, "read", move.read_seq, None)

    def _stored(self, move: _Move) -> None:
        kinds: list[tuple[CursorKind, int]] = []
        if move.read_seq:
            kinds.append(("read", move.read_seq))
        if move.delivered_seq > move.read_seq:
            kinds.append(("delivered", move.delivered_seq))
        pair = move.conversation
        assert isinstance(pair, Pair)
        for kind, seq in kinds:
            self._notify_own_devices(pair, move.user, kind, seq, move.origins)
            self._notify_peer(pair, move.user, kind, seq)
        for session, ack_id, _ in move.waiting:
            self._answers.succeed(session, ack_id)

    # --- receipts ---
    def _notify_peer(self, pair: Pair, user: OnlineUser, kind: CursorKind, seq: int) -> None:
        peer = pair.other(user.key)
        if peer != user.key and peer not in user.blocked and self._reach.is_online(peer):
            receipt = encode(Receipt(user.id, user.id, kind, seq))
            self._reach.notify((peer,), Event.RECEIPT, receipt)

    def _notify_own_devices(
        self,
        conversation: Conversation,
        user: OnlineUser,
        kind: CursorKind,
        seq: int,
        origins: Set[ChatSession | None],
    ) -> None:
        """Notify all devices of the user. If the move came from a single one, leave it out."""
        but = next(iter(origins)) if len(origins) == 1 else None
        if any(session is not but for session in self._reach.connections_of(user.key)):
            receipt = Receipt(conversation.name_for(user.key), user.id, kind, seq)
            self._reach.notify((user.key,), Event.RECEIPT, encode(receipt), but=but)


def _is_hidden(conversation: Conversation, user: OnlineUser) -> bool:
    """Whether the move must not be stored: the cursor would show somebody who is blocked that the
    user is there."""
    return isinstance(conversation, Pair) and conversation.other(user.key) in user.blocked


def _concerns(move: _Move, user: OnlineUser) -> bool:
    """Whether the move is the user's, or the other account's in a pair with the user."""
    pair = move.conversation
    if move.user is user:
        return True
    return (
        isinstance(pair, Pair) and user.key in (pair.a, pair.b) and not _is_hidden(pair, move.user)
    )
