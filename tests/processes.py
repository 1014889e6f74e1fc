"""``pychat`` as a process of its own: commands that end, and a server that runs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pychat.client import ChatClient

PYCHAT: tuple[str, ...] = (sys.executable, "-m", "pychat")

_LISTENING = re.compile(r"listening on (http://\S+)")


def create_account(url: str, id: str, password: str = "a good password") -> None:
    """Create an account on a server in another process. No token is stored on this machine."""

    async def create() -> None:
        async with ChatClient(url, user=id, password=password, create=True):
            pass

    with ThreadPoolExecutor(1) as thread:  # the caller may run in an event loop
        thread.submit(asyncio.run, create()).result()


def run_pychat(
    *arguments: str | Path,
    input: str | bytes = "",
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = PYCHAT,
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, 100 s at most; neither its input nor its output is a terminal."""
    done = subprocess.run(
        [*program, *map(str, arguments)],
        input=input.encode() if isinstance(input, str) else input,
        capture_output=True,
        env={**os.environ, **(environment or {})},
        timeout=100,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


class Serving:
    """``pychat serve`` on a free port (or the one given), up to ``stop`` or the end of ``with``."""

    def __init__(
        self,
        *arguments: str | Path,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = PYCHAT,
    ) -> None:
        self.said = ""
        """What it has printed on standard error until it listened."""
        self._process = subprocess.Popen(
            [*program, "serve", "--port", str(port), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            text=True,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said += line
            if line.startswith("Ctrl+C"):
                break
        match = _LISTENING.search(self.said)
        assert match, f"pychat serve did not start: {self.said}"
        self.url = match[1]
        self.log: list[str] = []
        """The lines it has printed there since."""
        # Also, a server whose standard error nobody reads would wait for ever once a pipe is full.
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(line)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends the signal and returns the exit status, within 10 s."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        try:
            status = self._process.wait(timeout=60)
        finally:
            self._process.kill()
            self._reader.join()
            assert self._process.stderr is not None
            self._process.stderr.close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self.stop()
