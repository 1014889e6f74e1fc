"""Send the user's delivered and read cursors to the server."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from pychat import protocol
from pychat.client.errors import RequestRefused, ServerUnreachable
from pychat.client.wire import SendRequest

logger = logging.getLogger("pychat.client")

_RETRY_AFTER: Final = 1.0
"""Seconds to wait after a temporary refusal that does not say how long."""


class CursorSender:
    """Sends cursors one request at a time, and only the furthest position of each.

    A cursor waits until ``confirm`` says that the server has the messages it stands for. If another
    store answers at the same address, the same seq is another message.
    """

    def __init__(self, request: SendRequest) -> None:
        self._request = request
        self._pending: dict[tuple[protocol.Event, str], int] = {}
        self._task: asyncio.Task[None] | None = None
        self._confirmed: set[str] = set()

    def move(self, event: protocol.Event, name: str, seq: int) -> None:
        """Queue a cursor for the next ``send``. ``event``: DELIVERED or READ."""
        key = (event, name)
        self._pending[key] = max(seq, self._pending.get(key, seq))

    def send(self) -> asyncio.Task[None] | None:
        """Send the queued cursors. Returns the running task, or None if there is none."""
        if self._next() is not None and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._send())
        return self._task

    def confirm(self, name: str) -> None:
        """Record that the server has the published messages of this conversation."""
        self._confirmed.add(name)

    def reset(self, name: str) -> None:
        """Drop the queued cursors: the server has other messages in this conversation."""
        self._confirmed.discard(name)
        self._pending = {key: seq for key, seq in self._pending.items() if key[1] != name}

    def disconnected(self) -> None:
        """Keep the queue, but unconfirmed: the next connection may be to another store."""
        self._confirmed.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _next(self) -> tuple[protocol.Event, str] | None:
        return next((key for key in self._pending if key[1] in self._confirmed), None)

    async def _send(self) -> None:
        while (key := self._next()) is not None:
            (event, name), seq = key, self._pending[key]
            try:
                await self._request(event, protocol.CursorRequest(name, seq), protocol.Answer)
            except ServerUnreachable:
                return
            except RequestRefused as refusal:
                if refusal.code in (protocol.Code.TOO_FAST, protocol.Code.UNAVAILABLE):
                    await asyncio.sleep(refusal.retry_after or _RETRY_AFTER)
                    continue
                logger.warning("cursor refused: %s %s %s", event, name, refusal)
            if self._pending.get(key) == seq:
                del self._pending[key]
