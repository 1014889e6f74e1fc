"""Methods of ChatClient that send messages, report typing and save drafts."""

from __future__ import annotations

import asyncio
import time
import uuid

from msgspec import structs

from pychat import protocol
from pychat.client.core import ClientCore
from pychat.client.errors import RequestRefused
from pychat.client.events import MessageChanged
from pychat.client.models import DeliveryStatus, MessageInfo
from pychat.protocol import Event


class MessageWriter:
    """Methods of ChatClient that send messages, report typing and save drafts."""

    _core: ClientCore

    async def send(self, to: str, text: str, *, client_id: str | None = None) -> MessageInfo:
        """Send a message and return it once the server has stored it. Waits while offline.

        ``client_id``: see ``post``. Raises RequestRefused. If the call is cancelled, the message is
        not sent again, but the server may have stored it.
        """
        client_id = self.post(to, text, client_id=client_id).client_id
        try:
            return await self._core.outbox.stored(client_id)
        except (asyncio.CancelledError, RequestRefused):
            if not self._core.closed:
                self.discard(client_id)
            raise

    def post(self, to: str, text: str, *, client_id: str | None = None) -> MessageInfo:
        """Put a message into the outbox and return at once.

        ``client_id``: a UUID, by default a random one. The server stores messages with the same
        one once, also after a restart of the program.

        Publishes ``MessageAdded`` now, and ``MessageChanged`` when the message is stored or
        refused. Raises RequestRefused if the text is empty or too long, or ``to`` is not the name
        of a conversation.

        After ``start``, posting marks the messages published so far in the conversation as read.
        Messages that arrive while the message is in the outbox stay unread. After ``connect``, the
        cursors are left to the caller.
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
            sender=self._core.reconnector.login.user,
            text=text,
            client_id=client_id or str(uuid.uuid4()),
            sent_at=time.time(),
            own=True,
            delivery=DeliveryStatus.SENDING,
        )
        self._core.typing_notice.stop(to)
        self._core.outbox.add(message)
        self._core.transcripts.posted(message)
        self._core.roster.posted(message)
        if not self._core.transcripts.fetch_all:
            self._core.move_cursor(Event.READ, to, self._core.transcripts.published_seq(to))
        return message

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


def _check_conversation_name(name: str) -> None:
    """Raise ProtocolError unless the name is a valid login id, ``#roomId`` or ``ALL``."""
    if name == protocol.EVERYONE:
        return
    if name.startswith(protocol.ROOM_PREFIX):
        protocol.check_id(name[1:], "room")
    else:
        protocol.check_id(name, "recepient")
