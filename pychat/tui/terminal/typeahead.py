"""TypeAhead: key presses that arrive in a burst act as if they were pressed one by one.

A slow connection delivers many keys at once. Textual hands each key to the widget that has the
focus at that moment, although an earlier key may be about to open a dialog, to close one or to move
the focus. The rest of a search would end up in a message, or a message in another conversation.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from textual.events import Key
from textual.widgets import Input, TextArea

if TYPE_CHECKING:
    from textual.app import App
    from textual.message_pump import MessagePump

QUIET_ROUNDS: Final = 3
"""An effect is complete when no widget has messages left after this many rounds in a row."""
MAX_ROUNDS: Final = 20
"""Keys do not wait longer than this for an app that is never quiet, such as one that receives many
messages. The effect of a key passes through fewer widgets than this."""


class TypeAhead:
    """Hold a key back until the previous one has had its effect.

    The app calls ``admits`` before it handles a key and ``handled`` afterwards. All keys are held
    until ``begin``. No time limit decides: a key waits for as long as the previous one takes.
    """

    def __init__(self, app: App[None]) -> None:
        self._app = app
        self._waiting: deque[Key] = deque()
        self._next: Key | None = None
        """The key that was posted to the app again and is on its way."""
        self._busy = True
        self._settling: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Release the keys pressed so far: a widget has the focus now."""
        self._busy = False
        self._give_next()

    def close(self) -> None:
        """Stop waiting; the app is ending."""
        if self._settling is not None:
            self._settling.cancel()

    def admits(self, key: Key) -> bool:
        """Whether the app may handle this key now. If not, it is posted to the app again later."""
        if key is self._next:
            self._next = None
        elif self._busy:
            self._waiting.append(key)
            return False
        return True

    def handled(self, key: Key) -> None:
        """Wait for the effect of a key that the app has passed to the focused widget."""
        if key.is_printable and isinstance(self._app.focused, Input | TextArea):
            self._give_next()  # it only inserts text: the next keys may queue behind it
            return
        self._busy = True
        self._settling = asyncio.create_task(self._settle())

    async def _settle(self) -> None:
        quiet = 0
        for _ in range(MAX_ROUNDS):
            pumps = self._pumps()
            await _all_processed(pumps)
            quiet = 0 if any(pump.message_queue_size for pump in pumps) else quiet + 1
            if quiet == QUIET_ROUNDS:
                break
        self._busy = False
        self._give_next()

    def _pumps(self) -> list[MessagePump]:
        """Everything that a key can reach: the app, its screens, the widgets of the top screen."""
        screens = self._app.screen_stack
        return [self._app, *screens, *(screens[-1].walk_children() if screens else ())]

    def _give_next(self) -> None:
        if self._waiting and self._next is None:
            self._busy = True
            self._next = self._waiting.popleft()
            self._app.post_message(self._next)
        elif self._next is None:
            self._busy = False


async def _all_processed(pumps: list[MessagePump]) -> None:
    """Wait until each pump has processed the messages that it has now.

    A pump that is closing refuses the callback. One that accepts it runs it even if it closes
    afterwards.
    """
    left = len(pumps)
    done = asyncio.get_running_loop().create_future()

    def processed() -> None:
        nonlocal left
        left -= 1
        if not left and not done.done():
            done.set_result(None)

    for pump in pumps:
        if not pump.call_later(processed):
            processed()
    await done
