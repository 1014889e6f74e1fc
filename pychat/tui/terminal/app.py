"""TerminalApp: a Textual app that gives its terminal back and reports a crash in one line."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from platformdirs import user_log_path
from rich.text import Text
from textual import events
from textual.app import App

from pychat.tui.terminal.probe import TerminalAnswers, ask_terminal
from pychat.tui.terminal.terminal import Terminal
from pychat.tui.terminal.typeahead import TypeAhead


class TerminalApp(App[None]):
    """What the app and its driver share: the terminal, its answers, and the ways in which it ends.

    ``terminal``: the terminal as it was taken before the app started; None in tests and in programs
    that leave this to Textual.
    """

    def __init__(self, terminal: Terminal | None = None) -> None:
        super().__init__()
        self.terminal = terminal
        self.answers = TerminalAnswers()
        self.type_ahead = TypeAhead(self)

    def take_terminal(self) -> None:
        """Query the terminal and take over its signals. Call this from ``on_load``."""
        self.answers = ask_terminal()
        if self.terminal is not None:
            self.terminal.end = self._end_from_signal
            if self.terminal.received is not None:
                self._end_from_signal(self.terminal.received)
        asyncio.get_running_loop().set_exception_handler(self._background_error)

    def take_typed(self) -> bytes:
        """Return, once, the bytes typed while the terminal was being queried."""
        typed, self.answers = self.answers.typed, replace(self.answers, typed=b"")
        return typed

    def write_to_terminal(self, sequence: str) -> None:
        """Write an escape sequence, unless the app has no terminal."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence)
            self._driver.flush()

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
        elif self.type_ahead.admits(event):
            await super().on_event(event)
            self.type_ahead.handled(event)

    # --- ending ---------------------------------------------------------------------------

    def _end_from_signal(self, number: int) -> None:
        """Runs in a signal handler, which may interrupt anything."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.end_by, number)

    def end_by(self, number: int) -> None:
        """Exit with the status that shells use for this signal."""
        self.exit(return_code=128 + number)

    def _fatal_error(self) -> None:
        """Replace Textual's traceback, which prints local variables, passwords among them."""
        error = sys.exception()
        assert error is not None  # Textual calls this while it handles an exception
        self.panic(Text(f"pychat: stopped by an internal error{_log_hint(error)}"))

    def _background_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Show an error of a task that nothing awaits; asyncio would print over the screen."""
        error = context.get("exception") or RuntimeError(context["message"])
        text = f"Internal error{_log_hint(error)}"
        self.notify(text, severity="error", timeout=10, markup=False)

    def _print_error_renderables(self) -> None:
        """Print the first error only: the others tell users how to debug a Textual app."""
        for message in self._exit_renderables[:1]:
            self.error_console.print(message)
        self._exit_renderables.clear()


def _log_hint(error: BaseException) -> str:
    path = write_crash_log(error)
    return f"; see {path} for details" if path is not None else ""


def write_crash_log(error: BaseException) -> Path | None:
    """Append a traceback to the log file for a bug report.

    Local variables are left out: they may hold passwords. Returns None if the file cannot be
    written.
    """
    path = user_log_path("pychat") / "terminal.log"
    trace = "".join(traceback.format_exception(error))
    text = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n{trace}\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as log:
            log.write(text)
    except OSError:
        return None
    return path
