"""Flusher: writes queued data once in each turn of the event loop."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

logger = logging.getLogger("pychat.engine")


class BufferedWriter(Protocol):
    """A connection with queued data."""

    def flush(self) -> None:
        """Write the queued data at once."""


class Flusher:
    """Flushes all connections with queued data, once in each turn of the event loop."""

    __slots__ = ("_loop", "waiting")

    def __init__(self) -> None:
        self.waiting: list[BufferedWriter] = []
        """Scheduled connections. The list object never changes: WebSockets hold it."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, writer: BufferedWriter) -> None:
        """Schedule a connection that had nothing queued before."""
        if not self.waiting:
            self.wake()
        self.waiting.append(writer)

    def wake(self) -> None:
        """Flush in the loop's next turn."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        # A callback of one writer may add others, which are flushed in the next turn.
        writers = self.waiting.copy()
        self.waiting.clear()
        for writer in writers:
            try:
                # A failure of one connection must not affect the others.
                writer.flush()
            except Exception:
                logger.exception("writing to a connection failed")
