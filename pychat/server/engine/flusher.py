"""What waits to be written, written once a turn of the loop."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

logger = logging.getLogger("pychat.engine")


class Writer(Protocol):
    """A connection that has something waiting."""

    def flush(self) -> None:
        """Writes it, with one write."""


class Flusher:
    """Writes what the connections have waiting, once a turn of the loop."""

    def __init__(self) -> None:
        self._waiting: list[Writer] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, writer: Writer) -> None:
        """It has something waiting now, and had nothing before."""
        if not self._waiting:
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._flush)
        self._waiting.append(writer)

    def _flush(self) -> None:
        # A callback of one writer may add others: they go into the next list.
        writers, self._waiting = self._waiting, []
        for writer in writers:
            try:
                # One that goes wrong must not keep the others from being written.
                writer.flush()
            except Exception:
                logger.exception("a connection was not written")
