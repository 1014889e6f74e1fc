"""Queue of requests that are sent until the server has answered them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from pychat import protocol
from pychat.client.errors import InvalidAnswer, RequestRefused
from pychat.client.wire import ANSWER_TIMEOUT, check_refusal

if TYPE_CHECKING:
    from pychat.client.connection.socket import ServerConnection

_RETRIED: Final = (protocol.Code.UNAUTHORIZED, protocol.Code.TOO_FAST)
_PAUSE_MAX: Final = 30.0
"""Upper limit, in seconds, of the pause after a temporary refusal."""

Lane = tuple[str, str]


class QueuedRequest:
    """A request, and what to do with its answer.

    ``payload`` is called each time the request is sent. ``on_done`` is called with an answer of
    code 200 or 202; it removes the request from the queue, or raises InvalidAnswer. ``on_refused``
    is called, with the refusal and the answer, after a final refusal has removed the request.
    """

    def __init__(
        self,
        lane: Lane,
        event: protocol.Event,
        *,
        payload: Callable[[], msgspec.Struct],
        on_done: Callable[[object], None],
        on_refused: Callable[[RequestRefused, object], None],
        written: bool = False,
    ) -> None:
        self.lane = lane
        self.event = event
        self.payload = payload
        self.on_done = on_done
        self.on_refused = on_refused
        self.written = written
        """Whether it may have reached the server, over any connection."""


class SendQueue:
    """Sends requests in lanes: in order, with one unanswered request in each.

    A request is sent again until it is answered, so the server must accept repeats. After a
    temporary refusal all lanes pause: rates are limited per user, and the server has one store.
    """

    def __init__(self) -> None:
        self._lanes: dict[Lane, deque[QueuedRequest]] = {}
        self._timeouts: dict[Lane, asyncio.TimerHandle] = {}
        """Answer timeouts. A lane without one has nothing unanswered."""
        self._connection: ServerConnection | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._pauses = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def add(self, request: QueuedRequest) -> None:
        """Append a request to its lane and send it as soon as possible."""
        self._lanes.setdefault(request.lane, deque()).append(request)
        self._send_next(request.lane)

    def remove(self, request: QueuedRequest) -> None:
        """Take a request out, if it is still in, and send the next one of its lane."""
        lane = self._lanes.get(request.lane)
        if lane is None or request not in lane:
            return
        if lane[0] is request:
            self._cancel_timeout(request.lane)
        lane.remove(request)
        if not lane:
            del self._lanes[request.lane]
        self._send_next(request.lane)

    def connected(self, connection: ServerConnection) -> None:
        """Send the requests over this connection."""
        self._connection = connection
        self._pauses = 0
        self._send_all()

    def disconnected(self) -> None:
        """Stop sending. Unanswered requests are sent again over the next connection."""
        self._connection = None
        for lane in list(self._timeouts):
            self._cancel_timeout(lane)
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _send_all(self) -> None:
        for lane in list(self._lanes):
            self._send_next(lane)

    def _send_next(self, lane: Lane) -> None:
        requests, connection = self._lanes.get(lane), self._connection
        if not requests or connection is None or self._pause is not None or lane in self._timeouts:
            return
        request = requests[0]
        sent_at = time.monotonic()
        self._timeouts[lane] = asyncio.get_running_loop().call_later(
            ANSWER_TIMEOUT, self._timed_out, lane, connection, sent_at
        )

        def answered(answer: object) -> None:
            if connection is self._connection:
                self._on_answer(request, answer)

        # A connection that has just ended sends nothing more.
        request.written = request.written or not connection.closed.done()
        connection.send(request.event, msgspec.to_builtins(request.payload()), answered)

    def _timed_out(self, lane: Lane, connection: ServerConnection, sent_at: float) -> None:
        del self._timeouts[lane]
        if connection is not self._connection:
            return
        if connection.last_received > sent_at:
            self._send_next(lane)  # the connection works, the server is slow
        else:
            connection.abort(f"the server has not answered for {ANSWER_TIMEOUT:.0f} seconds")

    def _cancel_timeout(self, lane: Lane) -> None:
        timer = self._timeouts.pop(lane, None)
        if timer is not None:
            timer.cancel()

    def _on_answer(self, request: QueuedRequest, answer: object) -> None:
        try:
            check_refusal(answer)
            request.on_done(answer)
        except RequestRefused as refusal:
            requests = self._lanes.get(request.lane)
            if requests and requests[0] is request:
                self._cancel_timeout(request.lane)
                self._on_refusal(request, refusal, answer)
        else:
            self._pauses = 0

    def _on_refusal(self, request: QueuedRequest, refusal: RequestRefused, answer: object) -> None:
        temporary = refusal.code in _RETRIED or refusal.code.startswith("5")
        if temporary and not isinstance(refusal, InvalidAnswer):
            self._pause_sending(refusal.retry_after)
            return
        self.remove(request)
        request.on_refused(refusal, answer)

    def _pause_sending(self, retry_after: float | None) -> None:
        if self._pause is not None:
            return
        delay = retry_after or min(_PAUSE_MAX, 2.0**self._pauses)
        self._pauses = min(self._pauses + 1, 10)
        self._pause = asyncio.get_running_loop().call_later(delay, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._send_all()
