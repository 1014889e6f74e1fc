"""One reader's queue of what the client tells."""

from __future__ import annotations

import asyncio
from collections import deque

from pychat.client.events import ClientEvent


class Subscription:
    """An iterator that ends when the client is closed. One reader at a time."""

    def __init__(self) -> None:
        self._waiting: deque[ClientEvent] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._closed = False

    def put(self, event: ClientEvent) -> None:
        self._waiting.append(event)
        self._wake()

    def close(self) -> None:
        """What waits is still given."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> ClientEvent:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._waiting.popleft()
