"""A store in memory that answers late: where a test chooses, or at random."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from pychat.server.store.base import StoreUnavailable
from pychat.server.store.memory import MemoryStore

calls_of_request: ContextVar[list[str] | None] = ContextVar("calls_of_request", default=None)
"""Set before a request: the store's methods that are called to handle it are appended."""


class Held:
    """The next call of a method. It is executed when the test calls ``do``, and answered when the
    test calls ``answer``."""

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.done = asyncio.Event()
        self._do, self._answer = asyncio.Event(), asyncio.Event()

    def do(self) -> None:
        self._do.set()

    def answer(self) -> None:
        self._do.set()
        self._answer.set()

    async def run(self, method: Callable[[], Awaitable[Any]]) -> Any:
        self.called.set()
        await self._do.wait()
        result = await method()
        self.done.set()
        await self._answer.wait()
        return result


class DelayedStore:
    """All methods of MemoryStore. Each call is executed in one step, at some time between the call
    and its answer. With a ``seed`` both are delayed by a random number of turns of the event
    loop."""

    def __init__(self, seed: int | None = None, turns: int = 12) -> None:
        self.inner = MemoryStore()
        self._random = None if seed is None else random.Random(seed)
        self._turns = turns
        self._held: dict[str, list[Held]] = {}
        self._failing: set[str] = set()
        self._refusing: set[str] = set()

    def hold(self, method: str, *, done: bool = False) -> Held:
        """Hold the method's next call. ``done``: execute it at once, and hold only the answer."""
        held = Held()
        if done:
            held.do()
        self._held.setdefault(method, []).append(held)
        return held

    def fail(self, method: str) -> None:
        """Execute the method's next call, and answer it with an error."""
        self._failing.add(method)

    def refuse(self, method: str) -> None:
        """Answer the method's next call with an error, without executing it."""
        self._refusing.add(method)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            if name in self._refusing:
                self._refusing.remove(name)
                raise StoreUnavailable("the store is away")
            result = await method(*args, **kwargs)
            if name in self._failing:
                self._failing.remove(name)
                raise StoreUnavailable("the answer was lost")
            return result

        async def delayed(*args: Any, **kwargs: Any) -> Any:
            if (calls := calls_of_request.get()) is not None:
                calls.append(name)
            if waiting := self._held.get(name):
                return await waiting.pop(0).run(lambda: call(*args, **kwargs))
            await self._wait()
            result = await call(*args, **kwargs)
            await self._wait()
            return result

        return delayed

    async def _wait(self) -> None:
        if self._random is not None:
            for _ in range(self._random.randrange(self._turns)):
                await asyncio.sleep(0)
