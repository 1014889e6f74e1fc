"""A real terminal: a program in a tmux of its own, its screen read and its keys pressed."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.requirements import require_program

PATIENCE = 60.0
"""How long a screen may take to show what is expected, in seconds."""


class Terminal:
    """Use it as a context; ``folder`` is where its socket and its exit status are kept."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._tmux = [require_program("tmux"), "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self._status = folder / "status"
        # The test runner's own size would be taken for the terminal's.
        self._environment = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")
        }
        shell = f"{shlex.join(command)}; echo $? > {shlex.quote(str(self._status))}"
        self._call(
            *("new-session", "-d", "-x", str(columns), "-y", str(rows)),
            *(
                part
                for name, value in (environment or {}).items()
                for part in ("-e", f"{name}={value}")
            ),
            *("sh", "-c", shell),
        )

    def screen(self) -> str:
        """What is on the screen now; empty once the program has ended."""
        return self._call("capture-pane", "-p", check=False)

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: ``Enter``, ``C-k``."""
        self._call("send-keys", *keys)

    def write(self, text: str) -> None:
        """Literal text, as typed."""
        self._call("send-keys", "-l", text)

    async def expect(self, *texts: str) -> str:
        """Waits until all of these are on the screen, and returns it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            screen = self.screen()
            missing = [text for text in texts if text not in screen]
            if not missing:
                return screen
            if time.monotonic() > deadline:
                raise AssertionError(f"never on the screen: {missing}\n{screen}")
            await asyncio.sleep(0.05)

    async def exit_status(self) -> int:
        """Waits for the program's end."""
        deadline = time.monotonic() + PATIENCE
        while not (self._status.exists() and self._status.read_text().strip()):
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not end\n{self.screen()}")
            await asyncio.sleep(0.05)
        return int(self._status.read_text())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._call("kill-server", check=False)

    def _call(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout
