"""An HTTP client that sends any bytes on one connection and reads answers one by one."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import NamedTuple

from tests.server.engine.rawsocket import RawConnection


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    """Their names in lower case."""
    body: bytes


class RawHttp(RawConnection):
    """One connection; ``target`` is that of its session, once it has one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.target = "/socket.io/?EIO=4&transport=polling"

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext | None = None) -> RawHttp:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context))

    @classmethod
    async def joined(cls, port: int, context: ssl.SSLContext | None = None) -> RawHttp:
        """Its session has joined ``/``, and the connection is one that polls."""
        http = await cls.open(port, context)
        opened = await http.get()
        http.target += "&sid=" + json.loads(opened.body[1:])["sid"]
        assert (await http.post("40")).body == b"ok"
        assert (await http.get()).body.startswith(b"40{")
        return http

    def request(self, method: str = "GET", body: str = "", more: str = "") -> bytes:
        """For the session; ``more`` are header lines, each with its end."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {self.target} HTTP/1.1\r\nHost: localhost\r\n{length}{more}\r\n"
        return head.encode() + body.encode()

    async def get(self, more: str = "") -> Response:
        self.send(self.request(more=more))
        return await self.receive()

    async def post(self, body: str, more: str = "") -> Response:
        self.send(self.request("POST", body, more))
        return await self.receive()

    async def receive(self) -> Response:
        """The next answer. Raises IncompleteReadError at the end."""
        async with asyncio.timeout(60):
            head = await self.reader.readuntil(b"\r\n\r\n")
            line, *lines = head.decode().split("\r\n")[:-2]
            headers = {}
            for header in lines:
                name, _, value = header.partition(": ")
                headers[name.lower()] = value
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            return Response(int(line.split()[1]), headers, body)
