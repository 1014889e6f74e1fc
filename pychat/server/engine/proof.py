"""Proof of receipt, sans-I/O: evidence that a client has processed what was sent to it.

A write to a socket proves nothing: a dead link accepts megabytes. Proof is:

- Engine.IO 4 on a WebSocket: the pong to a ping that was sent after the messages. The client's
  script answers in order.
- Engine.IO 3 on a WebSocket: the pong frame to a ping frame (RFC 6455, section 5.5.3). Browsers
  answer it without the page's script, so it does not count while the script's own heartbeat is
  overdue.
- Engine.IO 3 on any transport, if no pong frame arrives: the second heartbeat of the client from
  now on. The client sends it after our answer to the first one, which follows the messages.
- Polling: the next poll, and the packet that completes an upgrade to a WebSocket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from pychat.server.engine.polling.queue import Polling

_HEARTBEATS: Final = 2


class Pinged(Protocol):
    """What a proof needs from its session."""

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
    """The proof that one session waits for. Only the last callback is kept."""

    __slots__ = ("_answers", "_callback", "_heartbeats", "_pings", "_pongs", "_session")

    def __init__(self, session: Pinged) -> None:
        self._session = session
        self._callback: Callable[[], None] | None = None
        self._answers = 0
        """Polling: number of answers that the client must have received."""
        self._pongs = 0
        """Engine.IO 4: number of pongs to wait for."""
        self._heartbeats = 0
        """Engine.IO 3: number of client pings to wait for."""
        self._pings = 0
        """Engine.IO 3: number of ping frames sent. The number is the frame's payload."""

    def ask(self, callback: Callable[[], None]) -> None:
        """Call back once everything sent until now has been processed, perhaps at once."""
        self._callback = callback
        self._heartbeats = _HEARTBEATS
        polling = self._session.polling
        if polling is None:
            self._ping()
        else:
            self._answers = polling.given + bool(polling.packets)
            self.polled(polling.received)

    def polled(self, answers: int) -> None:
        """The client has received that many answers to its polls."""
        if answers >= self._answers:
            self._proven()

    def upgraded(self, answers: int) -> None:
        """The client received that many answers. The remaining packets went to the WebSocket."""
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
        """Engine.IO 3: the client's WebSocket has answered a ping frame."""
        session = self._session
        if payload == b"%d" % self._pings and not session.heartbeat_overdue:
            self._proven()

    def heartbeat(self) -> None:
        """Engine.IO 3: the client has sent a ping. Called before it is answered."""
        if self._callback is None:
            return
        self._heartbeats -= 1
        if self._heartbeats == 0:
            self._proven()
        elif self._session.polling is None:
            # An earlier pong may not have counted.
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
