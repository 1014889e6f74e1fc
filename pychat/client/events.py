"""Events of ``ChatClient.events()``, and the queue of each subscriber."""

from __future__ import annotations

import asyncio
from collections import deque

from msgspec import Struct

from pychat.client.models import ConversationInfo, MessageInfo, RoomInfo, Status


class StatusChanged(Struct):
    """The connection or the outbox changed."""

    status: Status


class ConversationsLoaded(Struct):
    """The whole list is (again) what the server says: after every (re)connect."""

    conversations: list[ConversationInfo]


class ConversationChanged(Struct):
    """New, or its counters, presence, typing or last line changed."""

    conversation: ConversationInfo


class MessageAdded(Struct):
    """A message at the end of its conversation: somebody's, or one's own, from here or another
    device. Each message is told once, seqs ascending."""

    message: MessageInfo


class MessageChanged(Struct):
    """The same message (by ``client_id``, or by conversation and seq) has a new state: sent,
    failed, removed. Delivered and read are told by ``ConversationChanged`` cursors."""

    message: MessageInfo


class MessagesReset(Struct):
    """Too much was missed to fetch it all, or somebody was blocked or unblocked, or it is another
    conversation by that name: what ``cached_messages`` knew of it is gone. What was not delivered
    yet follows as ``MessageAdded``, from the newest page on; ``history`` has the rest. A view
    starts anew."""

    conversation: str


class RoomsChanged(Struct):
    """The server's rooms."""

    rooms: list[RoomInfo]


class CacheLost(Struct):
    """The cache file cannot be read or written any more: all goes on in memory, and drafts and
    unsent messages end with this client."""

    reason: str


ClientEvent = (
    StatusChanged
    | ConversationsLoaded
    | ConversationChanged
    | MessageAdded
    | MessageChanged
    | MessagesReset
    | RoomsChanged
    | CacheLost
)


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
