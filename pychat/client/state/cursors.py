"""Delivered and read cursors, and the unread counts that follow from them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from pychat import protocol
from pychat.client.errors import RequestRefused, ServerUnreachable
from pychat.client.models import ConversationInfo
from pychat.client.storage.cache import Cache


def unread_after(cache: Cache, known: ConversationInfo, seq: int) -> tuple[int, bool]:
    """What ``known.unread`` becomes when everything up to ``seq`` is read, at most MAX_UNREAD; and
    whether that is certain: only the server knows which of the messages in between are one's own.
    """
    left = known.last_seq - seq
    if left <= 0 or (not known.unread and seq >= known.read_seq):
        return 0, True
    rest = cache.messages_after(known.name, seq)
    if rest and rest[-1].seq >= known.last_seq:
        others = sum(not each.own and not each.removed for each in rest)
        return min(others, protocol.MAX_UNREAD), True
    if known.unread >= protocol.MAX_UNREAD:
        return min(left, protocol.MAX_UNREAD), False
    # Rather one too many than a conversation that seems to be read.
    return max(1, min(left, known.unread - (seq - known.read_seq))), False


def merged(
    cache: Cache, listed: ConversationInfo, known: ConversationInfo
) -> tuple[ConversationInfo, bool]:
    """The listed record, set right: the list may have been made before what has arrived, or was
    read or sent, meanwhile. And whether ``unread`` is certain."""
    certain = True
    read_seq = max(listed.read_seq, known.read_seq)
    if known.last_seq > listed.last_seq:
        listed.last_seq, listed.last = known.last_seq, known.last
        listed.read_seq, listed.unread = known.read_seq, known.unread
    if read_seq > listed.read_seq:
        listed.unread, certain = unread_after(cache, listed, read_seq)
        listed.read_seq = read_seq
    listed.delivered_seq = max(listed.delivered_seq, known.delivered_seq)
    return listed, certain


logger = logging.getLogger("pychat.client")

_RETRY_AFTER: Final = 1.0


class CursorSender:
    """Of moves that wait, the furthest counts; one request at a time is under way.

    The move of a conversation is sent once ``confirm`` says that the server has the messages it was
    made for: in another store at the same address the same seq is another message.
    """

    def __init__(
        self,
        request: Callable[
            [protocol.Event, msgspec.Struct, type[protocol.Answer]], Awaitable[protocol.Answer]
        ],
    ) -> None:
        self._request = request
        self._waiting: dict[tuple[protocol.Event, str], int] = {}
        self._task: asyncio.Task[None] | None = None
        self._confirmed: set[str] = set()

    def move(self, event: protocol.Event, name: str, seq: int) -> None:
        """``event`` is DELIVERED or READ. Sent at the next ``send``."""
        key = (event, name)
        self._waiting[key] = max(seq, self._waiting.get(key, 0))

    def send(self) -> asyncio.Task[None] | None:
        """Sends what waits; the task that does so, None if nothing waits."""
        if self._next() is not None and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._send())
        return self._task

    def confirm(self, name: str) -> None:
        """The server has the messages of this conversation that were told."""
        self._confirmed.add(name)

    def reset(self, name: str) -> None:
        """The moves in this conversation were for other messages than the server has."""
        self._confirmed.discard(name)
        self._waiting = {key: seq for key, seq in self._waiting.items() if key[1] != name}

    def disconnected(self) -> None:
        """What waits, waits on; the next connection may be to another store."""
        self._confirmed.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _next(self) -> tuple[protocol.Event, str] | None:
        return next((key for key in self._waiting if key[1] in self._confirmed), None)

    async def _send(self) -> None:
        while (key := self._next()) is not None:
            (event, name), seq = key, self._waiting[key]
            try:
                await self._request(event, protocol.CursorRequest(name, seq), protocol.Answer)
            except ServerUnreachable:
                return
            except RequestRefused as refusal:
                if refusal.code in (protocol.Code.TOO_FAST, protocol.Code.UNAVAILABLE):
                    await asyncio.sleep(refusal.retry_after or _RETRY_AFTER)
                    continue
                logger.warning("the server refused a %s cursor of %s: %s", event, name, refusal)
            if self._waiting.get(key) == seq:
                del self._waiting[key]
