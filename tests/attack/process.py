"""A server in a process of its own, to be attacked; its memory and its log."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

START_SECONDS = 20.0


class ServerProcess:
    """``pychat serve``."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self._log = log

    def resident(self) -> float:
        """Its memory, in MB; what it has mapped of files is not counted."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"RssAnon:\s+(\d+) kB", status)
        assert match
        return int(match[1]) / 1000

    def processor_time(self) -> float:
        """What it has used so far, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log(self) -> str:
        return self._log.read_text()

    def errors(self) -> list[str]:
        """Lines of its log that should not be there."""
        signs = (" ERROR ", " CRITICAL ", "Traceback")
        return [line for line in self.log().splitlines() if any(sign in line for sign in signs)]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@asynccontextmanager
async def server_process(folder: Path, *options: str) -> AsyncIterator[ServerProcess]:
    """Listening on a free port, with these options of ``pychat serve``."""
    log = folder / "server.log"
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pychat", "serve", "--port", "0"),
            *("--store", f"sqlite:///{folder}/chat.db", *options),
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
        )
    finally:
        os.close(output)
    try:
        yield ServerProcess(process, await _address(process, log), log)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), 60)


async def _address(process: asyncio.subprocess.Process, log: Path) -> str:
    async with asyncio.timeout(START_SECONDS):
        while process.returncode is None:
            address = _find_address(log)
            if address:
                return address
            await asyncio.sleep(0.02)
    raise AssertionError(f"the server has not started: see {log}")


def _find_address(log: Path) -> str:
    match = re.search(r"http://[\w.]+:\d+", log.read_text())
    return match[0] if match else ""
