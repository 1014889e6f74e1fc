"""A pseudo-terminal: a program on it, the bytes that it writes, and what it leaves behind."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

PATIENCE = 20.0
"""Seconds that a program may take to show what is expected."""
_MODES = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
_SEQUENCES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B]|.)"
)
_AT_REST = {7: True, 25: True}
"""Wrapped lines and the cursor, as a terminal has them when it is new."""


class PseudoTerminal:
    """``answer`` is given what the program writes, and returns what the terminal says to that."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
        answer: Callable[[bytes], bytes] = lambda written: b"",
        typed: bytes = b"",
    ) -> None:
        """``typed``: before the program has read anything."""
        self.written = b""
        self._answer = answer
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before: list[Any] = termios.tcgetattr(slave)
        self._slave = slave
        os.set_blocking(self._master, False)
        if typed:
            os.write(self._master, typed)
        variables = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
        for name in ("COLUMNS", "LINES", "TMUX", "TERM_PROGRAM", "LC_TERMINAL", "NO_COLOR"):
            variables.pop(name, None)
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for descriptor in (0, 1, 2):
                os.dup2(slave, descriptor)
            os.closerange(3, 100)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.execvpe(command[0], list(command), variables)
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return
        self.written += data
        if said := self._answer(data):
            self.press(said)

    def press(self, keys: bytes | str) -> None:
        """Bytes as a terminal sends them."""
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def kill(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """The terminal is gone, as when its window is closed."""
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1

    def text(self, start: int = 0) -> str:
        """What it has written from there on, without colours and movements."""
        return _SEQUENCES.sub(b"", self.written[start:]).decode(errors="replace")

    async def expect(self, *texts: str, start: int = 0) -> None:
        """Waits until it has written all of these. What is not painted again is not written."""
        await self.until(lambda: all(text in self.text(start) for text in texts), f"no {texts}")

    async def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}; written:\n{self.text()[-3000:]}")
            await asyncio.sleep(0.02)

    def modes(self) -> set[int]:
        """The private modes that are not as in a new terminal; the Kitty keyboard is 0."""
        state = dict(_AT_REST)
        for numbers, how in _MODES.findall(self.written):
            for number in numbers.split(b";"):
                state[int(number)] = how == b"h"
        for restored in re.findall(rb"\x1b\[\?([0-9;]+)r", self.written):
            for number in restored.split(b";"):
                state.pop(int(number), None)
        changed = {number for number, on in state.items() if on != _AT_REST.get(number, False)}
        if self.written.count(b"\x1b[>") > self.written.count(b"\x1b[<u"):
            changed.add(0)
        return changed

    def attributes(self) -> list[Any]:
        """What termios has now."""
        return termios.tcgetattr(self._slave)

    async def stopped(self) -> None:
        """Waits until it is suspended."""
        await self._waited(os.WUNTRACED, os.WIFSTOPPED)

    async def exit_status(self) -> int:
        """Waits for its end; as a shell gives it."""
        status = await self._waited(0, lambda status: not os.WIFSTOPPED(status))
        self.pid = 0
        code = os.waitstatus_to_exitcode(status)
        await asyncio.sleep(0)
        if self._master >= 0:
            self._read()
        return code if code >= 0 else 128 - code

    async def _waited(self, options: int, condition: Callable[[int], bool]) -> int:
        deadline = time.monotonic() + PATIENCE
        while True:
            status = self._poll(options)
            if status is not None and condition(status):
                return status
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not end; written:\n{self.text()[-3000:]}")
            await asyncio.sleep(0.02)

    def _poll(self, options: int) -> int | None:
        pid, status = os.waitpid(self.pid, os.WNOHANG | options)
        return status if pid else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self._master >= 0:
            with suppress(ValueError):
                asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            os.close(self._slave)
