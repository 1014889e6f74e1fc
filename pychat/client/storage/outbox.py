"""Outbox: messages that the server has not stored yet. It sends them in order, with retries."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import structs

from pychat import protocol
from pychat.client.errors import InvalidAnswer, RequestRefused
from pychat.client.models import DeliveryStatus, MessageInfo, QuoteInfo
from pychat.client.storage.cache import Cache
from pychat.client.wire import (
    ANSWER_TIMEOUT,
    check_refusal,
    client_message,
    parse,
    parse_time,
    with_quote,
)

if TYPE_CHECKING:
    from pychat.client.connection.socket import ServerConnection

_RETRIED: Final = (protocol.Code.UNAUTHORIZED, protocol.Code.TOO_FAST)
_PAUSE_MAX: Final = 30.0
"""Upper limit, in seconds, of the pause after a temporary refusal."""


class Outbox:
    """Sends posted messages in order, with one unanswered message per conversation.

    A message is sent again with the same ``client_id`` until it is answered, so it is stored once.
    ``on_stored`` is called with each message whose answer says that it is stored, ``on_failed``
    with each that the server refused, and ``on_count`` when ``waiting`` has changed.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        on_stored: Callable[[MessageInfo], None],
        on_failed: Callable[[MessageInfo], None],
        on_count: Callable[[], None],
    ) -> None:
        self._cache = cache
        self._on_stored = on_stored
        self._on_failed = on_failed
        self._on_count = on_count
        self._entries: dict[str, MessageInfo] = {}
        self._queues: dict[str, deque[str]] = {}
        """client_ids to send, by conversation."""
        self._timeouts: dict[str, asyncio.TimerHandle] = {}
        """Answer timeouts, by conversation. A conversation without one has nothing unanswered."""
        self._waiters: dict[str, asyncio.Future[MessageInfo]] = {}
        self._connection: ServerConnection | None = None
        self._user = ""
        self._pause: asyncio.TimerHandle | None = None
        self._pauses = 0

    def load(self) -> None:
        """Load the outbox from the cache."""
        for message in self._cache.outbox():
            self._entries[message.client_id] = message
            if message.delivery is DeliveryStatus.SENDING:
                self._queues.setdefault(message.conversation, deque()).append(message.client_id)

    @property
    def waiting(self) -> int:
        """Number of messages that are not stored yet, without failed ones."""
        return sum(map(len, self._queues.values()))

    def entries(self, name: str | None = None) -> list[MessageInfo]:
        """Return the messages (of one conversation) with status SENDING or FAILED, oldest first."""
        return [
            message
            for message in self._entries.values()
            if name is None or message.conversation == name
        ]

    def add(self, message: MessageInfo) -> None:
        """Persist a message and send it as soon as possible."""
        self._cache.save_outgoing(message)
        self._entries[message.client_id] = message
        self._queues.setdefault(message.conversation, deque()).append(message.client_id)
        self._on_count()
        self._send_next(message.conversation)

    def requote(
        self, name: str, origin: int, update: Callable[[QuoteInfo], QuoteInfo]
    ) -> list[MessageInfo]:
        """Update the quotes of a message in replies that wait here. Returns those changed."""
        changed = []
        for message in self.entries(name):
            requoted = with_quote(message, origin, update)
            if requoted is not message:
                self._entries[message.client_id] = requoted
                self._cache.save_outgoing(requoted)
                changed.append(requoted)
        return changed

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
            self._send_next(message.conversation)
        return message

    def settle(self, stored: MessageInfo) -> None:
        """Take a message out because the server has stored it. Ignores messages not in here."""
        message = self._remove(stored.client_id)
        if message is None:
            return
        waiter = self._waiters.pop(stored.client_id, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(stored)
        self._on_count()
        self._send_next(message.conversation)

    def _remove(self, client_id: str) -> MessageInfo | None:
        message = self._entries.pop(client_id, None)
        if message is None:
            return None
        self._cache.drop_outgoing(client_id)
        self._dequeue(message)
        return message

    def _dequeue(self, message: MessageInfo) -> None:
        queue = self._queues.get(message.conversation)
        if queue is None or message.client_id not in queue:
            return
        if queue[0] == message.client_id:
            self._cancel_timeout(message.conversation)
        queue.remove(message.client_id)
        if not queue:
            del self._queues[message.conversation]

    # --- sending ---

    def connected(self, connection: ServerConnection, user: str) -> None:
        """Send the queued messages over this connection. ``user``: the id that is logged in."""
        self._connection = connection
        self._user = user
        self._pauses = 0
        self._send_all()

    def disconnected(self) -> None:
        """Stop sending. Unanswered messages are sent again over the next connection."""
        self._connection = None
        for name in list(self._timeouts):
            self._cancel_timeout(name)
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def close(self) -> None:
        """Stop sending. Futures of ``stored`` raise RequestRefused."""
        self.disconnected()
        for client_id in list(self._waiters):
            self._fail_waiter(
                client_id, RequestRefused(protocol.Code.UNAVAILABLE, "the client was closed")
            )

    def _send_all(self) -> None:
        for name in list(self._queues):
            self._send_next(name)

    def _send_next(self, name: str) -> None:
        queue = self._queues.get(name)
        connection = self._connection
        if not queue or connection is None or self._pause is not None or name in self._timeouts:
            return
        message = self._entries[queue[0]]
        sent_at = time.monotonic()
        self._timeouts[name] = asyncio.get_running_loop().call_later(
            ANSWER_TIMEOUT, self._timed_out, name, connection, sent_at
        )

        def answered(answer: object) -> None:
            if connection is self._connection:
                self._on_answer(message, answer)

        payload = msgspec.to_builtins(client_message(message, self._user))
        connection.send(protocol.Event.MESSAGE, payload, answered)

    def _timed_out(self, name: str, connection: ServerConnection, sent_at: float) -> None:
        del self._timeouts[name]
        if connection is not self._connection:
            return
        if connection.last_received > sent_at:
            self._send_next(name)  # the connection works, the server is slow
        else:
            connection.abort(f"the server has not answered for {ANSWER_TIMEOUT:.0f} seconds")

    def _cancel_timeout(self, name: str) -> None:
        timer = self._timeouts.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _on_answer(self, message: MessageInfo, answer: object) -> None:
        queue = self._queues.get(message.conversation)
        try:
            check_refusal(answer)
            stored = parse(answer, protocol.MessageAnswer)
        except RequestRefused as refusal:
            if queue and queue[0] == message.client_id:
                self._cancel_timeout(message.conversation)
                self._on_refusal(message, refusal)
            return
        self._pauses = 0
        message = structs.replace(
            message,
            sender=self._user,
            id=stored.id,
            seq=stored.seq,
            sent_at=parse_time(stored.sent_at),
            delivery=DeliveryStatus.SENT,
        )
        self.settle(message)
        # A message that was discarded in the meantime was delivered to the others all the same.
        self._on_stored(message)

    def _on_refusal(self, message: MessageInfo, refusal: RequestRefused) -> None:
        temporary = refusal.code in _RETRIED or refusal.code.startswith("5")
        if temporary and not isinstance(refusal, InvalidAnswer):
            self._pause_sending(refusal.retry_after)
            return
        self._dequeue(message)
        failed = structs.replace(message, delivery=DeliveryStatus.FAILED, error=str(refusal))
        self._entries[message.client_id] = failed
        self._cache.save_outgoing(failed)
        self._fail_waiter(message.client_id, refusal)
        self._on_failed(failed)
        self._on_count()
        self._send_next(message.conversation)

    def _pause_sending(self, retry_after: float | None) -> None:
        """Pause all conversations: the rate limit is per user, and the server has one store."""
        if self._pause is not None:
            return
        delay = retry_after or min(_PAUSE_MAX, 2.0**self._pauses)
        self._pauses = min(self._pauses + 1, 10)
        self._pause = asyncio.get_running_loop().call_later(delay, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._send_all()

    def _fail_waiter(self, client_id: str, error: RequestRefused) -> None:
        waiter = self._waiters.pop(client_id, None)
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
