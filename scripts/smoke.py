"""Whether an installed pychat works: `python -I scripts/smoke.py`, outside the project."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

import aiohttp

import pychat
from pychat import ChatClient, ChatServer


async def main() -> None:
    server = ChatServer("memory:")
    await server.start()
    try:
        async with aiohttp.ClientSession(server.url, raise_for_status=True) as http:
            for path in ("/", "/page/js/main.js", "/socket.io/socket.io.js", "/healthz"):
                await (await http.get(path)).read()
        async with ChatClient(server.url, user="alice", password="a good password") as alice:
            assert (await alice.send("ALL", "it works")).seq == 1
    finally:
        await server.stop()
    assert pychat.__version__ == version("pychat-socketio")
    print(f"pychat {pychat.__version__} works, from {pychat.__file__}")


if __name__ == "__main__":
    asyncio.run(main())
