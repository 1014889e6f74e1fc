"""Who is typing, and that it ends by itself: its end may have been lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

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
