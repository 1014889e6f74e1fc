"""TerminalDriver: Textual's driver with suspend, more keys, and a terminal that is given back."""

from __future__ import annotations

import asyncio
import io
import os
import selectors
import signal
from codecs import getincrementaldecoder
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from textual import constants
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from pychat.tui.terminal.keyboard import Keyboard
from pychat.tui.text.graphemes import EmojiFitter

if TYPE_CHECKING:
    from pychat.tui.terminal.app import TerminalApp

# xterm: Alt sends Esc before a key instead of another letter; the title is saved on a stack.
_TAKE: Final = "\x1b[?1036;1039s\x1b[?1036;1039h\x1b[22;2t"
_GIVE_BACK: Final = "\x1b[?1036;1039r\x1b[23;2t"
PAUSE: Final = 0.1
"""Seconds after which Esc is a key, not the beginning of a sequence."""
ORPHAN_SECONDS: Final = 0.3
"""The system does not stop a process that no shell could resume: it continues after this time."""


class TerminalDriver(LinuxDriver):
    """The driver of a TerminalApp."""

    def __init__(self, app: TerminalApp, **options: Any) -> None:
        super().__init__(app, **options)
        self._file = _QuietFile(self._file)  # type: ignore[assignment] # all that the driver uses of it
        self._terminal_app = app
        self._emoji = EmojiFitter(app.answers.widths)
        self._loop = asyncio.get_running_loop()

    @property
    def _is_on(self) -> bool:
        return self._writer_thread is not None

    # --- taking the terminal and giving it back ---------------------------------------------

    def start_application_mode(self) -> None:
        self.exit_event.clear()
        super().start_application_mode()  # type: ignore[no-untyped-call] # Textual's
        terminal = self._terminal_app.terminal
        if terminal is not None and terminal.attributes is not None:
            self.attrs_before = terminal.attributes
        if self._is_on:
            self.write(_TAKE)
            if terminal is not None:
                terminal.taken = True

    def stop_application_mode(self) -> None:
        if self._is_on:
            self.write(_GIVE_BACK)
            super().stop_application_mode()

    def close(self) -> None:
        writer, self._writer_thread = self._writer_thread, None
        if writer is not None:
            writer.stop()
            if self._terminal_app.terminal is not None:
                self._terminal_app.terminal.taken = False

    def write(self, data: str) -> None:
        """Write, unless the terminal was given back: the app may write after its end."""
        writer = self._writer_thread
        if writer is not None:
            writer.write(self._emoji.fit(data))

    # --- Ctrl+Z ---------------------------------------------------------------------------------
    # On the event loop: a signal may interrupt a write.

    def _sigtstp_application(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._suspend)

    def _sigcont_application(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._resume)

    def _suspend(self) -> None:
        if not self._is_on:
            return
        self.suspend_application_mode()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(0, signal.SIGTSTP)  # to the whole process group, as a terminal does
        self._loop.call_later(ORPHAN_SECONDS, self._resume)

    def _resume(self) -> None:
        if not self._is_on and self._terminal_app.is_running:
            signal.signal(signal.SIGTSTP, self._sigtstp_application)
            self._must_signal_resume = True
            self.resume_application_mode()

    # --- reading keys ---------------------------------------------------------------------------

    def run_input_thread(self) -> None:
        """Read keys as Textual does, but with ``Keyboard``, for invalid UTF-8 and a hang-up too."""
        parser = XTermParser(self._debug)
        keyboard = Keyboard()
        decode = getincrementaldecoder("utf-8")("replace").decode

        def take(text: str) -> None:
            for event in parser.feed(text) if text else ():
                self.process_message(event)

        def read(data: bytes) -> None:
            text = decode(data)
            take(text if constants.DISABLE_KITTY_KEY else keyboard.feed(text))

        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            read(self._terminal_app.take_typed())
            while not self.exit_event.is_set():
                if selector.select(PAUSE):
                    try:
                        data = os.read(self.fileno, 4096)
                    except OSError:
                        data = b""
                    if not data:
                        self._terminal_app.call_later(self._terminal_app.end_by, signal.SIGHUP)
                        return
                    read(data)
                else:
                    take(keyboard.pause())
                for event in parser.tick():
                    self.process_message(event)


class _QuietFile(io.TextIOBase):
    """A file that ignores errors: the terminal may be gone."""

    def __init__(self, file: Any) -> None:
        self._under = file

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._under.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._under.flush()

    def fileno(self) -> int:
        number: int = self._under.fileno()
        return number

    def isatty(self) -> bool:
        return bool(self._under.isatty())
