"""Clients of the load: picows, one Python callback a frame, as cheap as Python can."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

_TEXT = WSMsgType.TEXT
_CLOSE = WSMsgType.CLOSE


class Client(WSListener):
    """Joined ``/``; counts what comes, and tells of each message and response."""

    def __init__(self) -> None:
        self.transport: WSTransport
        self.messages = 0
        self.responses = 0
        self.joined = asyncio.get_running_loop().create_future()
        self.logged_in = asyncio.get_running_loop().create_future()
        self.on_message: Callable[[], None] | None = None
        self.on_response: Callable[[], None] | None = None
        self.closed = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closed = True

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        data = frame.get_payload_as_bytes()
        kind = data[4:5]
        if data[:2] == b"42" and kind == b"m":
            self.messages += 1
            if self.on_message is not None:
                self.on_message()
        elif data[:2] == b"42" and kind == b"r":
            self.responses += 1
            if not self.logged_in.done():
                self.logged_in.set_result(None)
            elif self.on_response is not None:
                self.on_response()
        elif data == b"2":
            transport.send(_TEXT, b"3")
        elif data[:2] == b"40":
            self.joined.set_result(None)
        elif data[:1] == b"0" and self.protocol == 4:
            transport.send(_TEXT, b"40")

    protocol = 4

    @classmethod
    async def connect(cls, port: int, protocol: int = 4) -> Client:
        """Connected and joined."""
        client: Any = None

        def made() -> Client:
            nonlocal client
            client = cls()
            client.protocol = protocol
            return client  # type: ignore[no-any-return]  # it is one

        url = f"ws://127.0.0.1:{port}/socket.io/?EIO={protocol}&transport=websocket"
        await ws_connect(made, url, use_aiofastnet=False)
        await client.joined
        return client  # type: ignore[no-any-return]  # it is one

    async def login(self, name: str, version: int) -> None:
        """As ``name``; version 0 is the original protocol."""
        login = {"id": name, "password": "x", "alias": name, "today": "2026-11-23"}
        if version:
            login["protocol"] = version  # type: ignore[assignment]  # the one number in it
        self.transport.send(_TEXT, b'42["login",' + json.dumps(login).encode() + b"]")
        await self.logged_in


def message(sender: str, recepient: str) -> bytes:
    """A message of the usual length."""
    data = {
        "sender": sender,
        "recepient": recepient,
        "command": "chat",
        "type": "text",
        "data": "Shall we meet at the station at half past seven?",
    }
    return b'42["message",' + json.dumps(data).encode() + b"]"


class Stream:
    """One sender and its receiver, with so many messages under way; latencies in seconds."""

    def __init__(self, sender: Client, receiver: Client, packet: bytes) -> None:
        self.sender = sender
        self.receiver = receiver
        self.latencies: list[float] = []
        self.delivered = 0
        self._packet = packet
        self._sent: deque[float] = deque()
        self._again = False
        self._tokens = 0
        receiver.on_message = self._on_message

    def send(self, at: float | None = None) -> None:
        """One message; ``at`` is when it should have gone."""
        self._sent.append(at or time.perf_counter())
        self.sender.transport.send(_TEXT, self._packet)

    def keep(self, in_flight: int) -> None:
        """From now on a new one as soon as one is answered and delivered."""
        self._again = True
        self.sender.on_response = self._on_response
        for _ in range(in_flight):
            self.send()

    def stop(self) -> None:
        """No new ones."""
        self._again = False

    def _on_message(self) -> None:
        self.latencies.append(time.perf_counter() - self._sent.popleft())
        self.delivered += 1
        self._step(1)

    def _on_response(self) -> None:
        self._step(-1)

    def _step(self, way: int) -> None:
        # Whichever of the two comes later sends the next.
        if self._tokens * way < 0 and self._again:
            self.send()
        self._tokens += way
