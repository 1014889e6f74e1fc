"""The chat without a network: connections whose events are function calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from pychat.server.chat import Chat
from tests.server.chat.peers import WAIT, Inbox


class Direct(Inbox):
    """A client and its connection."""

    def __init__(self, chat: Chat, id: str = "", *, modern: bool = True) -> None:
        super().__init__()
        self.id = id
        self.sid = id
        self.context: Any = None
        self.modern = modern
        self.remote_address = "127.0.0.1"
        self.user_agent = "direct"
        self.gone = asyncio.Event()
        self._chat = chat
        self._ids = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        chat.connected(self)

    # --- called by the chat ---
    def send(self, packet: Any) -> None:
        if not self.gone.is_set():
            event, payload = packet
            self.put(event, json.loads(payload))

    def when_received(self, callback: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(callback)

    def acknowledge(self, ack_id: int, payload: bytes) -> None:
        if not self.gone.is_set():
            self._answers.pop(ack_id).set_result(json.loads(payload))

    def admit(self) -> None: ...

    def close(self) -> None:
        self.leave()

    # --- called by tests ---
    def leave(self) -> None:
        """Break the connection."""
        if not self.gone.is_set():
            self.gone.set()
            self._chat.disconnected(self, "left")

    def tell(self, event: str, payload: Any) -> None:
        """Send an event that asks for no acknowledgement."""
        self._chat.event(self, event, json.dumps(payload).encode(), None)

    def start(self, event: str, payload: Any = None, **fields: Any) -> asyncio.Future[Any]:
        """Send an event now, and return the future of its acknowledgement."""
        ack_id = next(self._ids)
        answer = self._answers[ack_id] = asyncio.get_running_loop().create_future()
        body = json.dumps(fields if payload is None else payload).encode()
        self._chat.event(self, event, body, ack_id)
        return answer

    async def ask(self, event: str, payload: Any = None, **fields: Any) -> Any:
        return await asyncio.wait_for(self.start(event, payload, **fields), WAIT)

    def start_login(self, password: str = "secret password", **fields: Any) -> asyncio.Future[Any]:
        login = {"id": self.id, "password": password, "protocol": int(self.modern)}
        return self.start("login", login | fields)

    async def login(self, password: str = "secret password", **fields: Any) -> Any:
        return await asyncio.wait_for(self.start_login(password, **fields), WAIT)

    def start_send(self, to: str, text: str, command: str = "chat") -> asyncio.Future[Any]:
        message = {"sender": self.id, "recepient": to, "command": command, "data": text}
        return self.start("message", message)

    async def send_message(self, to: str, text: str, command: str = "chat") -> Any:
        return await asyncio.wait_for(self.start_send(to, text, command), WAIT)

    def of(self, event: str) -> list[Any]:
        """The payloads of all events of that name received so far."""
        return [payload for name, payload in self.order if name == event]


@asynccontextmanager
async def chatting(store: Any, **options: Any) -> AsyncIterator[Chat]:
    chat = Chat(
        store,
        encode_event=lambda event, payload: (str(event), payload),
        **({"accounts": "open"} | options),
    )
    await chat.start()
    try:
        yield chat
    finally:
        await chat.stop()


async def logged_in(chat: Chat, id: str, *, modern: bool = True) -> Direct:
    client = Direct(chat, id, modern=modern)
    answer = await client.login()
    assert answer["code"] == "200", answer
    return client
