"""An IRC server of one channel, in a few lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class IrcServer:
    """Welcomes clients, pings them, and passes on what they say in the channel."""

    def __init__(self) -> None:
        self.port = 0
        self.said: asyncio.Queue[str] = asyncio.Queue()
        """What clients have sent after they joined."""
        self.joined: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nick = ""
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            command, _, rest = line.partition(" ")
            if command == "NICK":
                nick = rest
            elif command == "USER":
                writer.write(f"PING :token\r\n:irc 001 {nick} :Welcome\r\n".encode())
            elif command == "JOIN":
                writer.write(f":{nick}!u@host JOIN {rest}\r\n".encode())
                self.joined.put_nowait(writer)
            else:
                self.said.put_nowait(line)


@asynccontextmanager
async def irc_server() -> AsyncIterator[IrcServer]:
    server = IrcServer()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
