"""What a server's polling connections share: sessions, writing, and by when each has to go on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final, Protocol

from pychat.server.engine.heartbeat import Deadlines, Wheel
from pychat.server.engine.polling.answer import AnswerWriter
from pychat.server.engine.polling.transport import BODY_TIMEOUT
from pychat.server.engine.registry import Registry
from pychat.server.engine.websocket.flusher import Flusher

HEAD_TIMEOUT: Final = 10.0
"""Seconds that the head of a request may take."""
KEEP_ALIVE: Final = 75.0
"""Seconds without a request; twice that at most, as nobody counts from the last one."""


class Late(Hashable, Protocol):
    """A connection, told what is due."""

    def may_be_idle(self) -> None: ...

    def head_is_late(self) -> None: ...

    def body_is_late(self) -> None: ...


class Shared:
    """What the connections of a server share. ``max_payload`` is in bytes."""

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
        self.idle: Deadlines[Late] = wheel.add(KEEP_ALIVE, lambda it: it.may_be_idle())
        self.heads: Deadlines[Late] = wheel.add(HEAD_TIMEOUT, lambda it: it.head_is_late())
        self.bodies: Deadlines[Late] = wheel.add(BODY_TIMEOUT, lambda it: it.body_is_late())
