"""``delivered`` and ``read``: cursors that only move forward."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

import msgspec

from pychat.protocol import Code, CursorRequest, ProtocolError, decode
from pychat.server.chat.answers import Answers
from pychat.server.chat.limits import Limiter
from pychat.server.chat.notices.receipts import Kind, Receipts
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import Conversation, Member, OnlineUser, Pair
from pychat.server.chat.state.session import ChatSession
from pychat.server.store.base import Store, StoreError
from pychat.server.store.records import CursorMove

log = logging.getLogger(__name__)

DECODER = msgspec.json.Decoder(CursorRequest)
PAIR_SECONDS = 0.02
"""Moves that come within it are written, and told, as one."""
OTHER_SECONDS = 1.0


class _Move:
    """Where a cursor was when its move was last written, and who waits for the answer."""

    __slots__ = ("conversation", "delivered_seq", "read_seq", "sessions", "user", "waiting")

    def __init__(self, conversation: Conversation, user: OnlineUser) -> None:
        self.conversation = conversation
        self.user = user
        self.delivered_seq = 0
        self.read_seq = 0
        self.waiting: list[tuple[ChatSession, int | None, Kind]] = []
        self.sessions: set[ChatSession | None] = set()
        """Those it came from."""


class Cursors:
    """Those of pairs are answered and told once they are kept. Those of ALL and rooms are
    answered at once and kept a second later at most."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        receipts: Receipts,
        limiter: Limiter,
        answers: Answers,
    ) -> None:
        self._store = store
        self._directory = directory
        self._receipts = receipts
        self._limiter = limiter
        self._answers = answers
        self._pairs: dict[tuple[int, int], _Move] = {}
        self._others: dict[tuple[int, int], _Move] = {}
        self._being_written: dict[tuple[int, int], _Move] = {}
        """Of pairs."""
        self._others_being_written: list[_Move] = []
        self._timer: asyncio.TimerHandle | None = None
        self._other_timer: asyncio.TimerHandle | None = None
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def delivered(
        self, session: ChatSession, payload: bytes, ack_id: int | None
    ) -> Coroutine[Any, Any, None] | None:
        return self._request(session, payload, ack_id, "delivered")

    def read(
        self, session: ChatSession, payload: bytes, ack_id: int | None
    ) -> Coroutine[Any, Any, None] | None:
        return self._request(session, payload, ack_id, "read")

    def proven(
        self, pair: Pair, user: OnlineUser, seq: int, session: ChatSession | None = None
    ) -> None:
        """A message has arrived, as its client cannot say by itself; ``session`` knows already."""
        move = self._pairs.get((pair.key, user.key))
        if move is not None:
            # On the path of every message to such a client: what is kept later updates the rest.
            if seq > move.delivered_seq:
                move.delivered_seq = seq
            move.sessions.add(session)
            return
        member = pair.cursors.get(user.key)
        if member is None or seq > member.delivered_seq:
            self._move(pair, user, member, "delivered", seq, session)

    def close(self) -> set[asyncio.Task[None]]:
        """No more is written; the tasks that are left."""
        for timer in (self._timer, self._other_timer):
            if timer is not None:
                timer.cancel()
        return self._tasks

    def _request(
        self, session: ChatSession, payload: bytes, ack_id: int | None, kind: Kind
    ) -> Coroutine[Any, Any, None] | None:
        user = session.require_user()
        request = decode(DECODER, payload)
        self._limiter.take(user, "cursors")
        conversation = self._directory.cached_conversation(user, request.with_)
        member = None if conversation is None else conversation.cursors.get(user.key)
        if conversation is None or member is None or request.seq > conversation.last_seq:
            return self._request_from_store(session, user, request, ack_id, kind)
        self._accept(session, user, conversation, member, kind, request.seq, ack_id)
        return None

    async def _request_from_store(
        self,
        session: ChatSession,
        user: OnlineUser,
        request: CursorRequest,
        ack_id: int | None,
        kind: Kind,
    ) -> None:
        conversation = await self._directory.conversation(user, request.with_, "with")
        last_seq = 0
        if conversation is not None:
            last_seq = conversation.last_seq
            if request.seq > last_seq:
                last_seq = await self._directory.last_seq(conversation)
        if request.seq > last_seq:
            raise ProtocolError(
                Code.MALFORMED, f"is beyond the last message, {last_seq}", field="seq"
            )
        if conversation is None:
            self._answers.succeed(session, ack_id)
            return
        member = await self._directory.memberships.member(conversation, user)
        self._accept(session, user, conversation, member, kind, request.seq, ack_id)

    def _accept(
        self,
        session: ChatSession,
        user: OnlineUser,
        conversation: Conversation,
        member: Member,
        kind: Kind,
        seq: int,
        ack_id: int | None,
    ) -> None:
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
            self._receipts.to_own_devices(conversation, user, kind, seq, {session})

    def _move(
        self,
        conversation: Conversation,
        user: OnlineUser,
        member: Member | None,
        kind: Kind,
        seq: int,
        origin: ChatSession | None,
    ) -> _Move:
        key = (conversation.key, user.key)
        moves = self._pairs if isinstance(conversation, Pair) else self._others
        move = moves.get(key)
        if move is None:
            move = moves[key] = _Move(conversation, user)
            self._schedule(moves)
        move.delivered_seq = max(move.delivered_seq, seq)
        if kind == "read":
            move.read_seq = max(move.read_seq, seq)
        move.sessions.add(origin)
        if member is not None:
            member.delivered_seq = max(member.delivered_seq, seq)
            if kind == "read":
                member.read_seq = max(member.read_seq, seq)
        return move

    def _schedule(self, moves: dict[tuple[int, int], _Move]) -> None:
        loop = asyncio.get_running_loop()
        if moves is self._pairs:
            if self._timer is None:
                self._timer = loop.call_later(PAIR_SECONDS, self._start_flush, False)
        elif self._other_timer is None:
            self._other_timer = loop.call_later(OTHER_SECONDS, self._start_flush, True)

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
            log.warning("cursors could not be stored: %s", error)
        elif error is not None:
            log.error("cursors could not be stored", exc_info=error)

    async def flush(self) -> None:
        """Returns when everything moved so far is kept. Raises StoreError."""
        if self._pairs or self._others or self._writing.locked():
            for timer in (self._timer, self._other_timer):
                if timer is not None:
                    timer.cancel()
            self._timer = self._other_timer = None
            # Whoever waits may be cancelled; the cursors are everybody's.
            await asyncio.shield(self._start_flush(True))

    async def flush_for(self, user: OnlineUser) -> None:
        """Returns when everything is kept that the user may see of it. Raises StoreError.

        Waiting for the moves of others would tell how busy they are.
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
    async def told(self) -> AsyncIterator[None]:
        """Everything moved before is kept and told, and nothing is meanwhile. Raises StoreError."""
        await self.flush()
        async with self._writing:
            yield

    async def _flush(self, all: bool) -> None:
        async with self._writing:
            self._being_written, self._pairs = self._pairs, {}
            moves = []
            for move in self._being_written.values():
                if _is_hidden(move.conversation, move.user):
                    self._forget(move)
                else:
                    moves.append(move)
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
            for move, kept in zip(moves, memberships, strict=False):
                self._directory.memberships.kept(move.conversation, kept)
                self._kept(move)

    def _forget(self, move: _Move) -> None:
        """The other one was blocked before it was written."""
        move.conversation.cursors.pop(move.user.key, None)
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
            # What is at hand is ahead of what is kept: read it again.
            move.conversation.cursors.pop(move.user.key, None)
            for session, ack_id, kind in move.waiting:
                self._answers.refuse(session, kind, ack_id, refusal)
            if None in move.sessions:
                # Proven by a client that cannot be asked to say so again.
                self._move(
                    move.conversation, move.user, None, "delivered", move.delivered_seq, None
                )
        for move in others:
            self._move(move.conversation, move.user, None, "delivered", move.delivered_seq, None)
            if move.read_seq:
                self._move(move.conversation, move.user, None, "read", move.read_seq, None)

    def _kept(self, move: _Move) -> None:
        kinds: list[tuple[Kind, int]] = []
        if move.read_seq:
            kinds.append(("read", move.read_seq))
        if move.delivered_seq > move.read_seq:
            kinds.append(("delivered", move.delivered_seq))
        pair = move.conversation
        assert isinstance(pair, Pair)
        for kind, seq in kinds:
            self._receipts.to_own_devices(pair, move.user, kind, seq, move.sessions)
            self._receipts.to_peer(pair, move.user, kind, seq)
        for session, ack_id, _ in move.waiting:
            self._answers.succeed(session, ack_id)


def _is_hidden(conversation: Conversation, user: OnlineUser) -> bool:
    """Somebody who is blocked must not see, by the cursors, that the other one is there."""
    return isinstance(conversation, Pair) and conversation.other(user.key) in user.blocked


def _concerns(move: _Move, user: OnlineUser) -> bool:
    """It is the user's, or the other one's in a conversation with the user."""
    pair = move.conversation
    if move.user is user:
        return True
    return (
        isinstance(pair, Pair) and user.key in (pair.a, pair.b) and not _is_hidden(pair, move.user)
    )
