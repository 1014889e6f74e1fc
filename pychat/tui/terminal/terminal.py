"""Terminal: the terminal of this process, restored however the process ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Final, Self

ENDING: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

_GIVE_BACK: Final = (
    b"\x1b[?2004l\x1b[?7h\x1b[?2048l"  # no bracketed paste, line wrapping, no size reports
    b"\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # no mouse
    b"\x1b[?1004l\x1b[<u\x1b[?1036;1039r"  # no focus reports; keys as before
    b"\x1b[?1049l\x1b[?25h\x1b[0m"  # the previous screen, the cursor, no colour
)


class TerminationSignals:
    """A context in which signals that end a process raise SystemExit, with the shell's status.

    ``end``: called in the handler of the first such signal instead. ``but``: a signal that keeps
    its handler.
    """

    def __init__(self, but: int = 0) -> None:
        self._but = but
        self.end: Callable[[int], None] | None = None
        self.received: int | None = None
        """The signal that raised SystemExit. An import or a callback may have swallowed that."""
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in ENDING:
            handler = signal.getsignal(number)
            if handler is not signal.SIG_IGN and number != self._but:  # ignored under nohup
                self._handlers[number] = handler
                signal.signal(number, self._on_signal)
        return self

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        end, self.end = self.end, None
        if end is None:
            self.received = number
            raise SystemExit(128 + number)
        end(number)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self.received is not None:
            raise SystemExit(128 + self.received)


class Terminal(TerminationSignals):
    """A context around the whole program: keys are not echoed and wait for the app, and the
    terminal is restored at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[Any] | None = None
        """The termios attributes from before; None without a terminal."""
        self.taken = False
        """Whether the app draws on the terminal and has changed its modes."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.attributes = _attributes()
        self._set_raw()
        return self

    def _set_raw(self) -> None:
        """Disable echo and translation of keys, without losing what was typed."""
        if self.attributes is None:
            return
        import termios
        import tty

        attributes = _copy(self.attributes)
        attributes[tty.IFLAG] &= ~(
            termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR
        )
        attributes[tty.LFLAG] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
        attributes[tty.CC][termios.VMIN] = 1
        with suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, attributes)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.attributes is not None:
            import termios

            if self.taken:
                with suppress(OSError):
                    os.write(2, _GIVE_BACK)
            with suppress(termios.error):
                termios.tcsetattr(0, termios.TCSANOW, self.attributes)
        super().__exit__(kind, error, traceback)


def _attributes() -> list[Any] | None:
    try:
        import termios
    except ImportError:  # Windows
        return None
    try:
        return termios.tcgetattr(0) if sys.stdin.isatty() else None
    except termios.error:
        return None


def _copy(attributes: list[Any]) -> list[Any]:
    return [list(each) if isinstance(each, list) else each for each in attributes]
