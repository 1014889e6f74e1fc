"""TypeAhead: keys that come faster than they are handled go where they would have gone one by one.

A slow line hands over many keys at once. Textual gives each to what has the focus at that instant,
though one of them may be about to open a dialog, close it, or move the focus: the rest of a search
would be in the message, or a message with another person.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from textual.events import Key
from textual.widgets import Input, TextArea

if TYPE_CHECKING:
    from textual.app import App
    from textual.message_pump import MessagePump

PATIENCE: Final = 0.25
"""Seconds. What takes longer than this, or goes away meanwhile, is not waited for."""


class TypeAhead:
    """``admits`` each key before the app handles it, and is told by ``handed_on`` after. Until
    ``begin`` all wait."""

    def __init__(self, app: App[None]) -> None:
        self._app = app
        self._waiting: deque[Key] = deque()
        self._next: Key | None = None
        """Given to the app again, its turn has come."""
        self._turn = 0
        self._busy = True

    def begin(self) -> None:
        """There is something that has the focus: what was typed until now goes there."""
        self._busy = False
        self._give_next()

    def admits(self, key: Key) -> bool:
        """False: not yet; the app gets it again."""
        if key is self._next:
            self._next = None
        elif self._busy:
            self._waiting.append(key)
            return False
        return True

    def handed_on(self, key: Key) -> None:
        """The app has given it to what has the focus, whose turn it is now."""
        focused = self._app.focused
        if key.is_printable and isinstance(focused, Input | TextArea):
            self._give_next()  # only text: the keys after it may queue behind it
            return
        self._busy = True
        self._turn += 1
        # It may bubble from there to the screen and the app, and each may act on it.
        self._pass_on(self._turn, [focused or self._app.screen, None, self._app, None, self._app])
        self._app.set_timer(PATIENCE, lambda turn=self._turn: self._done(turn))

    def _pass_on(self, turn: int, stations: list[MessagePump | None]) -> None:
        """Behind all that waits at each station; None is the screen there is by then."""
        if not stations:
            self._done(turn)
        else:
            station = stations[0] or self._app.screen
            station.call_later(self._pass_on, turn, stations[1:])

    def _done(self, turn: int) -> None:
        if turn == self._turn and self._busy:
            self._busy = False
            self._give_next()

    def _give_next(self) -> None:
        if self._waiting and self._next is None:
            self._busy = True
            self._next = self._waiting.popleft()
            self._app.post_message(self._next)
        elif self._next is None:
            self._busy = False
