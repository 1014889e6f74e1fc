"""socket.io-client from npm, in a Node process of its own."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.requirements import require_program

LOCKED = Path(__file__).parents[3] / "jsclient"
SCRIPT = Path(__file__).parent / "chat.cjs"


def install(folder: Path) -> Path:
    """The client that the wheel carries, from the same lock file; returns node_modules."""
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(LOCKED / name, folder / name)
    npm = [require_program("npm"), "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(npm, cwd=folder, check=True, capture_output=True, timeout=100)
    return folder / "node_modules"


class JavaScriptClient:
    """Logs in as ``id`` whenever it is connected, as the original page does."""

    def __init__(self, modules: Path, url: str, id: str) -> None:
        self.heard: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [require_program("node"), str(SCRIPT), url, id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"NODE_PATH": str(modules)},
        )

    def emit(self, event: str, **payload: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([event, payload]) + "\n")
        self._process.stdin.flush()

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Reads on until something happens that is wanted; all of it is kept in ``heard``."""
        return await asyncio.to_thread(self._until, wanted)

    def _until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.heard.append(json.loads(line))
            if wanted(self.heard[-1]):
                return self.heard[-1]
        raise AssertionError(f"the client ended, having heard {self.heard}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
