"""Deadlines of all sessions on one timer: pings, answers, connects, upgrades."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

logger = logging.getLogger("pychat.engine")

T = TypeVar("T", bound=Hashable)


class Deadlines(Generic[T]):
    """Items that are due a fixed delay after they were started, and so in the order of starting.

    Sans-I/O: callers pass the time, in seconds.
    """

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self._due: dict[T, float] = {}

    def start(self, item: T, now: float) -> None:
        """Make the item due ``delay`` from now, also if it was started before."""
        self._due.pop(item, None)
        self._due[item] = now + self.delay

    def stop(self, item: T) -> None:
        """Remove the item. Unknown items are ignored."""
        self._due.pop(item, None)

    def left(self, item: T, now: float) -> float:
        """Return the seconds until the item is due, infinity for unknown items."""
        return self._due.get(item, math.inf) - now

    def take_due(self, now: float) -> list[T]:
        """Remove and return the items that are due."""
        taken = []
        for item, due in self._due.items():
            if due > now:
                break
            taken.append(item)
        for item in taken:
            del self._due[item]
        return taken

    def __contains__(self, item: T) -> bool:
        return item in self._due

    def __len__(self) -> int:
        return len(self._due)


class Wheel:
    """A timer that checks several deadlines at once. It stops while no item waits."""

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self._queues: list[tuple[Deadlines[Any], Callable[[Any], None], Callable[[Any], None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(
        self, delay: float, when_due: Callable[[T], None], close: Callable[[T], None]
    ) -> Deadlines[T]:
        """Return new deadlines. ``when_due`` is called with each item that is due.

        If it raises, ``close`` is called with the item, which has no deadline any more. The other
        items are not affected.
        """
        queue: Deadlines[T] = Deadlines(delay)
        self._queues.append((queue, when_due, close))
        return queue

    def start(self, queue: Deadlines[T], item: T) -> None:
        """Start the item now, by the time of the running loop."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = self._loop.call_later(self._tick, self._turn)
        queue.start(item, self._loop.time())

    def left(self, queue: Deadlines[T], item: T) -> float:
        """Return the seconds until the item is due, by the time of the running loop."""
        return queue.left(item, asyncio.get_running_loop().time())

    def stop(self) -> None:
        """Stop the timer. No item becomes due until another one is started."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._loop = None

    def _turn(self) -> None:
        assert self._loop is not None
        self._timer = self._loop.call_later(self._tick, self._turn)
        now = self._loop.time()
        for queue, when_due, close in self._queues:
            for item in queue.take_due(now):
                try:
                    when_due(item)
                except Exception:
                    logger.exception("deadline failed, closed: %r", item)
                    try:
                        close(item)
                    except Exception:
                        logger.exception("not closed: %r", item)
        if not any(len(queue) for queue, _, _ in self._queues) and self._timer is not None:
            self._timer.cancel()
            self._timer = None
