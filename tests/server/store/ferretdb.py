"""Build and run FerretDB, a server with MongoDB's protocol, for the tests."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.requirements import require_program, unavailable

SOURCE = Path(__file__).parents[2] / "ferretdb"
BUILD_SECONDS = 900

# The original environment, before a test changes it, so that later runs find the built program.
ENVIRONMENT = dict(os.environ)
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def program() -> Path:
    """Return the path of FerretDB. The first call builds it, which takes some minutes."""
    go = require_program("go")
    digest = hashlib.sha256()
    for name in ("main.go", "go.mod", "go.sum"):
        digest.update((SOURCE / name).read_bytes())
    cache = CACHE / "pychat-tests"
    built = cache / f"ferretdb-{digest.hexdigest()[:16]}"
    if built.exists():
        return built
    cache.mkdir(parents=True, exist_ok=True)
    # Build in a temporary folder and rename: two test runs may build at the same time.
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        target = Path(folder) / "ferretdb"
        build = subprocess.run(
            [go, "build", "-trimpath", "-o", target, "."],
            cwd=SOURCE,
            env={**ENVIRONMENT, "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        if build.returncode:
            unavailable(f"FerretDB cannot be built: {build.stderr.strip().splitlines()[-1:]}")
        target.replace(built)
    return built


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A FerretDB process. After ``kill`` it can be started again with the same port and data.
    Append the name of a database to ``url``."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"mongodb://127.0.0.1:{port}/"
        self._command = [str(program()), f"127.0.0.1:{port}", str(folder)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def running(folder: Path, port: int = 0) -> Iterator[Server]:
    """Run FerretDB with its data in the folder, and kill it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder, port or free_port())
    try:
        yield server
    finally:
        server.kill()
