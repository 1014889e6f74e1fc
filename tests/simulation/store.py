"""The simulated store: a real one in memory, behind delays, failures and crashes of its server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from pychat.server.store.base import Store, StoreUnavailable
from pychat.server.store.memory import MemoryStore
from tests.simulation.loop import SimulatedLoop

if TYPE_CHECKING:
    from tests.simulation.ledger import Ledger

T = TypeVar("T")

DELAYS = (0.0, 0.0005, 0.004, 0.03)
"""Seconds; a schedule draws one, and each call takes up to twice that long."""
READS = frozenset(
    {
        *("account", "accounts", "find_accounts", "account_changes"),
        *("login_token", "login_tokens", "login_tokens_by_hash"),
        *("blocked", "blockers", "everyone", "pair", "pairs", "conversations_by_key"),
        *("membership", "memberships", "last_seq", "last_seqs", "conversations", "history"),
        *("undelivered", "search", "room", "rooms", "members", "check_ready"),
        *("changed", "messages", "epoch", "standings"),
        *("file", "has_files", "has_room", "file_bytes"),
    }
)

CALLS = sorted(
    {
        *READS,
        *("create_account", "update_account", "rehash_password"),
        *("add_login_token", "touch_login_token", "revoke_login_tokens"),
        *("block", "unblock", "open_pair", "move_cursors", "append", "commit"),
        *("create_room", "update_room", "delete_room", "join_room", "leave_room", "set_notify"),
        "set_standing",
    }
)


def now(call: Coroutine[Any, Any, T]) -> T:
    """What a call of the store in memory gives: it never waits."""
    try:
        call.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # what a coroutine returns
    raise RuntimeError("the store in memory has waited")


class Weather:
    """How slow and how unreliable the store is; a schedule draws its own."""

    def __init__(self, draw: Random, faults: Counter[str]) -> None:
        self._draw = draw
        self.faults = faults
        self.delay = draw.choice(DELAYS)
        self.slow = draw.choice((0.0, 0.02, 0.1))
        self.failing = draw.choice((0.0, 0.0, 0.01, 0.05))
        self.failing_late = self.failing if draw.random() < 0.5 else 0.0
        self.sluggish = draw.sample(CALLS, k=draw.choice((0, 0, 1, 2, 4)))
        """Calls whose answers are late in this schedule."""
        self.held: dict[str, Callable[[], float]] = {}
        """By the name of a call: how long its next answers take. For scenarios."""

    def calm(self) -> None:
        self.delay = self.slow = self.failing = self.failing_late = 0.0
        self.sluggish = []
        self.held.clear()

    def before(self) -> float:
        """Seconds until a call takes effect, or fails (less than 0)."""
        draw = self._draw.random
        if self.failing and draw() < self.failing:
            self.faults["store failed before the commit"] += 1
            return -1.0
        return draw() * self.delay if self.delay else 0.0

    def after(self, name: str) -> float:
        """Seconds from the effect until the answer, or failure (less than 0)."""
        held = self.held.get(name)
        if held is not None:
            return held()
        draw = self._draw.random
        if self.failing_late and name not in READS and draw() < self.failing_late:
            self.faults["store failed after the commit"] += 1
            return -1.0
        delay = draw() * self.delay if self.delay else 0.0
        if self.slow and draw() < self.slow:
            self.faults["slow answer of the store"] += 1
            delay += draw() * 0.3
        if name in self.sluggish:
            self.faults["slow answer of the store"] += 1
            delay += draw() * 0.3
        return delay


class SimulatedStore:
    """What one server process sees of ``disk``, which survives it. Every call takes effect at one
    moment between its start and its answer, in any order with others that are under way."""

    location = "simulated"

    def __init__(
        self,
        disk: MemoryStore,
        loop: SimulatedLoop,
        weather: Weather,
        ledger: Ledger,
        *,
        operator: bool = False,
    ) -> None:
        self._operator = operator
        self._disk = disk
        self._loop = loop
        self._weather = weather
        self._ledger = ledger
        self.crashed = False
        self._under_way: dict[int, Callable[[], None]] = {}
        self._number = 0

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._disk, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            return await self._call(name, method, arguments, options)

        setattr(self, name, call)
        return call

    async def _call(
        self,
        name: str,
        method: Callable[..., Coroutine[Any, Any, Any]],
        arguments: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        delay = self._weather.before()
        if delay < 0:
            await self._pause(self._weather.delay)
            raise StoreUnavailable(f"simulated: {name} failed before it took effect")

        def take_effect() -> Any:
            result = now(method(*arguments, **options))
            if name not in READS:
                self._ledger.committed(name, arguments, options, result, self._operator)
            return result

        if name in READS:
            await self._pause(delay)
        else:
            self._number = number = self._number + 1
            self._under_way[number] = take_effect
            await self._pause(delay)
            del self._under_way[number]
        result = take_effect()
        delay = self._weather.after(name)
        if delay < 0:
            self._ledger.in_doubt(name, arguments, result)
            await self._pause(self._weather.delay)
            raise StoreUnavailable(f"simulated: {name} failed after it took effect")
        await self._pause(delay)
        return result

    async def _pause(self, seconds: float) -> None:
        if seconds:
            await asyncio.sleep(seconds)
        if self.crashed:
            # Nobody is left to be answered.
            await self._loop.create_future()

    def crash(self, draw: Random) -> None:
        """The process is gone: each write that was under way has taken effect, or has not."""
        self.crashed = True
        for take_effect in self._under_way.values():
            if draw.random() < 0.5:
                try:
                    take_effect()
                except Exception:  # the answer went nowhere
                    continue


def as_store(store: SimulatedStore) -> Store:
    """A SimulatedStore has every method of ``disk``."""
    return store  # type: ignore[return-value]  # by __getattr__
