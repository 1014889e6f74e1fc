"""State that a server's polling connections share: sessions, writer, deadlines."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final, Protocol

from pychat.server.engine.answer import AnswerWriter
from pychat.server.engine.heartbeat import Deadlines, Wheel
from pychat.server.engine.polling.transport import BODY_TIMEOUT
from pychat.server.engine.registry import Registry
from pychat.server.engine.websocket.transport import Flusher

HEAD_TIMEOUT: Final = 10.0
"""Time limit for the head of a request, in seconds."""
KEEP_ALIVE: Final = 75.0
"""Seconds without a request before a connection is closed; up to twice as long in practice."""


class Late(Hashable, Protocol):
    """A connection with deadlines."""

    def may_be_idle(self) -> None: ...

    def head_is_late(self) -> None: ...

    def body_is_late(self) -> None: ...

    def abort(self) -> None: ...


class Shared:
    """The shared state. ``max_payload`` is in bytes."""

    def __init__(
        self,
        registry: Registry,
        wheel: Wheel,
        flusher: Flusher,
        *,
        headers: Mapping[str, str],
        max_payload: int,
    ) -> None:
        self.sessions = registry.sessions
        self.forget = registry.forget
        self.flusher = flusher
        self.max_payload = max_payload
        self.write = AnswerWriter(headers)
        self.wheel = wheel
        self.idle: Deadlines[Late] = wheel.add(KEEP_ALIVE, lambda it: it.may_be_idle(), _abort)
        self.heads: Deadlines[Late] = wheel.add(HEAD_TIMEOUT, lambda it: it.head_is_late(), _abort)
        self.bodies: Deadlines[Late] = wheel.add(BODY_TIMEOUT, lambda it: it.body_is_late(), _abort)


def _abort(connection: Late) -> None:
    connection.abort()
