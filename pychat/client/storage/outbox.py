"""What is to be sent: in order, one unanswered message per conversation, until it is answered."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import structs

from pychat import protocol
from pychat.client.errors import AnswerNotUnderstood, RequestRefused
from pychat.client.models import DeliveryStatus, MessageInfo
from pychat.client.storage.cache import Cache
from pychat.client.wire import ANSWER_TIMEOUT, check_refusal, outgoing, parsed, seconds

if TYPE_CHECKING:
    from pychat.client.connection.socket import ServerConnection

_RETRIED: Final = (protocol.Code.UNAUTHORIZED, protocol.Code.TOO_FAST)
_PAUSE_MAX: Final = 30.0


class Outbox:
    """``on_stored`` is called with each message of here that the server has stored, ``on_failed``
    with each that it refused, ``on_count`` when ``waiting`` has changed.
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
        self._unanswered: dict[str, asyncio.TimerHandle] = {}
        self._waiters: dict[str, asyncio.Future[MessageInfo]] = {}
        self._connection: ServerConnection | None = None
        self._user = ""
        self._pause: asyncio.TimerHandle | None = None
        self._pauses = 0

    def load(self) -> None:
        """What the cache kept from before."""
        for message in self._cache.outbox():
            self._entries[message.client_id] = message
            if message.delivery is DeliveryStatus.SENDING:
                self._queues.setdefault(message.conversation, deque()).append(message.client_id)

    @property
    def waiting(self) -> int:
        """How many are still to be stored; those that failed are not."""
        return sum(map(len, self._queues.values()))

    def entries(self, name: str | None = None) -> list[MessageInfo]:
        """Sending and failed, in the order in which they were written."""
        return [
            message
            for message in self._entries.values()
            if name is None or message.conversation == name
        ]

    def add(self, message: MessageInfo) -> None:
        self._cache.save_outgoing(message)
        self._entries[message.client_id] = message
        self._queues.setdefault(message.conversation, deque()).append(message.client_id)
        self._on_count()
        self._send_next(message.conversation)

    def stored(self, client_id: str) -> asyncio.Future[MessageInfo]:
        """Its result is the message as stored; RequestRefused if it failed or was discarded."""
        return self._waiters.setdefault(client_id, asyncio.get_running_loop().create_future())

    def retry(self, client_id: str) -> MessageInfo | None:
        """The message, SENDING again at the end of its conversation's queue; None if there is no
        such message that failed."""
        message = self._entries.get(client_id)
        if message is None or message.delivery is not DeliveryStatus.FAILED:
            return None
        message = structs.replace(message, delivery=DeliveryStatus.SENDING, error="")
        self._cache.drop_outgoing(client_id)
        del self._entries[client_id]
        self.add(message)
        return message

    def discard(self, client_id: str) -> MessageInfo | None:
        """The message, gone from here; None if it was not here any more."""
        message = self._remove(client_id)
        if message is not None:
            self._fail_waiter(client_id, RequestRefused(protocol.Code.NOT_FOUND, "discarded"))
            self._on_count()
            self._send_next(message.conversation)
        return message

    def settle(self, arrived: MessageInfo) -> None:
        """The server has stored ``arrived``, which may have been waiting here until now."""
        message = self._remove(arrived.client_id)
        if message is None:
            return
        waiter = self._waiters.pop(arrived.client_id, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(arrived)
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
            self._answered(message.conversation)
        queue.remove(message.client_id)
        if not queue:
            del self._queues[message.conversation]

    # --- sending ---

    def connected(self, connection: ServerConnection, user: str) -> None:
        """Logged in as ``user``: sends what waits."""
        self._connection = connection
        self._user = user
        self._pauses = 0
        self._send_all()

    def disconnected(self) -> None:
        self._connection = None
        for name in list(self._unanswered):
            self._answered(name)
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def close(self) -> None:
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
        if not queue or connection is None or self._pause is not None or name in self._unanswered:
            return
        message = self._entries[queue[0]]
        sent_at = time.monotonic()
        self._unanswered[name] = asyncio.get_running_loop().call_later(
            ANSWER_TIMEOUT, self._overdue, name, connection, sent_at
        )

        def answered(answer: Any) -> None:
            if connection is self._connection:
                self._on_answer(message, answer)

        connection.send(
            protocol.Event.MESSAGE, msgspec.to_builtins(outgoing(message, self._user)), answered
        )

    def _overdue(self, name: str, connection: ServerConnection, sent_at: float) -> None:
        del self._unanswered[name]
        if connection is not self._connection:
            return
        if connection.last_received > sent_at:
            self._send_next(name)  # the line works, the server is slow
        else:
            connection.abort(f"the server has not answered for {ANSWER_TIMEOUT:.0f} seconds")

    def _answered(self, name: str) -> None:
        timer = self._unanswered.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _on_answer(self, message: MessageInfo, answer: Any) -> None:
        queue = self._queues.get(message.conversation)
        try:
            check_refusal(answer)
            stored = parsed(answer, protocol.MessageAnswer)
        except RequestRefused as refusal:
            if queue and queue[0] == message.client_id:
                self._answered(message.conversation)
                self._refused(message, refusal)
            return
        self._pauses = 0
        arrived = structs.replace(
            message,
            sender=self._user,
            id=stored.id,
            seq=stored.seq,
            sent_at=seconds(stored.sent_at),
            delivery=DeliveryStatus.SENT,
        )
        self.settle(arrived)
        # Told even if it was discarded meanwhile: the others have it.
        self._on_stored(arrived)

    def _refused(self, message: MessageInfo, refusal: RequestRefused) -> None:
        passing = refusal.code in _RETRIED or refusal.code.startswith("5")
        if passing and not isinstance(refusal, AnswerNotUnderstood):
            self._wait(refusal.retry_after)
            return
        self._dequeue(message)
        failed = structs.replace(message, delivery=DeliveryStatus.FAILED, error=str(refusal))
        self._entries[message.client_id] = failed
        self._cache.save_outgoing(failed)
        self._fail_waiter(message.client_id, refusal)
        self._on_failed(failed)
        self._on_count()
        self._send_next(message.conversation)

    def _wait(self, retry_after: float | None) -> None:
        """The server's limits count per user, and its store is one: nothing is sent meanwhile."""
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
