"""SimulatedLoop: an event loop with a virtual clock, and a seeded order of ready callbacks."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from random import Random
from typing import Any

START = 1_000.0
"""What the clock says at first: code may take 0 for "never"."""


class Call:
    """What ``call_soon`` and ``call_at`` give back."""

    __slots__ = ("args", "callback", "context")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.context = context

    def cancel(self) -> None:
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        return self.callback is None


class SimulatedLoop(asyncio.AbstractEventLoop):
    """No sockets, threads or real time. Of the callbacks that are ready, a random one runs next;
    when none is, the clock jumps to the next timer.

    ``on_error`` gets what asyncio reports to an exception handler: exceptions nobody retrieved.
    """

    def __init__(self, random: Random, on_error: Callable[[dict[str, Any]], None]) -> None:
        self._random = random.random
        self._on_error = on_error
        self._now = START
        self._ready: list[Call] = []
        self._timers: list[tuple[float, int, Call]] = []
        self._timer_number = 0
        self._ended = False
        self._tasks: list[asyncio.Task[Any]] = []
        self.steps = 0

    # --- what the simulation asks of it ---

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Until ``main`` has returned or ``end`` was called. Raises what ``main`` raises."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main)
            while not task.done() and not self._ended:
                self._step()
            if task.done():
                task.result()
        finally:
            self._ended = True
            asyncio._set_running_loop(before)

    def close(self) -> None:
        """Ends what still waits, such as the tasks of a killed server, while no loop is running:
        whatever it does about it has no effect on another simulation."""
        for task in self._tasks:
            if not task.done():
                with suppress(Exception):
                    task.get_coro().close()  # type: ignore[union-attr]  # it is a coroutine
        self._tasks.clear()
        self._ready.clear()
        self._timers.clear()

    def end(self) -> None:
        """No callback runs after this one."""
        self._ended = True

    def _step(self) -> None:
        ready = self._ready
        if not ready:
            self._advance()
        number = len(ready)
        index = int(self._random() * number) if number > 1 else 0
        call = ready[index]
        ready[index] = ready[-1]
        ready.pop()
        callback = call.callback
        if callback is None:
            return
        self.steps += 1
        if call.context is None:
            callback(*call.args)
        else:
            call.context.run(callback, *call.args)

    def _advance(self) -> None:
        timers = self._timers
        while not self._ready:
            if not timers:
                raise RuntimeError("nothing can happen any more: everything waits for something")
            when, _, call = heapq.heappop(timers)
            if call.callback is None:
                continue
            self._now = max(self._now, when)
            self._ready.append(call)
            while timers and timers[0][0] <= when:
                call = heapq.heappop(timers)[2]
                if call.callback is not None:
                    self._ready.append(call)

    # --- what asyncio asks of it ---

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]  # a Call does what a Handle does
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        call = Call(callback, args, context)
        self._ready.append(call)
        return call

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # there are no threads

    def call_later(  # type: ignore[override]  # a Call does what a TimerHandle does
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Call:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # a Call does what a TimerHandle does
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Call:
        call = Call(callback, args, context)
        self._timer_number += 1
        heapq.heappush(self._timers, (when, self._timer_number, call))
        return call

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, **options)
        # Nothing is destroyed while the clock runs: when that happens is not the seed's to say.
        self._tasks.append(task)
        return task

    def run_in_executor(  # type: ignore[override]  # no executor is looked at
        self, executor: Any, function: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """The function runs in this thread, after a moment."""
        future = self.create_future()
        self.call_later(self._random() * 0.01, _finish, future, function, args)
        return future

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._ended

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        # What is still pending at the end belongs to a server that was killed, or to nobody.
        if not self._ended and "exception" in context:
            self._on_error(context)


def _finish(
    future: asyncio.Future[Any], function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    if future.done():
        return
    try:
        result = function(*args)
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)
