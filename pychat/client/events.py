"""Events of ``ChatClient.events()``, and the event queue of each subscriber."""

from __future__ import annotations

import asyncio
from collections import deque

from msgspec import Struct

from pychat.client.models import (
    ConversationInfo,
    MessageInfo,
    PendingChange,
    ProfileInfo,
    RoomInfo,
    Status,
)


class StatusChanged(Struct):
    """The connection or the number of messages in the outbox changed."""

    status: Status


class ConversationsLoaded(Struct):
    """The conversation list was loaded from the server. Published after every login."""

    conversations: list[ConversationInfo]


class ConversationChanged(Struct):
    """A conversation was added, or its counters, presence, typing or last message changed."""

    conversation: ConversationInfo


class MessageAdded(Struct):
    """A message was added at the end of its conversation: another user's, or this user's from any
    device. Each message is published once, in the order of ``seq``."""

    message: MessageInfo


class MessageChanged(Struct):
    """A message was stored, refused, retried, edited, reacted to or removed. Match it by
    ``client_id``, or by conversation and ``seq``. A removed message that is no longer cached has
    only these and ``rev``. A recipient's cursors are published as
    ``ConversationChanged``."""

    message: MessageInfo


class ChangeRefused(Struct):
    """The server refused an edit, a reaction or a removal, also one of an earlier run of the
    program. ``MessageChanged`` with the message as it is came before. ``reason`` says in one line
    what was refused and why."""

    change: PendingChange
    reason: str


class MessagesReset(Struct):
    """The cached messages of a conversation are no longer valid: discard what is on screen.

    Reasons: the client missed too many messages to fetch them all, a user was blocked or unblocked,
    or the server has another conversation by this name. The newest page follows as
    ``MessageAdded``; ``history`` returns older messages.
    """

    conversation: str


class RoomsChanged(Struct):
    """The list of the server's rooms changed."""

    rooms: list[RoomInfo]


class MembershipChanged(Struct):
    """Somebody (``by``) has changed what this user is in a room.

    ``role``: ``owner``, ``moderator``, ``member``, ``invited``, or ``none`` after a removal.
    """

    conversation: str
    role: str
    by: str


class ProfileChanged(Struct):
    """This user's alias or status was changed, here or on another device."""

    profile: ProfileInfo


class CacheLost(Struct):
    """The cache file cannot be read or written any more. The client continues in memory: drafts
    and unsent messages are lost when it closes."""

    reason: str


ClientEvent = (
    StatusChanged
    | ConversationsLoaded
    | ConversationChanged
    | MessageAdded
    | MessageChanged
    | ChangeRefused
    | MessagesReset
    | RoomsChanged
    | ProfileChanged
    | MembershipChanged
    | CacheLost
)


class Subscription:
    """Async iterator over events. It ends when the client is closed. Supports one reader."""

    def __init__(self) -> None:
        self._queue: deque[ClientEvent] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._closed = False

    def put(self, event: ClientEvent) -> None:
        self._queue.append(event)
        self._wake()

    def close(self) -> None:
        """End the iteration after the events that are already queued."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> ClientEvent:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._queue.popleft()
