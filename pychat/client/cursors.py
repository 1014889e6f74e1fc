"""One's own delivered and read cursors on their way to the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from pychat import protocol
from pychat.client.errors import RequestRefused, ServerUnreachable

logger = logging.getLogger("pychat.client")

_RETRY_AFTER: Final = 1.0


class Cursors:
    """Of moves that wait, the furthest counts; one request at a time is under way. None is sent
    before the server's list: it may be another server, where the same seq is another message."""

    def __init__(
        self,
        request: Callable[
            [protocol.Event, msgspec.Struct, type[protocol.Answer]], Awaitable[protocol.Answer]
        ],
    ) -> None:
        self._request = request
        self._waiting: dict[tuple[protocol.Event, str], int] = {}
        self._task: asyncio.Task[None] | None = None
        self._listed = False

    def move(self, event: protocol.Event, name: str, seq: int) -> None:
        """``event`` is DELIVERED or READ. Sent at the next ``send``."""
        key = (event, name)
        self._waiting[key] = max(seq, self._waiting.get(key, 0))

    def send(self) -> asyncio.Task[None] | None:
        """Sends what waits; the task that does so, None if nothing waits."""
        if self._listed and self._waiting and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._send())
        return self._task

    def listed(self, reset: set[str]) -> None:
        """The list is here; the moves in these conversations were for other messages."""
        self._waiting = {key: seq for key, seq in self._waiting.items() if key[1] not in reset}
        self._listed = True

    def disconnected(self) -> None:
        """What waits, waits on."""
        self._listed = False
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _send(self) -> None:
        while self._waiting:
            (event, name), seq = next(iter(self._waiting.items()))
            try:
                await self._request(event, protocol.CursorRequest(name, seq), protocol.Answer)
            except ServerUnreachable:
                return
            except RequestRefused as refusal:
                if refusal.code in (protocol.Code.TOO_FAST, protocol.Code.UNAVAILABLE):
                    await asyncio.sleep(refusal.retry_after or _RETRY_AFTER)
                    continue
                logger.warning("the server refused a %s cursor of %s: %s", event, name, refusal)
            if self._waiting.get((event, name)) == seq:
                del self._waiting[(event, name)]
