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
        self._running: set[asyncio.Task[None]] = set()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """In the order of the calls; it may be done already when this returns."""
        loop = asyncio.get_running_loop()
        if sys.version_info >= (3, 12):
            task = asyncio.Task(coroutine, loop=loop, eager_start=True)
        else:
            task = loop.create_task(coroutine)
        if task.done():
            self._finished(task)
        else:
            self._running.add(task)
            task.add_done_callback(self._finished)
        return task

    async def done(self) -> None:
        """Waits for those that run now."""
        if self._running:
            await asyncio.wait(self._running)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("an event's handler failed", exc_info=error)
