"""Clients of the load that poll: HTTP over plain connections, as cheap as Python can."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import cast

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
# What Chromium sends with a request of a page's, and something of its own for each client.
_HEADERS = (
    "Host: 127.0.0.1:3000\r\nConnection: keep-alive\r\n"
    'sec-ch-ua-platform: "Linux"\r\n'
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36\r\n"
    'Accept: */*\r\nsec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"\r\n'
    "sec-ch-ua-mobile: ?0\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n"
    "Sec-Fetch-Dest: empty\r\nReferer: http://127.0.0.1:3000/\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n"
    "Cookie: name={}\r\n"
)
_SID = re.compile(rb'"sid":"([^"]+)"')


class Http(asyncio.Protocol):
    """One kept-alive connection; ``on_body`` gets each answer's body."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.on_body: Callable[[bytes], None] = lambda body: None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._received, 0, end)
            size = int(length[1]) if length else 0
            start = end + 4
            if len(self._received) < start + size:
                return
            body, self._received = (
                self._received[start : start + size],
                self._received[start + size :],
            )
            self.on_body(body)


class PollingClient:
    """Joined ``/`` and polling; sends with POST."""

    def __init__(self, protocol: int, name: str) -> None:
        self._protocol = protocol
        self._headers = _HEADERS.format(name).encode()
        self._requests = 0
        self._target = f"/socket.io/?EIO={protocol}&transport=polling".encode()
        self._joined = asyncio.get_running_loop().create_future()
        self._logged_in = asyncio.get_running_loop().create_future()
        self.on_message: Callable[[], None] = lambda: None
        self.on_response: Callable[[], None] = lambda: None
        self._polls: Http
        self._posts: Http

    @classmethod
    async def connect(cls, port: int, protocol: int, name: str, version: int) -> PollingClient:
        """Logged in as ``name``."""
        client = cls(protocol, name)
        loop = asyncio.get_running_loop()
        _, client._polls = await loop.create_connection(Http, "127.0.0.1", port)
        _, client._posts = await loop.create_connection(Http, "127.0.0.1", port)
        client._polls.on_body = client._polled
        client._poll()
        await client._joined
        login = {"id": name, "password": "x", "alias": name, "today": "2026-11-23"}
        if version:
            login["protocol"] = version  # type: ignore[assignment]  # the one number in it
        client.send(b'42["login",' + json.dumps(login).encode() + b"]")
        await client._logged_in
        return client

    def send(self, packet: bytes) -> None:
        """One packet in one POST."""
        body = b"%d:%b" % (len(packet), packet) if self._protocol == 3 else packet
        self._posts.transport.write(
            b"POST %b HTTP/1.1\r\n%bContent-Type: text/plain;charset=UTF-8\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (self._next(), self._headers, len(body), body)
        )

    def _poll(self) -> None:
        self._polls.transport.write(b"GET %b HTTP/1.1\r\n%b\r\n" % (self._next(), self._headers))

    def _next(self) -> bytes:
        # Clients make every request another, so that nobody keeps the answer.
        self._requests += 1
        return b"%b&t=%x" % (self._target, self._requests)

    def _polled(self, body: bytes) -> None:
        if b"&sid" not in self._target and (sid := _SID.search(body)):
            self._target += b"&sid=" + sid[1]
            if self._protocol == 4:
                self.send(b"40")
        self._poll()
        if not self._joined.done():
            if (b'40{"sid"' if self._protocol == 4 else b"40") in body:
                self._joined.set_result(None)
            return
        for _ in range(body.count(b'42["message"')):
            self.on_message()
        for _ in range(body.count(b'42["response"')):
            if self._logged_in.done():
                self.on_response()
            else:
                self._logged_in.set_result(None)
        if self._protocol == 4 and body == b"2":
            self.send(b"3")
