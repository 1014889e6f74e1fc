"""One's own typing, as the others should hear of it: seldom, and never for longer than it lasts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

REPEATED_AFTER: Final = 3.0
ENDS_AFTER: Final = 5.0


class TypingNotice:
    """``send`` gets the name of the conversation, and whether one types there."""

    def __init__(self, send: Callable[[str, bool], None]) -> None:
        self._send = send
        self._sent_at: dict[str, float] = {}
        self._ends: dict[str, asyncio.TimerHandle] = {}

    def set(self, name: str, typing: bool) -> None:
        if not typing:
            self.end(name)
            return
        timer = self._ends.pop(name, None)
        if timer is not None:
            timer.cancel()
        self._ends[name] = asyncio.get_running_loop().call_later(ENDS_AFTER, self.end, name)
        now = time.monotonic()
        if now - self._sent_at.get(name, -REPEATED_AFTER) >= REPEATED_AFTER:
            self._sent_at[name] = now
            self._send(name, True)

    def end(self, name: str) -> None:
        timer = self._ends.pop(name, None)
        if timer is not None:
            timer.cancel()
        if self._sent_at.pop(name, None) is not None:
            self._send(name, False)

    def clear(self) -> None:
        """Offline: nobody is told, and the next key starts anew."""
        for timer in self._ends.values():
            timer.cancel()
        self._ends.clear()
        self._sent_at.clear()
