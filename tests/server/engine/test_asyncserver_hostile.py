"""AsyncServer: hostile clients are disconnected and disturb no other client."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from pychat.server.engine import AsyncServer
from tests.server.engine.asyncsite import Serve, soon
from tests.server.engine.rawhttp import RawHttp
from tests.server.engine.rawsocket import RawSocket, frame, text


def _bytes_in(count: int) -> str:
    return ",".join(f'{{"_placeholder":true,"num":{n}}}' for n in range(count))


@pytest.mark.parametrize(
    "sent",
    [
        text('42["connect"]'),
        text('42["disconnect"]'),
        text("42{}"),
        text("42[]"),
        text('42["a",NaN]'),
        text('42["a","\\ud800"]'),
        text('42["a",' + "[" * 32 + "]" * 33),
        text('42["a",' + "[" * 100_000),
        text("43[]"),
        text("40[]"),
        text('44{"message":"only servers say so"}'),
        text("4x"),
        text('451-["a",{"_placeholder":true,"num":7}]') + frame(0x82, b"x"),
        text('451-["a",{"_placeholder":true,"num":-1}]') + frame(0x82, b"x"),
        text('451-["a",{"_placeholder":true,"num":0}]') + text('42["a"]'),
        text(f'4511-["a",{_bytes_in(11)}]'),
        text('42/other,["a"]'),
        text('451-/other,["a",{"_placeholder":true,"num":0}]'),
        frame(0x82, b"unannounced"),
    ],
)
async def test_malformed_packets_end_the_session(serve: Serve, sio: Any, sent: bytes) -> None:
    @sio.event
    def fine(sid: str) -> str:
        return "still here"

    site = await serve(sio)
    other, _ = await site.client()
    raw = await (await RawSocket.open(site.port)).joined()
    raw.send(sent)
    assert await raw.close_code() == 1000
    assert await soon(other.call("fine")) == "still here"
    raw.close()


async def test_attachments_are_capped_together(serve: Serve) -> None:
    sio = AsyncServer(max_http_buffer_size=100_000)
    sizes: asyncio.Queue[list[int]] = asyncio.Queue()

    @sio.event
    def a(sid: str, *parts: bytes) -> None:
        sizes.put_nowait([len(part) for part in parts])

    site = await serve(sio)
    raw = await (await RawSocket.open(site.port)).joined()
    event = text(f'4510-["a",{_bytes_in(10)}]')
    raw.send(event + frame(0x82, b"x" * 10_000) * 10)
    assert await soon(sizes.get()) == [10_000] * 10
    raw.send(event + frame(0x82, b"x" * 60_000) * 2)
    assert await raw.close_code() == 1000
    raw.close()


@pytest.mark.parametrize("unfinished", ['451-["a",{"_placeholder":true,"num":0}]', None])
async def test_who_does_not_finish_in_time_is_cut(serve: Serve, unfinished: str | None) -> None:
    """Neither a binary packet nor its way into a namespace."""
    site = await serve(AsyncServer(connect_timeout=0.5, ping_interval=1))
    raw = await RawSocket.open(site.port)
    if unfinished:
        await raw.joined()
        raw.send(text(unfinished))
    else:
        await raw.receive()
    assert await raw.close_code() == 1000
    raw.close()


async def test_a_namespace_flood_is_cut(serve: Serve, sio: Any) -> None:
    site = await serve(sio)
    raw = await (await RawSocket.open(site.port)).joined()
    for n in range(20):
        raw.send(text(f"40/n{n},"))
    refused = 0
    while (answer := await raw.receive())[0] == 0x81:
        assert answer[1].startswith(b"44/n")
        refused += 1
    assert answer[0] == 0x88
    assert refused <= 10
    raw.close()


class FaultyJson:
    """A json module of an app's own, which does not know every number."""

    dumps = staticmethod(json.dumps)

    @staticmethod
    def loads(text: str) -> Any:
        data = json.loads(text)
        return {True: data}[data != ["a", 7]]


@pytest.mark.parametrize("before", [0, 250])
async def test_what_an_apps_json_raises_ends_the_session(
    serve: Serve, caplog: pytest.LogCaptureFixture, before: int
) -> None:
    """On polling too, behind more packets than are handled at once: the connection goes on."""
    site = await serve(AsyncServer(json=FaultyJson))
    http = await RawHttp.joined(site.port)
    raw = await (await RawSocket.open(site.port)).joined()
    packets = ['42["a",1]'] * before + ['42["a",7]']
    raw.send(b"".join(map(text, packets)))
    assert await raw.close_code() == 1000
    assert (await http.post("\x1e".join(packets))).body == b"ok"
    assert (await http.get()).status == 400
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.exc_info[0] for record in errors if record.exc_info] == [KeyError, KeyError]
    raw.close()
