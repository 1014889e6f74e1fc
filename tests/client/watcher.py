"""Waiting for what a client tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pychat.client import ChatClient
from pychat.client.events import ClientEvent, MessageAdded, MessageChanged, StatusChanged
from pychat.client.models import ConnectionState, MessageInfo

E = TypeVar("E")


class Watcher:
    """All events of one client, and a way to wait for the one that comes next."""

    def __init__(self, client: ChatClient) -> None:
        self.client = client
        self.seen: list[ClientEvent] = []
        self._events = client.events()

    async def next(
        self, kind: type[E], matches: Callable[[E], bool] = lambda _: True, within: float = 60
    ) -> E:
        """The next of this kind that matches; the ones before it are in ``seen``."""
        async with asyncio.timeout(within):
            async for event in self._events:
                self.seen.append(event)
                if isinstance(event, kind) and matches(event):
                    return event
        raise AssertionError(f"the client was closed before its {kind.__name__}")

    async def state(self, state: ConnectionState) -> StatusChanged:
        """The next change to this state, or now if it is the state already."""
        if self.client.status.state is state:
            return StatusChanged(self.client.status)
        return await self.next(StatusChanged, lambda event: event.status.state is state)

    async def added(self, text: str) -> MessageInfo:
        return (await self.next(MessageAdded, lambda event: event.message.text == text)).message

    async def changed(self, **to: Any) -> MessageInfo:
        """The next change of a message to these values."""
        event = await self.next(
            MessageChanged,
            lambda event: all(getattr(event.message, key) == value for key, value in to.items()),
        )
        return event.message

    @property
    def texts(self) -> list[str]:
        """Of the messages added until now, in their order."""
        return [event.message.text for event in self.seen if isinstance(event, MessageAdded)]


@asynccontextmanager
async def started(client: ChatClient) -> AsyncIterator[Watcher]:
    """The client at work in the background, as a terminal has it; closed at the end."""
    watcher = Watcher(client)
    client.start()
    try:
        yield watcher
    finally:
        await client.close()
