"""Writing: messages on their way through the outbox, and what is not sent yet."""

from __future__ import annotations

import asyncio
import time
import uuid
from abc import ABC, abstractmethod

from msgspec import structs

from pychat import protocol
from pychat.client.core import Core
from pychat.client.errors import RequestRefused
from pychat.client.events import MessageChanged
from pychat.client.models import DeliveryStatus, MessageInfo
from pychat.protocol import Event


class MessageWriter(ABC):
    """What of ChatClient sends messages and keeps drafts."""

    _core: Core

    @abstractmethod
    def cached_messages(self, name: str, limit: int = 500) -> list[MessageInfo]:
        """The newest of a conversation, oldest first, with the outbox."""

    async def send(self, to: str, text: str) -> MessageInfo:
        """Returns once the server has stored it, with its id and seq; waits while offline.

        Raises RequestRefused. If this call is cancelled, the message is not sent again, but it may
        have been stored.
        """
        client_id = self.post(to, text).client_id
        try:
            return await self._core.outbox.stored(client_id)
        except (asyncio.CancelledError, RequestRefused):
            if not self._core.closed:
                self.discard(client_id)
            raise

    def post(self, to: str, text: str) -> MessageInfo:
        """Into the outbox, and returns at once: told as ``MessageAdded`` now, and as
        ``MessageChanged`` when it is sent or refused. Raises RequestRefused for what may not be
        sent at all (empty, too long, not a conversation's name).

        A client begun with ``start`` marks the messages above it as read: those that ``events``
        has given by now. What arrives while the message waits in the outbox stays unread. After
        ``connect`` the cursors are the caller's.
        """
        self._core.check_not_closed()
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        try:
            _check_conversation_name(to)
            protocol.check_data(text)
        except protocol.ProtocolError as error:
            raise RequestRefused(error.code, str(error)) from None
        to = self._core.roster.known_name(to)
        message = MessageInfo(
            conversation=to,
            sender=self._core.session.login.user,
            text=text,
            client_id=str(uuid.uuid4()),
            sent_at=time.time(),
            own=True,
            delivery=DeliveryStatus.SENDING,
        )
        self._core.typing_notice.end(to)
        self._core.outbox.add(message)
        self._core.logs.posted(message)
        self._core.roster.posted(message)
        if not self._core.logs.whole:
            self._core.move(Event.READ, to, self._core.logs.told(to))
        return message

    def retry(self, client_id: str) -> None:
        """Sends a FAILED message again, at the end of the outbox."""
        message = self._core.outbox.retry(client_id)
        if message is not None:
            self._core.roster.posted(message)
            self._core.publish(MessageChanged(message))

    def discard(self, client_id: str) -> None:
        """Takes a message out of the outbox: told as ``MessageChanged``, removed."""
        message = self._core.outbox.discard(client_id)
        if message is None:
            return
        self._core.logs.withdrawn(message)
        rest = self.cached_messages(message.conversation, limit=1)
        self._core.roster.unposted(message, rest[-1] if rest else None)
        self._core.publish(MessageChanged(structs.replace(message, removed=True)))

    def typing(self, to: str, typing: bool) -> None:
        """Call it at every key: it is sent every 3 s at most, and stops by itself after 5 s."""
        if self._core.session.connection is not None:
            self._core.typing_notice.set(to, typing)

    def draft(self, name: str) -> str:
        """What was typed in this conversation and not sent; with an empty name, in none yet."""
        return self._core.cache.draft(name)

    def set_draft(self, name: str, text: str) -> None:
        """Keeps it, across restarts where there is a cache file."""
        self._core.cache.save_draft(name, text)
        self._core.settle_soon()


def _check_conversation_name(name: str) -> None:
    if name == protocol.EVERYONE:
        return
    if name.startswith(protocol.ROOM_PREFIX):
        protocol.check_id(name[1:], "room")
    else:
        protocol.check_id(name, "recepient")
