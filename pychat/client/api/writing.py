"""Methods of ChatClient that send and change messages, report typing and save drafts."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct, structs

from pychat import protocol
from pychat.client.core import ClientCore
from pychat.client.errors import RequestRefused
from pychat.client.events import MessageChanged
from pychat.client.models import DeliveryStatus, MessageInfo, QuoteInfo
from pychat.client.storage.cache import message_at
from pychat.client.wire import MAX_QUOTED
from pychat.protocol import Event


class MessageWriter:
    """Methods of ChatClient that send and change messages, report typing and save drafts."""

    _core: ClientCore

    async def send(
        self, to: str, text: str, *, client_id: str | None = None, reply_to: int | None = None
    ) -> MessageInfo:
        """Send a message and return it once the server has stored it. Waits while offline.

        ``client_id``, ``reply_to``: see ``post``. Raises RequestRefused. If the call is cancelled,
        the message is not sent again, but the server may have stored it.
        """
        posted = self.post(to, text, client_id=client_id, reply_to=reply_to)
        client_id = posted.client_id
        try:
            return await self._core.outbox.stored(client_id)
        except (asyncio.CancelledError, RequestRefused):
            if not self._core.closed:
                self.discard(client_id)
            raise

    def post(
        self, to: str, text: str, *, client_id: str | None = None, reply_to: int | None = None
    ) -> MessageInfo:
        """Put a message into the outbox and return at once.

        ``client_id``: a UUID, by default a random one. The server stores messages with the same
        one once, also after a restart of the program.
        ``reply_to``: the seq of the message of the conversation that this one answers. The server
        refuses the message with 404 if the user cannot read that one.

        Publishes ``MessageAdded`` now, and ``MessageChanged`` when the message is stored or
        refused. Raises RequestRefused if the text is empty or too long, or ``to`` is not the name
        of a conversation.

        After ``start``, posting marks the messages published so far in the conversation as read.
        Messages that arrive while the message is in the outbox stay unread. After ``connect``, the
        cursors are left to the caller.
        """
        self._core.check_not_closed()
        text = _valid(text)
        with _refused_here():
            _check_conversation_name(to)
            protocol.check_data(text)
        to = self._core.roster.known_name(to)
        message = MessageInfo(
            conversation=to,
            sender=self._core.reconnector.login.user,
            text=text,
            client_id=client_id or str(uuid.uuid4()),
            sent_at=time.time(),
            own=True,
            delivery=DeliveryStatus.SENDING,
            reply_to=None if reply_to is None else self._quote(to, reply_to),
        )
        self._core.typing_notice.stop(to)
        self._core.outbox.add(message)
        self._core.transcripts.posted(message)
        self._core.roster.posted(message)
        if not self._core.transcripts.fetch_all:
            self._core.move_cursor(Event.READ, to, self._core.transcripts.published_seq(to))
        return message

    def _quote(self, name: str, seq: int) -> QuoteInfo:
        found = message_at(self._core.cache, name, seq)
        if found is None or found.removed:
            return QuoteInfo(seq)
        return QuoteInfo(seq, found.sender, found.text[:MAX_QUOTED])

    async def edit(self, message_id: str, text: str) -> None:
        """Replace the text of one of the user's own messages. The last edit wins.

        ``message_id``: the ``id`` of a stored message. Publishes ``MessageChanged``. Raises
        RequestRefused (409 if the message was removed), and ServerUnreachable while offline.
        """
        text = _valid(text)
        with _refused_here():
            protocol.check_data(text)
        await self._change(Event.EDIT, protocol.EditRequest(message_id, text))

    async def react(self, message_id: str, emoji: str, on: bool = True) -> None:
        """Add a reaction to a message, or take it back. Publishes ``MessageChanged``.

        ``emoji``: 1 to 64 bytes without spaces. Raises RequestRefused (409 if the message was
        removed or has too many reactions), and ServerUnreachable while offline.
        """
        emoji = _valid(emoji)
        with _refused_here():
            emoji = protocol.check_emoji(emoji)
        await self._change(Event.REACT, protocol.ReactRequest(message_id, emoji, on))

    async def remove(self, message_id: str) -> None:
        """Remove a message for everybody. Publishes ``MessageChanged``.

        Its sender, the owner of the room and the server's admins may. Raises RequestRefused, and
        ServerUnreachable while offline.
        """
        await self._change(Event.REMOVE, protocol.RemoveRequest(message_id))

    async def _change(self, event: Event, request: Struct) -> None:
        # The server sends ``changed`` before its answer: the message is changed here already.
        await self._core.request(event, request, protocol.Answer)

    def retry(self, client_id: str) -> None:
        """Send a FAILED message again, as the last one in the outbox."""
        message = self._core.outbox.retry(client_id)
        if message is not None:
            self._core.roster.posted(message)
            self._core.publish(MessageChanged(message))

    def discard(self, client_id: str) -> None:
        """Delete a message from the outbox. Publishes ``MessageChanged`` with ``removed`` set."""
        message = self._core.outbox.discard(client_id)
        if message is None:
            return
        name = message.conversation
        self._core.transcripts.discarded(message)
        rest = self._core.outbox.entries(name) or self._core.cache.messages(name, limit=1)
        last = self._core.roster.with_delivery(rest[-1]) if rest else None
        self._core.roster.discarded(message, last)
        self._core.publish(MessageChanged(structs.replace(message, removed=True)))

    def typing(self, to: str, typing: bool) -> None:
        """Report typing. Call it at every key press, and with False when the text is cleared.

        The client sends it every 3 seconds at most, and stops it 5 seconds after the last call.
        """
        if self._core.reconnector.connection is not None:
            self._core.typing_notice.set(to, typing)

    def draft(self, name: str) -> str:
        """Return the draft of a conversation. With an empty name: text for no conversation yet."""
        return self._core.cache.draft(name)

    def set_draft(self, name: str, text: str) -> None:
        """Save the draft of a conversation. With a cache file it survives a restart."""
        self._core.cache.save_draft(name, text)
        self._core.flush_soon()


@contextmanager
def _refused_here() -> Iterator[None]:
    """Raise RequestRefused for what the server would refuse as well."""
    try:
        yield
    except protocol.ProtocolError as error:
        raise RequestRefused(error.code, str(error)) from None


def _valid(text: str) -> str:
    """Return the text with lone surrogates replaced, which UTF-8 cannot encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _check_conversation_name(name: str) -> None:
    """Raise ProtocolError unless the name is a valid login id, ``#roomId`` or ``ALL``."""
    if name == protocol.EVERYONE:
        return
    if name.startswith(protocol.ROOM_PREFIX):
        protocol.check_id(name[1:], "room")
    else:
        protocol.check_id(name, "recepient")
