"""Proof of receipt from one client of the original protocol."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial

from pychat.server.chat.notices.cursors import CursorWriter
from pychat.server.chat.state.entities import OnlineUser, Pair
from pychat.server.chat.state.session import ChatConnection

ASK_SECONDS = 1.0
"""The least time between two requests for proof."""
STAY_SECONDS = 2.0
"""How long the connection must stay open after a proof before it counts. A page that disconnects or
is closed drops messages that its browser has already received."""

_Seqs = dict[Pair, int]


class ReceiptProof:
    """What one connection was sent and has not proven to have received.

    When a proof counts, the delivered cursors move.
    """

    __slots__ = (
        "_answered",
        "_asked_at",
        "_connection",
        "_cursors",
        "_dropped",
        "_due",
        "_loop",
        "_seqs",
        "_staying",
        "_timer",
        "_user",
    )

    def __init__(self, connection: ChatConnection, user: OnlineUser, cursors: CursorWriter) -> None:
        self._connection = connection
        self._user = user
        self._cursors = cursors
        self._loop = asyncio.get_running_loop()
        self._seqs: _Seqs = {}
        """The last seq of each conversation sent since proof was last requested."""
        self._answered: asyncio.Future[None] | None = None
        """Pending while a request for proof is unanswered."""
        self._asked_at = 0.0
        self._due = False
        """Whether proof must be requested soon."""
        self._timer: asyncio.TimerHandle | None = None
        self._staying: deque[tuple[asyncio.TimerHandle, _Seqs]] = deque()
        """Proven, oldest first, and waiting for STAY_SECONDS."""
        self._dropped = False

    def sent(self, pair: Pair, seq: int) -> None:
        """Note that a message was sent, and request proof soon."""
        self._seqs[pair] = seq
        self._due = True
        if self._answered is None and self._timer is None:
            self._ask_soon()

    def note(self, pair: Pair, seq: int) -> None:
        """Note that a message was sent. The caller requests proof with ``ask``."""
        self._seqs[pair] = seq

    def ask(self) -> None:
        """Request proof of everything sent so far. Only one request may be unanswered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = False
        self._asked_at = self._loop.time()
        self._answered = self._loop.create_future()
        seqs, self._seqs = self._seqs, {}
        self._connection.when_received(partial(self._received, seqs))

    async def answered(self) -> None:
        """Return when no request is unanswered. It never returns if the connection is gone."""
        while self._answered is not None:
            await self._answered

    def drop(self) -> None:
        """Ignore everything from now on: the connection has ended."""
        self._dropped = True
        if self._timer is not None:
            self._timer.cancel()
        for timer, _ in self._staying:
            timer.cancel()

    def finish(self) -> None:
        """Count what is proven at once: the server ends the connection."""
        while self._staying:
            self._staying[0][0].cancel()
            self._stayed()

    def _ask_soon(self) -> None:
        delay = self._asked_at + ASK_SECONDS - self._loop.time()
        if delay > 0:
            self._timer = self._loop.call_later(delay, self.ask)
        else:
            self.ask()

    def _received(self, seqs: _Seqs) -> None:
        if self._dropped:
            return
        answered, self._answered = self._answered, None
        if answered is not None:
            answered.set_result(None)
        self._staying.append((self._loop.call_later(STAY_SECONDS, self._stayed), seqs))
        if self._due:
            self._ask_soon()

    def _stayed(self) -> None:
        _, seqs = self._staying.popleft()
        for pair, seq in seqs.items():
            self._cursors.proven(pair, self._user, seq)
