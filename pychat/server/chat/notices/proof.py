"""What a client of the original protocol was sent and has not shown to have received."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial

from pychat.server.chat.connection import ChatConnection
from pychat.server.chat.notices.cursors import Cursors
from pychat.server.chat.state.entities import OnlineUser, Pair

ASK_SECONDS = 1.0
"""Proof is asked for no more often."""
STAY_SECONDS = 2.0
"""A proof counts if the connection is still open after that time: a page that disconnects, or is
closed, drops messages that its browser has received."""

_Seqs = dict[Pair, int]


class Unproven:
    """One connection's: how far each conversation was sent, until its cursor moves."""

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

    def __init__(self, connection: ChatConnection, user: OnlineUser, cursors: Cursors) -> None:
        self._connection = connection
        self._user = user
        self._cursors = cursors
        self._loop = asyncio.get_running_loop()
        self._seqs: _Seqs = {}
        """Sent since proof was last asked for."""
        self._answered: asyncio.Future[None] | None = None
        """Pending while proof has been asked for."""
        self._asked_at = 0.0
        self._due = False
        """Whether proof is to be asked for soon."""
        self._timer: asyncio.TimerHandle | None = None
        self._staying: deque[tuple[asyncio.TimerHandle, _Seqs]] = deque()
        """Proven, oldest first, and counted when the connection has stayed open."""
        self._dropped = False

    def add(self, pair: Pair, seq: int) -> None:
        """A message was sent; proof of it is asked for soon."""
        self._seqs[pair] = seq
        self._due = True
        if self._answered is None and self._timer is None:
            self._ask_soon()

    def note(self, pair: Pair, seq: int) -> None:
        """A message was sent; proof of it is asked for by ``ask``."""
        self._seqs[pair] = seq

    def ask(self) -> None:
        """Ask for proof of what was sent until now. Not while it is asked for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = False
        self._asked_at = self._loop.time()
        self._answered = self._loop.create_future()
        seqs, self._seqs = self._seqs, {}
        self._connection.when_received(partial(self._received, seqs))

    async def asked(self) -> None:
        """Return when no proof is being asked for. Never, if the connection is gone."""
        if self._answered is not None:
            await self._answered

    def drop(self) -> None:
        """The connection has ended: nothing more counts."""
        self._dropped = True
        if self._timer is not None:
            self._timer.cancel()
        for timer, _ in self._staying:
            timer.cancel()

    def finish(self) -> None:
        """The server ends the connection: what is proven counts now, and nothing later."""
        while self._staying:
            self._staying[0][0].cancel()
            self._stayed()
        self.drop()

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
        if answered is not None and not answered.done():
            answered.set_result(None)
        self._staying.append((self._loop.call_later(STAY_SECONDS, self._stayed), seqs))
        if self._due:
            self._ask_soon()

    def _stayed(self) -> None:
        _, seqs = self._staying.popleft()
        for pair, seq in seqs.items():
            self._cursors.proven(pair, self._user, seq)
