"""Typing indicators: report the user's own typing, and track that of others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

REPEAT_INTERVAL: Final = 3.0
"""Seconds between two notices while the user keeps typing."""
IDLE_TIMEOUT: Final = 5.0
"""Seconds after the last key when the user counts as no longer typing."""
TYPING_SHOWN: Final = 8.0
"""Seconds after the last notice of another user when the indicator disappears."""


class TypingNotice:
    """Reports the user's typing. ``send`` is called with a conversation and whether the user types
    in it."""

    def __init__(self, send: Callable[[str, bool], None]) -> None:
        self._send = send
        self._sent_at: dict[str, float] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def set(self, name: str, typing: bool) -> None:
        """Report a key press, or that the text was cleared or sent."""
        if not typing:
            self.stop(name)
            return
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(IDLE_TIMEOUT, self.stop, name)
        now = loop.time()
        if now - self._sent_at.get(name, -REPEAT_INTERVAL) >= REPEAT_INTERVAL:
            self._sent_at[name] = now
            self._send(name, True)

    def stop(self, name: str) -> None:
        """Report the end of typing, if its beginning was reported."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        if self._sent_at.pop(name, None) is not None:
            self._send(name, False)

    def clear(self) -> None:
        """Forget everything without sending. Call it when the connection is lost."""
        while self._timers:
            _, timer = self._timers.popitem()
            timer.cancel()
        self._sent_at.clear()


class Typists:
    """Other users who are typing, by conversation.

    ``on_change`` is called with a conversation and the ids of those who are typing in it now.
    """

    def __init__(self, on_change: Callable[[str, tuple[str, ...]], None]) -> None:
        self._on_change = on_change
        self._typing: dict[str, dict[str, asyncio.TimerHandle]] = {}

    def started(self, name: str, user: str) -> None:
        """Record that the user has started typing or is still typing."""
        users = self._typing.setdefault(name, {})
        timer = users.get(user)
        if timer is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        users[user] = loop.call_later(TYPING_SHOWN, self.stopped, name, user)
        if timer is None:
            self._on_change(name, tuple(users))

    def stopped(self, name: str, user: str) -> None:
        """Record that the user has stopped typing."""
        users = self._typing.get(name, {})
        timer = users.pop(user, None)
        if timer is not None:
            timer.cancel()
            self._on_change(name, tuple(users))

    def all_stopped(self) -> None:
        """Clear all indicators. Call it when the connection is lost, and at the end."""
        for name, users in self._typing.items():
            for user in list(users):
                self.stopped(name, user)
