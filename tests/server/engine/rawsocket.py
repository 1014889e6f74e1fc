"""A WebSocket client that sends any bytes and shows every frame."""

from __future__ import annotations

import asyncio
import ssl

_MASK = b"\x00\x00\x00\x00"


def frame(first: int, payload: bytes, *, masked: bool = True) -> bytes:
    """A frame with any first byte; the mask leaves the payload as it is."""
    size = len(payload)
    bit = 0x80 if masked else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    return head + (_MASK if masked else b"") + payload


def text(payload: str) -> bytes:
    """A whole text frame."""
    return frame(0x81, payload.encode())


class RawConnection:
    """A connection that sends any bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def at_end(self) -> bool:
        """Wait until the server has closed the connection without sending more."""
        async with asyncio.timeout(60):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True

    def close(self) -> None:
        self.writer.transport.abort()


class RawSocket(RawConnection):
    """A WebSocket after its handshake."""

    @classmethod
    async def open(
        cls,
        port: int,
        query: str = "EIO=4&transport=websocket",
        *,
        tail: bytes = b"",
        context: ssl.SSLContext | None = None,
        limit: int = 2**16,
    ) -> RawSocket:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=limit)
        writer.write(
            f"GET /socket.io/?{query} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
            "Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            + tail
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head  # RFC 6455, section 1.3
        return cls(reader, writer)

    async def joined(self) -> RawSocket:
        """Receive the open packet and join the namespace."""
        assert (await self.receive())[1].startswith(b"0{")
        self.send(text("40"))
        assert (await self.receive())[1].startswith(b"40")
        return self

    async def receive(self) -> tuple[int, bytes]:
        """Return the first byte and the payload of the next frame.

        Raises IncompleteReadError at the end.
        """
        async with asyncio.timeout(60):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return first, await self.reader.readexactly(size)

    async def close_code(self) -> int:
        """Return the code of the next frame, which must be a close frame."""
        first, payload = await self.receive()
        assert first == 0x88, (first, payload)
        return int.from_bytes(payload, "big")
