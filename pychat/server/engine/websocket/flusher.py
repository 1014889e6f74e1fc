"""What waits to be written, written once a turn of the loop."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

logger = logging.getLogger("pychat.engine")


class BufferedWriter(Protocol):
    """A connection that has something waiting."""

    def flush(self) -> None:
        """Writes it, with one write."""


class Flusher:
    """Writes what the connections have waiting, once a turn of the loop."""

    __slots__ = ("_loop", "waiting")

    def __init__(self) -> None:
        self.waiting: list[BufferedWriter] = []
        """Always this list: see ``add``."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, writer: BufferedWriter) -> None:
        """It has something waiting now, and had nothing before."""
        if not self.waiting:
            self.wake()
        self.waiting.append(writer)

    def wake(self) -> None:
        """They are written in the loop's next turn."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        # A callback of one writer may add others: they are for the next turn.
        writers = self.waiting.copy()
        self.waiting.clear()
        for writer in writers:
            try:
                # One that goes wrong must not keep the others from being written.
                writer.flush()
            except Exception:
                logger.exception("a connection was not written")
