"""A TCP proxy that a test can cut, stall and make half-open."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum


class Line(Enum):
    """What the proxy does with the bytes of its connections, those to come included."""

    OPEN = "open"
    STALLED = "stalled"
    """Nothing passes, nothing is lost: it goes on when the line is open again."""
    SILENT = "silent"
    """What is sent is taken and dropped, both ways: as after a router has forgotten one."""
    DOWN = "down"
    """Connections are reset at once."""


class Proxy:
    """Listens on 127.0.0.1 (``port``) and passes all on to another port there."""

    def __init__(self, target: int, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._line = Line.OPEN
        self._moving = asyncio.Event()
        self._moving.set()
        self.accepted = 0
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self._moving.set()
        self.cut()

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    @property
    def line(self) -> Line:
        return self._line

    @line.setter
    def line(self, line: Line) -> None:
        if self._line is Line.SILENT and line is not Line.SILENT:
            self.cut()  # bytes are missing: that connection can never be right again
        self._line = line
        if line is Line.STALLED:
            self._moving.clear()
        else:
            self._moving.set()
        if line is Line.DOWN:
            self.cut()

    def cut(self) -> None:
        """Resets the connections there are, both ends."""
        for link in list(self._links):
            link.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(writer)
        self._links.add(link)
        try:
            if self._line is Line.DOWN:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            link.writers.append(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, far_writer, link))
                both.create_task(self._pass(far_reader, writer, link))
        except* OSError:
            pass
        finally:
            link.abort()
            self._links.discard(link)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link
    ) -> None:
        while data := await reader.read(65536):
            await self._moving.wait()
            if self._line is Line.SILENT:
                continue
            writer.write(data)
            await writer.drain()
        if self._line is not Line.SILENT:
            link.abort()


class _Link:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writers = [writer]

    def abort(self) -> None:
        for writer in self.writers:
            with suppress(OSError):
                writer.transport.abort()


@asynccontextmanager
async def proxying(target: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """Started, and stopped at the end."""
    proxy = Proxy(target, tls)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
