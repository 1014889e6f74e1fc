"""Server with scripted answers, for behaviour that the real server does not show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from pychat.server.engine import AsyncServer

Answer = Callable[[dict[str, Any]], dict[str, Any]]

DONE = {"code": "200", "message": "done"}
LOGIN = {
    **DONE,
    "id": "alice",
    "alias": "alice",
    "token": "t",
    "serverTime": "2026-01-01T00:00:00.000Z",
    "protocol": 1,
}


def message(seq: int, text: str, sender: str = "bob", **more: Any) -> dict[str, Any]:
    """A message payload as the server sends it to alice."""
    return {
        "id": f"1-{seq}",
        "seq": seq,
        "sender": sender,
        "recepient": "alice" if sender == "bob" else "bob",
        "command": "chat",
        "type": "text",
        "data": text,
        "sentAt": "2026-01-01T00:00:00.000Z",
        **more,
    }


class ScriptedServer:
    """``answers``: answer by event name. ``asked``: all received (event, payload) pairs."""

    def __init__(self) -> None:
        self.sio = AsyncServer()
        self.sio.on("*", self._any)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.stored: list[dict[str, Any]] = []
        """The messages of the conversation with bob."""
        self.answers: dict[str, Answer] = {
            "login": lambda _: LOGIN,
            "conversations": lambda _: {**DONE, "conversations": [self.conversation()]},
            "history": self._history,
        }
        self.late: dict[str, Callable[[], Awaitable[Any]]] = {}
        """What to await before an event is answered, by event name; for example ``never``."""
        self.over = asyncio.Event()
        self.sid = ""
        """The client whose request is being answered."""
        self.url = ""
        self._news = asyncio.Condition()

    async def _any(self, event: str, sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        await self.note(event, payload)
        if event in self.late:
            await self.late[event]()
        self.sid = sid
        return self.answers.get(event, lambda _: DONE)(payload)

    async def note(self, event: str, payload: dict[str, Any]) -> None:
        """Record a request. For handlers that a test registers itself."""
        async with self._news:
            self.asked.append((event, payload))
            self._news.notify_all()

    def payloads(self, event: str) -> list[dict[str, Any]]:
        """The payloads of all events with this name."""
        return [payload for each, payload in self.asked if each == event]

    async def until(self, condition: Callable[[], bool], within: float = 60) -> None:
        """Wait until a request makes the condition true."""
        async with asyncio.timeout(within), self._news:
            await self._news.wait_for(condition)

    async def never(self) -> None:
        """Wait until the server ends."""
        await self.over.wait()

    def conversation(self) -> dict[str, Any]:
        """The conversation with bob as ``conversations`` lists it."""
        return {
            "with": "bob",
            "alias": "Bob",
            "online": True,
            "firstSeq": 1,
            "lastSeq": len(self.stored),
            "deliveredSeq": 0,
            "readSeq": 0,
            "peerDeliveredSeq": 0,
            "peerReadSeq": 0,
            "unread": len(self.stored),
            "last": self.stored[-1] if self.stored else None,
        }

    def _history(self, request: dict[str, Any]) -> dict[str, Any]:
        after = request.get("after", 0)
        return {**DONE, "messages": self.stored[after:], "hasMore": False}

    async def emit(self, event: str, payload: Any) -> None:
        await self.sio.emit(event, payload)

    def end_sessions(self) -> None:
        """End all sessions, as a restart does. A session on polling outlives its connections."""
        for _, eio_sid in list(self.sio.manager.get_participants("/", None)):
            if session := self.sio.eio.session(eio_sid):
                session.end("transport close")


@asynccontextmanager
async def scripted() -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer()
    app = web.Application()
    server.sio.attach(app)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        server.over.set()
        await runner.cleanup()
