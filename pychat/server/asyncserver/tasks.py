"""Background tasks: kept until they are done, with their failures logged."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger("pychat.engine")


class Tasks:
    """Starts coroutines as tasks.

    From Python 3.12 on, a task runs at once until it first waits.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None] | None] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, coroutine: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        """Start a task. Tasks start in the order of the calls. It may be done when this returns."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        # With a given name, asyncio does not have to make one.
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
        """Wait for the tasks that run now."""
        running = [task for task in self._running if task is not None]
        if running:
            await asyncio.wait(running)

    async def _run(self, coroutine: Coroutine[Any, Any, object]) -> None:
        # A done callback would take another turn of the loop for every event.
        try:
            await coroutine
        except Exception:
            logger.exception("event handler failed")
        finally:
            self._running.discard(asyncio.current_task())
