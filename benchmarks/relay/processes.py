"""The servers under test: started, pinned to a core, their CPU time and memory read."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.requirements import require_program

ROOT = Path(__file__).parents[2]
DURABLE = ROOT / "benchmarks" / "durable"
NODE = {"node": ROOT / "benchmarks" / "relay" / "node", "node-sqlite": DURABLE / "node"}
SERVER_CORE, LOAD_CORE = 0, 1
_TICK = os.sysconf("SC_CLK_TCK")


class Server:
    """A fresh process of that kind on its core."""

    def __init__(self, kind: str) -> None:
        if kind in NODE:
            command = [require_program("node", "nodejs"), str(NODE[kind] / "server.js")]
        else:
            command = [sys.executable, "-m", "benchmarks.relay.serve", kind]
        self._files = tempfile.TemporaryDirectory(prefix=".stores-", dir=DURABLE)
        if kind.endswith("sqlite"):
            command.append(str(Path(self._files.name) / "chat.db"))
        self.kind = kind
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NODE_ENV": "production"},
        )
        os.sched_setaffinity(self._process.pid, {SERVER_CORE})
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        for task in os.listdir(f"/proc/{self._process.pid}/task"):
            os.sched_setaffinity(int(task), {SERVER_CORE})

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        self._files.cleanup()

    @property
    def pid(self) -> int:
        """For a profiler."""
        return self._process.pid

    def cpu(self) -> float:
        """Seconds that the kernel has accounted to it, user and system, all threads."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def memory(self) -> int:
        """Bytes resident."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def install_node(kind: str) -> None:
    """Node's server, from its lock file."""
    folder = NODE[kind]
    if not (folder / "node_modules").exists():
        subprocess.run([require_program("npm"), "ci"], cwd=folder, check=True)
