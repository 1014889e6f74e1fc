"""Deadlines of all sessions on one timer: pings, their answers, connecting, upgrading."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Deadlines(Generic[T]):
    """Things that are due the same time after they were started, so that they queue in order.

    Sans-I/O: it is told the time, in seconds.
    """

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self._due: dict[T, float] = {}

    def start(self, item: T, now: float) -> None:
        """Due ``delay`` from now; what was started before starts again."""
        self._due.pop(item, None)
        self._due[item] = now + self.delay

    def stop(self, item: T) -> None:
        """Never due; unknown items are ignored."""
        self._due.pop(item, None)

    def left(self, item: T, now: float) -> float:
        """Seconds until it is due; infinite for unknown items."""
        return self._due.get(item, math.inf) - now

    def take_due(self, now: float) -> list[T]:
        """What is due, removed."""
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
    """Turns regularly and calls what is due; at rest while nothing waits."""

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self._queues: list[tuple[Deadlines[Any], Callable[[Any], None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, delay: float, when_due: Callable[[T], None]) -> Deadlines[T]:
        """A new kind of deadline."""
        queue: Deadlines[T] = Deadlines(delay)
        self._queues.append((queue, when_due))
        return queue

    def start(self, queue: Deadlines[T], item: T) -> None:
        """``Deadlines.start`` with the time of the running loop."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = self._loop.call_later(self._tick, self._turn)
        queue.start(item, self._loop.time())

    def left(self, queue: Deadlines[T], item: T) -> float:
        """``Deadlines.left`` with the time of the running loop."""
        return queue.left(item, asyncio.get_running_loop().time())

    def stop(self) -> None:
        """Nothing is due any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._loop = None

    def _turn(self) -> None:
        assert self._loop is not None
        self._timer = self._loop.call_later(self._tick, self._turn)
        now = self._loop.time()
        for queue, when_due in self._queues:
            for item in queue.take_due(now):
                when_due(item)
        if not any(len(queue) for queue, _ in self._queues) and self._timer is not None:
            self._timer.cancel()
            self._timer = None
