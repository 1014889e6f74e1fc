"""Shutdown: every client gets a close, and no task is left."""

from __future__ import annotations

import asyncio
import gc
import logging
import time

import pytest

from pychat.server.engine import encode_event
from tests.server.engine.conftest import Start
from tests.server.engine.rawsocket import RawSocket, text


async def test_every_client_gets_a_close(
    start: Start, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    server = await start()
    queries = [await server.open_polling(protocol) for protocol in (3, 4)]
    polls = [asyncio.create_task(server.get(query)) for query in queries]
    sockets = [await server.open_websocket(protocol) for protocol in (3, 4)]
    await server.until_polled()
    packet = encode_event("a", b"1")
    for connection in server.handler.connections[2:]:
        for _ in range(100):
            connection.send(packet)
    for ws in sockets:
        await ws.send_str('42["busy",1]')
    shutdown = asyncio.create_task(server.server.shutdown())
    assert [await poll for poll in polls] == [(200, "1:1"), (200, "1")]
    for ws in sockets:
        for _ in range(100):
            assert await ws.receive_str() == '42["a",1]'
        while not ws.closed:
            await ws.receive()
        assert ws.close_code == 1000
    await shutdown
    assert server.handler.reasons == ["server shutting down"] * 4
    assert (await server.get("EIO=4&transport=polling"))[0] == 503
    gc.collect()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not recwarn.list


async def test_clients_that_do_not_answer_are_cut(start: Start) -> None:
    server = await start()
    raw = await (await RawSocket.open(server.port)).joined()
    began = time.monotonic()
    await server.server.shutdown()
    assert time.monotonic() - began < 10
    assert await raw.close_code() == 1000
    assert await raw.at_end()


@pytest.mark.direct(reason="aiohttp runs a task for each WebSocket")
async def test_no_task_is_left(start: Start) -> None:
    before = asyncio.all_tasks()
    server = await start()
    raw = await (await RawSocket.open(server.port)).joined()
    raw.send(text('42["a",1]'))
    await raw.receive()
    assert asyncio.all_tasks() == before
    await server.server.shutdown()
    assert asyncio.all_tasks() == before
    raw.close()
