"""One server of the comparison, in a process of its own; prints its port."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import uvloop
from aiohttp import web

from pychat.server.engine import SocketConnection, SocketServer, encode_event


async def chat(store: str = "memory:") -> int:
    """The whole chat, its messages kept in memory."""
    from pychat.server.app import ChatServer

    server = ChatServer(store, accounts="open", limits=False)
    await server.start(port=0)
    return server.port


async def chat_sqlite() -> int:
    """The whole chat, every message fsynced before it is delivered or answered."""
    return await chat(f"sqlite:///{sys.argv[2]}")


async def _serve(attach: Any) -> int:
    app = web.Application()
    attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return int(runner.addresses[0][1])


class Relay:
    """The original's handler on the engine, and nothing else."""

    def __init__(self) -> None:
        import msgspec

        self._decode = msgspec.json.Decoder(dict[str, str | int]).decode
        self._users: dict[Any, SocketConnection] = {}
        self._sent = encode_event("response", b'{"command":"message","code":"200"}')
        self._welcome = encode_event("response", b'{"command":"login","code":"200"}')

    def connected(self, connection: SocketConnection) -> None:
        """Nothing until the login."""

    def disconnected(self, connection: SocketConnection, reason: str) -> None:
        self._users.pop(connection.context, None)

    def event(
        self, connection: SocketConnection, event: str, payload: bytes, ack_id: int | None
    ) -> None:
        data = self._decode(payload)
        if event == "login":
            connection.context = data["id"]
            self._users[data["id"]] = connection
            connection.send(self._welcome)
            return
        packet = encode_event("message", payload)
        if data["recepient"] == "ALL":
            for user in self._users.values():
                user.send(packet)
            return
        self._users[data["recepient"]].send(packet)
        connection.send(self._sent)


async def engine() -> int:
    """The engine with the smallest handler."""
    return await _serve(SocketServer(Relay()).attach)


def _original(sio: Any) -> Any:
    users: dict[str, str] = {}

    @sio.event
    async def login(sid: str, data: Any) -> None:
        users[data["id"]] = sid
        await sio.emit("response", {"command": "login", "code": "200", "message": "ok"}, to=sid)

    @sio.event
    async def message(sid: str, data: Any) -> None:
        if data["recepient"] == "ALL":
            await sio.emit("message", data)
            return
        await sio.emit("message", data, to=users[data["recepient"]])
        await sio.emit("response", {"command": "message", "code": "200", "message": "ok"}, to=sid)

    return sio


async def asyncserver() -> int:
    """The drop-in, with ordinary handlers."""
    from pychat.server.engine import AsyncServer

    return await _serve(_original(AsyncServer(async_mode="aiohttp")).attach)


async def upstream() -> int:
    """python-socketio as it comes."""
    import socketio

    return await _serve(_original(socketio.AsyncServer(async_mode="aiohttp")).attach)


SERVERS = {
    "chat": chat,
    "chat-sqlite": chat_sqlite,
    "engine": engine,
    "asyncserver": asyncserver,
    "upstream": upstream,
}


async def main() -> None:
    print(await SERVERS[sys.argv[1]](), flush=True)
    gc.collect()
    gc.freeze()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
