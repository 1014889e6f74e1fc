"""Proof of receipt, sans-I/O: when a client has shown that it processed what was sent to it.

A write to a socket proves nothing: a dead link takes megabytes. What does prove it:

- Engine.IO 4 on a websocket: the pong to a ping that is sent after the messages. The client's
  script answers it, in order.
- Engine.IO 3 on a websocket: the pong frame to a ping frame (RFC 6455, section 5.5.3). A browser
  answers it without the page's script, so it does not count while the script's own heartbeat is
  overdue.
- Engine.IO 3 on any transport, where pong frames are lost: the client's second heartbeat from now
  on. It sends that one after our answer to the first, which follows the messages.
- Polling: the next poll, and the packet that ends an upgrade to a websocket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from pychat.server.engine.polling.queue import Polling

_HEARTBEATS: Final = 2


class Pinged(Protocol):
    """What a proof needs of its session."""

    @property
    def protocol(self) -> int: ...

    @property
    def polling(self) -> Polling | None: ...

    @property
    def unanswered_pings(self) -> int: ...

    @property
    def heartbeat_overdue(self) -> bool: ...

    def ping(self) -> None: ...

    def ping_frame(self, payload: bytes) -> None: ...


class Proof:
    """What one session waits for. One callback at a time: the last one that was asked for."""

    __slots__ = ("_answers", "_callback", "_heartbeats", "_pings", "_pongs", "_session")

    def __init__(self, session: Pinged) -> None:
        self._session = session
        self._callback: Callable[[], None] | None = None
        self._answers = 0
        """Polling: the number of answers that the client must have received."""
        self._pongs = 0
        """Engine.IO 4: pongs that are still to come."""
        self._heartbeats = 0
        """Engine.IO 3: the client's pings that are still to come."""
        self._pings = 0
        """Engine.IO 3: ping frames sent. Each one's payload is its number."""

    def ask(self, callback: Callable[[], None]) -> None:
        """Call back once everything sent until now has been processed; perhaps at once."""
        self._callback = callback
        self._heartbeats = _HEARTBEATS
        polling = self._session.polling
        if polling is None:
            self._ping()
        else:
            self._answers = polling.given + bool(polling.packets)
            self.polled(polling.received)

    def polled(self, answers: int) -> None:
        """The client has received so many answers to its polls."""
        if answers >= self._answers:
            self._proven()

    def upgraded(self, answers: int) -> None:
        """The client has received so many answers; the rest is on the websocket now."""
        if answers >= self._answers:
            self._proven()
        elif self._callback is not None:
            self._ping()

    def pong(self) -> None:
        """Engine.IO 4: the client has answered a ping."""
        if self._pongs:
            self._pongs -= 1
            if self._pongs == 0:
                self._proven()

    def pong_frame(self, payload: bytes) -> None:
        """Engine.IO 3: the client's websocket has answered a ping frame."""
        session = self._session
        if payload == b"%d" % self._pings and not session.heartbeat_overdue:
            self._proven()

    def heartbeat(self) -> None:
        """Engine.IO 3: the client's ping, before it is answered."""
        if self._callback is None:
            return
        self._heartbeats -= 1
        if self._heartbeats == 0:
            self._proven()
        elif self._session.polling is None:
            # The pong may have come while it did not count.
            self._ping()

    def _ping(self) -> None:
        session = self._session
        if session.protocol == 4:
            session.ping()
            self._pongs = session.unanswered_pings
        else:
            self._pings += 1
            session.ping_frame(b"%d" % self._pings)

    def _proven(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()
