"""Wait for the events of a client."""

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
    """Records all events of a client, and waits for the next one."""

    def __init__(self, client: ChatClient) -> None:
        self.client = client
        self.seen: list[ClientEvent] = []
        self._events = client.events()

    async def next(
        self, kind: type[E], matches: Callable[[E], bool] = lambda _: True, within: float = 60
    ) -> E:
        """Return the next event of this type that matches. Skipped events are in ``seen``."""
        async with asyncio.timeout(within):
            async for event in self._events:
                self.seen.append(event)
                if isinstance(event, kind) and matches(event):
                    return event
        raise AssertionError(f"the client was closed before its {kind.__name__}")

    async def state(self, state: ConnectionState) -> StatusChanged:
        """Wait for this state. Returns at once if it is the current one."""
        if self.client.status.state is state:
            return StatusChanged(self.client.status)
        return await self.next(StatusChanged, lambda event: event.status.state is state)

    async def added(self, text: str) -> MessageInfo:
        return (await self.next(MessageAdded, lambda event: event.message.text == text)).message

    async def changed(self, **to: Any) -> MessageInfo:
        """Wait until a message changes to these values."""
        event = await self.next(
            MessageChanged,
            lambda event: all(getattr(event.message, key) == value for key, value in to.items()),
        )
        return event.message

    @property
    def texts(self) -> list[str]:
        """The texts of the messages added so far, in order."""
        return [event.message.text for event in self.seen if isinstance(event, MessageAdded)]


@asynccontextmanager
async def started(client: ChatClient) -> AsyncIterator[Watcher]:
    """Start the client in the background, and close it at the end."""
    watcher = Watcher(client)
    client.start()
    try:
        yield watcher
    finally:
        await client.close()
