"""Tasks that nobody awaits: kept until they are done, their failures logged."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger("pychat.engine")


class Tasks:
    """Runs coroutines, each from its start up to its first wait at once where Python can."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None] | None] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, coroutine: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        """In the order of the calls; it may be done already when this returns."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        # With a name of its own, a task does without one made up for it.
        if sys.version_info >= (3, 12):
            task = asyncio.Task(
                self._run(coroutine), loop=self._loop, name="event", eager_start=True
            )
            if task.done():
                return task
        else:
            task = asyncio.Task(self._run(coroutine), loop=self._loop, name="event")
        self._running.add(task)
        return task

    async def done(self) -> None:
        """Waits for those that run now."""
        running = [task for task in self._running if task is not None]
        if running:
            await asyncio.wait(running)

    async def _run(self, coroutine: Coroutine[Any, Any, object]) -> None:
        # Not a done callback: that would be one more turn of the loop for every event.
        try:
            await coroutine
        except Exception:
            logger.exception("an event's handler failed")
        finally:
            self._running.discard(asyncio.current_task())
