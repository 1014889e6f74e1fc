"""What the matrix of JavaScript clients says to each other, and the server between them."""

from __future__ import annotations

import asyncio
import json
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

from aiohttp import web

from pychat.server.engine import AsyncServer
from tests.requirements import require_program

HERE = Path(__file__).parent
GENERATIONS = ("v1", "v2", "v3", "v4")
PROTOCOLS = {"v1": 3, "v2": 3, "v3": 4, "v4": 4}
TRANSPORTS = {
    "polling": "polling",
    "websocket": "websocket",
    "upgrade": "polling,websocket",
}

Value = Any

_BINARY = bytes(range(256)) * 3
CORPUS: list[Value] = [
    "ASCII",
    "",
    "안녕하세요, 세계! é ü ß",
    "emoji 😀👩‍👩‍👧‍👦 beyond the BMP 𝄞 𠮷",
    "é",
    "quotes \" ' \\ \\n \n \t \u2028 \u2029 </script> \x00 \x1e \x7f",
    "x" * 100_000,
    "한😀" * 12_500,
    _BINARY,
    {"text": "섞인 😀", "binary": [b"\x00\x01\xff", "é", b"", {"deep": _BINARY}], "n": 1.5},
    *range(40),
]


def _deflate(value: Value) -> Value:
    if isinstance(value, bytes):
        return {"$base64": b64encode(value).decode()}
    if isinstance(value, list):
        return [_deflate(item) for item in value]
    if isinstance(value, dict):
        return {key: _deflate(item) for key, item in value.items()}
    return value


def corpus_json() -> str:
    """As peer.js reads it."""
    return json.dumps([_deflate(value) for value in CORPUS])


def client_of(generation: str) -> Path:
    """The installed package of that generation, from its lock file."""
    folder = HERE / "clients" / generation
    package = folder / "node_modules" / "socket.io-client"
    lock, stamp = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        npm = require_program("npm")
        subprocess.run([npm, "ci", "--ignore-scripts"], cwd=folder, check=True, capture_output=True)
    return package


class Relay:
    """Sends what one client says to all, acknowledges it, and asks each client in turn."""

    def __init__(self, expected: int) -> None:
        self.server: Any = AsyncServer(cors_allowed_origins="*", max_http_buffer_size=5_000_000)
        self.wrong: list[str] = []
        self.protocols: dict[str, int] = {}
        self._expected = expected
        self._tasks: set[asyncio.Task[None]] = set()
        self.server.on("connect", self._connect)
        self.server.on("say", self._say)
        app = web.Application()
        self.server.attach(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> Relay:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _connect(self, sid: str, environ: Any) -> None:
        self._expected -= 1
        if self._expected == 0:
            task = asyncio.create_task(self._start())
            self._tasks.add(task)

    async def _start(self) -> None:
        await asyncio.sleep(0.05)  # until the last one's join has been answered
        sids = list(self.server.manager.rooms["/"][None])
        for sid in sids:
            # In turns: more than 1 MiB waiting for a client that polls would cut it.
            await self.server.call("your turn", to=sid)
            await asyncio.gather(*(self.server.call("still there", to=sid) for sid in sids))
        await asyncio.gather(*(self._ask(sid) for sid in sids))

    async def _ask(self, sid: str) -> None:
        for n, value in enumerate(CORPUS):
            answer = await self.server.call("ask", (n, value), to=sid)
            if answer != value:
                self.wrong.append(f"{sid} answers {n} with {str(answer)[:200]!r}")

    async def _say(self, sid: str, message: dict[str, Value]) -> Value:
        if message["text"] != CORPUS[message["n"]]:
            self.wrong.append(f"{message['from']} says {str(message['text'])[:200]!r}")
        await self.server.emit("said", message)
        return message["text"]
