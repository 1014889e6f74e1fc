"""Outbox: messages that the server has not stored yet. It sends them in order, with retries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec import structs

from pychat import protocol
from pychat.client.errors import RequestRefused
from pychat.client.models import DeliveryStatus, MessageInfo, QuoteInfo
from pychat.client.storage.cache import Cache
from pychat.client.storage.sendqueue import QueuedRequest, SendQueue
from pychat.client.wire import client_message, mentioned_ids, parse, parse_time, with_quote

_LANE: Final = "messages"


class Outbox:
    """Sends posted messages in order, with one unanswered message per conversation.

    A message is sent again with the same ``client_id`` until it is answered, so it is stored once.
    ``on_settled`` is called with each stored message before it leaves the outbox, ``on_stored``
    with each whose answer says that it is stored, and with the rev of its newest change,
    ``on_failed`` with each that the server refused, and ``on_count`` when ``waiting`` has changed.
    """

    def __init__(
        self,
        cache: Cache,
        queue: SendQueue,
        *,
        on_settled: Callable[[MessageInfo], None],
        on_stored: Callable[[MessageInfo, int], None],
        on_failed: Callable[[MessageInfo], None],
        on_count: Callable[[], None],
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._on_settled = on_settled
        self._on_stored = on_stored
        self._on_failed = on_failed
        self._on_count = on_count
        self._entries: dict[str, MessageInfo] = {}
        self._requests: dict[str, QueuedRequest] = {}
        """Requests of the messages to send, by client_id."""
        self._waiters: dict[str, asyncio.Future[MessageInfo]] = {}
        self.user = ""
        """The id that is logged in."""

    def load(self) -> None:
        """Load the outbox from the cache."""
        for message in self._cache.outbox():
            self._entries[message.client_id] = message
            if message.delivery is DeliveryStatus.SENDING:
                # An earlier run of the program may have sent it.
                self._enqueue(message, written=True)

    def _enqueue(self, message: MessageInfo, *, written: bool = False) -> None:
        client_id = message.client_id
        request = QueuedRequest(
            (_LANE, message.conversation),
            protocol.Event.MESSAGE,
            payload=lambda: client_message(self._entries[client_id], self.user),
            on_done=partial(self._done, message),
            on_refused=lambda refusal, _: self._refused(client_id, refusal),
            written=written,
        )
        self._requests[client_id] = request
        self._queue.add(request)

    @property
    def waiting(self) -> int:
        """Number of messages that are not stored yet, without failed ones."""
        return len(self._requests)

    def entries(self, name: str | None = None) -> list[MessageInfo]:
        """Return the messages (of one conversation) with status SENDING or FAILED, oldest first."""
        return [
            message
            for message in self._entries.values()
            if name is None or message.conversation == name
        ]

    def get(self, client_id: str) -> MessageInfo | None:
        """Return the message with this id if it is in the outbox."""
        return self._entries.get(client_id)

    def add(self, message: MessageInfo) -> None:
        """Persist a message and send it as soon as possible."""
        self._cache.save_outgoing(message)
        self._entries[message.client_id] = message
        self._enqueue(message)
        self._on_count()

    def rewrite(self, client_id: str, text: str) -> MessageInfo | None:
        """Replace the text of a message. Returns it, or None if the server may have it already."""
        if self.is_written(client_id):
            return None
        return self._save(structs.replace(self._entries[client_id], text=text))

    def is_written(self, client_id: str) -> bool:
        """Whether a message may have reached the server. It has not if it was refused."""
        request = self._requests.get(client_id)
        return client_id not in self._entries or (request is not None and request.written)

    def requote(
        self, name: str, origin: int, update: Callable[[QuoteInfo], QuoteInfo]
    ) -> list[MessageInfo]:
        """Update the quotes of a message in replies that wait here. Returns those changed."""
        changed = []
        for message in self.entries(name):
            requoted = with_quote(message, origin, update)
            if requoted is not message:
                changed.append(self._save(requoted))
        return changed

    def _save(self, message: MessageInfo) -> MessageInfo:
        self._entries[message.client_id] = message
        self._cache.save_outgoing(message)
        return message

    def stored(self, client_id: str) -> asyncio.Future[MessageInfo]:
        """Return a future for the stored message.

        It raises RequestRefused if the message is refused or discarded.
        """
        return self._waiters.setdefault(client_id, asyncio.get_running_loop().create_future())

    def retry(self, client_id: str) -> MessageInfo | None:
        """Queue a failed message again, as the last of its conversation.

        Returns the message, or None if no failed message has this id.
        """
        message = self._entries.get(client_id)
        if message is None or message.delivery is not DeliveryStatus.FAILED:
            return None
        message = structs.replace(message, delivery=DeliveryStatus.SENDING, error="")
        self._cache.drop_outgoing(client_id)
        del self._entries[client_id]
        self.add(message)
        return message

    def discard(self, client_id: str) -> MessageInfo | None:
        """Delete a message. Returns it, or None if it is no longer in the outbox."""
        message = self._remove(client_id)
        if message is not None:
            self._fail_waiter(client_id, RequestRefused(protocol.Code.NOT_FOUND, "discarded"))
            self._on_count()
        return message

    def settle(self, stored: MessageInfo) -> None:
        """Take a message out because the server has stored it. Ignores messages not in here."""
        if stored.client_id not in self._entries:
            return
        self._on_settled(stored)
        self._remove(stored.client_id)
        waiter = self._waiters.pop(stored.client_id, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(stored)
        self._on_count()

    def _remove(self, client_id: str) -> MessageInfo | None:
        message = self._entries.pop(client_id, None)
        if message is None:
            return None
        self._cache.drop_outgoing(client_id)
        request = self._requests.pop(client_id, None)
        if request is not None:
            self._queue.remove(request)
        return message

    def close(self) -> None:
        """Let the futures of ``stored`` raise RequestRefused."""
        for client_id in list(self._waiters):
            self._fail_waiter(
                client_id, RequestRefused(protocol.Code.UNAVAILABLE, "the client was closed")
            )

    def _done(self, posted: MessageInfo, answer: object) -> None:
        stored = parse(answer, protocol.MessageAnswer)
        message = structs.replace(
            self._entries.get(posted.client_id, posted),
            sender=self.user,
            id=stored.id,
            seq=stored.seq,
            sent_at=parse_time(stored.sent_at),
            mentions=mentioned_ids(stored.mentions),
            delivery=DeliveryStatus.SENT,
        )
        self.settle(message)
        # A message that was discarded in the meantime was delivered to the others all the same.
        self._on_stored(message, stored.rev or 0)

    def _refused(self, client_id: str, refusal: RequestRefused) -> None:
        self._requests.pop(client_id, None)
        failed = self._save(
            structs.replace(
                self._entries[client_id], delivery=DeliveryStatus.FAILED, error=str(refusal)
            )
        )
        self._fail_waiter(client_id, refusal)
        self._on_failed(failed)
        self._on_count()

    def _fail_waiter(self, client_id: str, error: RequestRefused) -> None:
        waiter = self._waiters.pop(client_id, None)
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
