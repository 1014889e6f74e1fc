"""An attacker's hands: Socket.IO over a websocket, with nothing between it and the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

ANSWER_SECONDS = 10.0
PASSWORD = "correct horse"


class Closed(Exception):
    """The server has closed the connection."""


class Client:
    """One connection. ``events`` holds what came unasked, as (event, payload)."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last_id = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._arrived = asyncio.Condition()
        self.events: list[tuple[str, Any]] = []
        self.closed = asyncio.Event()
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def send_frame(self, text: str) -> None:
        try:
            await self._socket.send_str(text)
        except (ConnectionError, aiohttp.ClientError):
            raise Closed from None

    async def emit(self, event: str, payload: object) -> None:
        """Without an acknowledgement: as the original protocol does."""
        await self.send_frame("42" + json.dumps([event, payload]))

    async def ask(self, event: str, payload: object) -> dict[str, Any]:
        return await self.ask_raw(event, json.dumps(payload))

    async def ask_raw(self, event: str, payload: str) -> dict[str, Any]:
        """``payload`` is put into the packet as it is. Raises Closed."""
        if self.closed.is_set():
            raise Closed
        self._last_id += 1
        number = self._last_id
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        await self.send_frame(f"42{number}[{json.dumps(event)},{payload}]")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer: dict[str, Any] = await future
                return answer
        finally:
            self._answers.pop(number, None)

    async def login(self, id: str, password: str = PASSWORD, **more: object) -> str:
        """The token. The login must succeed."""
        answer = await self.ask("login", {"id": id, "password": password, "protocol": 1, **more})
        assert answer["code"] == "200", answer
        token: str = answer["token"]
        return token

    async def event(self, name: str) -> Any:
        """The first event of that name that came, or comes."""
        async with asyncio.timeout(ANSWER_SECONDS), self._arrived:
            while True:
                for event, payload in self.events:
                    if event == name:
                        return payload
                await self._arrived.wait()

    async def close(self) -> None:
        await self._socket.close()
        await self._reader

    async def _read(self) -> None:
        async for frame in self._socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            text: str = frame.data
            if text == "2":
                await self._socket.send_str("3")
            elif text.startswith("42"):
                event, payload = json.loads(text[2:])
                async with self._arrived:
                    self.events.append((event, payload))
                    self._arrived.notify_all()
            elif text.startswith("43"):
                number, _, rest = text[2:].partition("[")
                future = self._answers.get(int(number))
                if future is not None and not future.done():
                    future.set_result(json.loads("[" + rest)[0])
        self.closed.set()
        for future in self._answers.values():
            if not future.done():
                future.set_exception(Closed())


@asynccontextmanager
async def browsing() -> AsyncIterator[aiohttp.ClientSession]:
    """As many connections as wanted."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


async def open_socket(
    session: aiohttp.ClientSession, url: str, **options: Any
) -> aiohttp.ClientWebSocketResponse:
    """A websocket on which the handshake of Engine.IO 4 is over."""
    socket = await session.ws_connect(
        f"{url}/socket.io/?EIO=4&transport=websocket",
        max_msg_size=0,
        timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
        **options,
    )
    await socket.receive_str()
    return socket


async def connect(session: aiohttp.ClientSession, url: str, **options: Any) -> Client:
    """Connected to the namespace ``/``, not logged in."""
    socket = await open_socket(session, url, **options)
    await socket.send_str("40")
    assert (await socket.receive_str()).startswith("40{")
    return Client(socket)
