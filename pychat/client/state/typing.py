"""Typing indicators: the user's own, and those of others."""

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


TYPING_SHOWN: Final = 8.0
"""Seconds after which typing ends by itself."""


class Typists:
    """Of all conversations. ``on_change`` is told the name of one and who is typing there now."""

    def __init__(self, on_change: Callable[[str, tuple[str, ...]], None]) -> None:
        self._on_change = on_change
        self._typing: dict[str, dict[str, asyncio.TimerHandle]] = {}

    def started(self, name: str, person: str) -> None:
        """Or still at it."""
        people = self._typing.setdefault(name, {})
        timer = people.get(person)
        if timer is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        people[person] = loop.call_later(TYPING_SHOWN, self.stopped, name, person)
        if timer is None:
            self._on_change(name, tuple(people))

    def stopped(self, name: str, person: str) -> None:
        people = self._typing.get(name, {})
        timer = people.pop(person, None)
        if timer is not None:
            timer.cancel()
            self._on_change(name, tuple(people))

    def all_stopped(self) -> None:
        """Nobody is there to be heard any more."""
        for name, people in self._typing.items():
            for person in list(people):
                self.stopped(name, person)

    def close(self) -> None:
        """Tells nothing more."""
        for people in self._typing.values():
            for timer in people.values():
                timer.cancel()
        self._typing.clear()
