"""Clients for the chat's tests: a Socket.IO 4.x client, and one of the original protocol."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aiohttp
import socketio

from pychat.server.app import ChatServer

WAIT = 5.0
EVENTS = ("message", "response", "receipt", "presence", "typing", "room", "changed")


class Inbox:
    """Received events, in order, and by name."""

    def __init__(self) -> None:
        self.order: list[tuple[str, Any]] = []
        self._queues: dict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)

    def put(self, event: str, payload: Any) -> None:
        self.order.append((event, payload))
        self._queues[event].put_nowait(payload)

    async def next(self, event: str) -> Any:
        """Return the next event of that name. Fails if none comes within WAIT seconds."""
        async with asyncio.timeout(WAIT):
            return await self._queues[event].get()

    def waiting(self, event: str) -> list[Any]:
        """Return the events of that name that were received and not returned before."""
        queue = self._queues[event]
        return [queue.get_nowait() for _ in range(queue.qsize())]


class Peer(Inbox):
    """A Socket.IO 4.x client of protocol 1, which asks for acknowledgements."""

    def __init__(self, server: ChatServer | str, id: str = "") -> None:
        super().__init__()
        self.id = id
        self._url = server if isinstance(server, str) else server.url
        self.sio = socketio.AsyncClient(reconnection=False)
        for event in EVENTS:
            self.sio.on(event, lambda payload=None, event=event: self.put(event, payload))
        self.gone = asyncio.Event()
        self.sio.on("disconnect", lambda *_: self.gone.set())

    async def __aenter__(self) -> Self:
        await self.sio.connect(self._url, transports=["websocket"])
        if self.id:
            answer = await self.login()
            assert answer["code"] == "200", answer
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.sio.disconnect()

    async def login(self, id: str = "", password: str = "secret password", **fields: Any) -> Any:
        login = {"id": id or self.id, "password": password, "alias": "", "today": "", "protocol": 1}
        return await self.ask("login", login | fields)

    async def ask(self, event: str, payload: Any = None, **fields: Any) -> Any:
        """Send an event and return its acknowledgement."""
        payload = fields if payload is None else payload
        return await self.sio.call(event, payload, timeout=WAIT)

    async def tell(self, event: str, payload: Any) -> None:
        """Send an event that asks for no acknowledgement."""
        await self.sio.emit(event, payload)

    def message(self, to: str, text: str, command: str = "chat", **fields: Any) -> dict[str, Any]:
        message = {"sender": self.id, "recepient": to, "command": command, "type": "text"}
        return message | {"data": text, "clientId": str(uuid4())} | fields

    async def send(self, to: str, text: str, command: str = "chat", **fields: Any) -> Any:
        return await self.ask("message", self.message(to, text, command, **fields))

    async def gone_offline(self, id: str) -> None:
        """Return when that user is offline."""
        async with asyncio.timeout(WAIT):
            while any(
                user["id"] == id and user["online"]
                for user in (await self.ask("users", {"query": id}))["users"]
            ):
                pass

    async def settle(self) -> None:
        """Return when messages of this client are stored, and messages to it have arrived."""
        await self.ask("history", {"with": "ALL", "limit": 1})


class OriginalPage(Inbox):
    """The original page on the wire: Engine.IO 3, no acknowledgements.

    ``pongs``: whether its websocket answers pings, which shows that it receives.
    """

    def __init__(self, server: ChatServer, id: str = "", *, pongs: bool = True) -> None:
        super().__init__()
        self.id = id
        self._pongs = pongs
        self._url = f"{server.url}/socket.io/?EIO=3&transport=websocket"
        self._http = aiohttp.ClientSession()

    async def __aenter__(self) -> Self:
        self._socket = await self._http.ws_connect(self._url, autoping=self._pongs)
        assert (await self._socket.receive_str()).startswith("0{")
        assert await self._socket.receive_str() == "40"
        self._reading = asyncio.create_task(self._read())
        if self.id:
            await self.login()
            assert (await self.next("response"))["code"] == "200"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._socket.close()
        await self._reading
        await self._http.close()

    async def gone(self) -> None:
        """Return when the server has closed the connection."""
        async with asyncio.timeout(WAIT):
            await self._reading

    async def _read(self) -> None:
        async for frame in self._socket:
            if frame.type is aiohttp.WSMsgType.TEXT and frame.data.startswith("42"):
                self.put(*json.loads(frame.data[2:]))

    async def tell(self, event: str, payload: Any) -> None:
        await self._socket.send_str("42" + json.dumps([event, payload]))

    async def login(self, id: str = "", password: str = "secret password") -> None:
        login = {"id": id or self.id, "password": password, "alias": "page", "today": "now"}
        await self.tell("login", login)

    async def send(self, to: str, text: str, command: str = "chat") -> None:
        message = {"sender": self.id, "recepient": to, "command": command, "type": "text"}
        await self.tell("message", message | {"data": text})
