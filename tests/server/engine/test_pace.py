"""A client that sends too fast is read later, and loses nothing."""

from __future__ import annotations

import asyncio
from functools import partial

import aiohttp
import pytest
from aiohttp import web

from pychat.server.engine import SocketConnection, SocketServer
from pychat.server.guard.bucket import Allowance, Rate
from pychat.server.guard.visitors import Admission, Visitors

pytestmark = pytest.mark.usefixtures("path")


class Counting:
    """A handler that counts events and answers each."""

    def __init__(self) -> None:
        self.count = 0

    def connected(self, connection: SocketConnection) -> None:
        return None

    def event(
        self, connection: SocketConnection, event: str, payload: bytes, ack_id: int | None
    ) -> None:
        self.count += 1
        if ack_id is not None:
            connection.acknowledge(ack_id, payload)

    def disconnected(self, connection: SocketConnection, reason: str) -> None:
        return None


async def _serve(server: SocketServer) -> tuple[web.AppRunner, str]:
    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/socket.io/?EIO=4"


async def test_what_comes_too_fast_is_read_later() -> None:
    handler = Counting()
    runner, url = await _serve(
        SocketServer(handler, pace=partial(Allowance, Rate(per_second=1000, burst=200)))
    )
    started = asyncio.get_running_loop().time()
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(url + "&transport=websocket")
        await socket.send_str("40")
        for number in range(1000):
            await socket.send_str(f'42{number}["x",{number}]')
        answers: list[str] = []
        while len(answers) < 1000:
            text = await socket.receive_str(timeout=60)
            if text.startswith("43"):
                answers.append(text)
        assert answers == [f"43{number}[{number}]" for number in range(1000)]
        assert asyncio.get_running_loop().time() - started > 0.3
        await socket.close()
    await runner.cleanup()


async def test_a_flood_by_polling_is_read_later_too() -> None:
    handler = Counting()
    runner, url = await _serve(
        SocketServer(handler, pace=partial(Allowance, Rate(per_second=200, burst=100)))
    )
    started = asyncio.get_running_loop().time()
    async with aiohttp.ClientSession() as session:
        opened = await session.get(url + "&transport=polling")
        sid = (await opened.text()).partition('"sid":"')[2].partition('"')[0]
        body = "40\x1e" + "\x1e".join(['42["x",1]'] * 200)
        answer = await session.post(f"{url}&transport=polling&sid={sid}", data=body)
        assert answer.status == 200
        assert handler.count == 200
        assert asyncio.get_running_loop().time() - started > 0.3
    await runner.cleanup()


async def test_an_address_has_only_so_many_sessions() -> None:
    admission = Admission(sessions=3, handshakes_per_second=1000, handshakes_burst=1000)
    runner, url = await _serve(SocketServer(Counting(), admission=Visitors(admission)))
    async with aiohttp.ClientSession() as session:
        url += "&transport=websocket"
        sockets = [await session.ws_connect(url) for _ in range(3)]
        refused = await session.get(url, headers=_UPGRADE)
        assert refused.status == 429
        assert "Retry-After" in refused.headers
        await sockets[0].close()
        await (await session.ws_connect(url)).close()
        for socket in sockets:
            await socket.close()
    await runner.cleanup()


async def test_an_address_opens_sessions_only_so_fast() -> None:
    admission = Admission(sessions=1000, handshakes_per_second=0.001, handshakes_burst=2)
    runner, url = await _serve(SocketServer(Counting(), admission=Visitors(admission)))
    async with aiohttp.ClientSession() as session:
        url += "&transport=websocket"
        sockets = [await session.ws_connect(url) for _ in range(2)]
        assert (await session.get(url, headers=_UPGRADE)).status == 429
        for socket in sockets:
            await socket.close()
    await runner.cleanup()


_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
