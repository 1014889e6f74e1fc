"""Notifications while the terminal has no focus: bell, OSC 9, OSC 777, notify-send."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from typing import Final

from pychat.tui.settings import Notifier

QUIET_SECONDS: Final = 2.0
"""Minimum time between two notifications; messages in between are not notified."""


class Notifications:
    """Send notifications. ``write`` writes to the terminal, ``now`` returns seconds.

    All text must be safe.
    """

    def __init__(
        self,
        ways: list[Notifier],
        write: Callable[[str], None],
        now: Callable[[], float],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._ways = ways
        self._write = write
        self._now = now
        self._in_tmux = bool(environment.get("TMUX"))
        self._last = float("-inf")
        self._running: set[asyncio.Task[None]] = set()

    def send(self, title: str, text: str) -> None:
        """Notify in all ways, unless it did so within ``QUIET_SECONDS``."""
        now = self._now()
        if now - self._last < QUIET_SECONDS:
            return
        self._last = now
        for way in self._ways:
            if way == "bell":
                self._write("\a")
            elif way == "osc9":
                self._sequence(f"9;{title}: {text}" if text else f"9;{title}")
            elif way == "osc777":
                self._sequence(f"777;notify;{title.replace(';', ',')};{text}")
            elif program := shutil.which("notify-send"):
                task = asyncio.create_task(_run(program, title, text))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def window_title(self, title: str) -> None:
        """Set the terminal's title (OSC 2)."""
        self._write(f"\x1b]2;{title}\a")

    def _sequence(self, body: str) -> None:
        sequence = f"\x1b]{body}\a"
        if self._in_tmux:  # tmux passes on only sequences that are wrapped for it
            sequence = f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\"
        self._write(sequence)


async def _run(program: str, title: str, text: str) -> None:
    """Run notify-send, with ``--`` because a message may begin with a dash."""
    process = await asyncio.create_subprocess_exec(
        program, "--app-name=pychat", "--", title, text,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await process.wait()
