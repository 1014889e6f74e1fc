"""Sessions on polling, both protocols."""

from __future__ import annotations

import asyncio
import json

import pytest

from pychat.server.engine import encode_event
from tests.server.engine.conftest import Start
from tests.turns import turns


async def test_events_and_acks(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    await server.post(query, '42["a",{"x":"한😀"}]\x1e427["b",[1]]')
    assert await server.get(query) == (200, '42["a",{"x":"한😀"}]\x1e437[[1]]')
    assert server.handler.events == [("a", {"x": "한😀"}), ("b", [1])]


async def test_forty_events_in_one_post_keep_their_order(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    await server.post(query, "\x1e".join(f'42["n",{n}]' for n in range(40)))
    assert [n for _, n in server.handler.events] == list(range(40))


async def test_a_poll_waits_for_what_comes(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    poll = asyncio.create_task(server.get(query))
    await server.post(query, '42["a",1]')
    assert await poll == (200, '42["a",1]')


async def test_protocol_3_in_and_out(start: Start) -> None:
    server = await start()
    query = await server.open_polling(3)
    await server.post(query, '14:42["a","한 😀"]1:2')
    assert await server.get(query) == (200, '29:42["a","\\ud55c \\ud83d\\ude00"]1:3')
    frames = b"\x00\x01\x00\xff" + b'42["a",12]'
    await server.post(query, frames, headers={"Content-Type": "application/octet-stream"})
    assert await server.get(query) == (200, '10:42["a",12]')


async def test_jsonp(start: Start) -> None:
    server = await start()
    query = await server.open_polling(3, "&j=0")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert await server.post(query, "d=10%3A42%5B%22a%22%2C12%5D", headers=form) == (200, "ok")
    async with server.http.get(f"{server.url}?{query}&t=1") as response:
        assert response.content_type == "text/javascript"
        assert await response.text() == '___eio[0]("10:42[\\"a\\",12]");'


async def test_the_callback_of_jsonp_is_a_number(start: Start) -> None:
    server = await start()
    _, body = await server.get("EIO=3&transport=polling&j=alert(1)//2")
    assert body.startswith("___eio[12](")


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_close_of_the_client_answers_the_open_poll(start: Start, protocol: int) -> None:
    server = await start()
    query = await server.open_polling(protocol)
    poll = asyncio.create_task(server.get(query))
    await server.post(query, '42["settle",1]' if protocol == 4 else '14:42["settle",1]')
    await poll
    poll = asyncio.create_task(server.get(query))
    await turns()
    assert (await server.post(query, "1" if protocol == 4 else "1:1"))[0] == 200
    assert await poll == (200, "6" if protocol == 4 else "1:6")
    assert server.handler.reasons == ["transport close"]
    assert (await server.get(query))[0] == 400
    assert (await server.post(query, "6"))[0] == 400


async def test_a_close_of_the_server_comes_after_what_waits(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    await server.post(query, '42["a",1]\x1e42["leave"]')
    assert await server.get(query) == (200, '42["a",1]\x1e41')
    assert await server.get(query) == (200, "1")
    assert (await server.get(query))[0] == 400
    assert server.handler.reasons == ["server namespace disconnect"]


async def test_a_second_poll_ends_the_session(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    first = asyncio.create_task(server.get(query))
    await turns()
    assert (await server.get(query))[0] == 400
    assert await first == (200, "6")
    assert server.handler.reasons == ["transport error"]


async def test_a_poll_whose_client_has_gone_ends_the_session(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET /socket.io/?{query} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    await turns()
    writer.close()
    await server.handler.until(lambda handler: handler.reasons == ["transport close"])


async def test_a_body_is_capped_while_it_is_read(start: Start) -> None:
    server = await start(max_payload=1000)
    query = await server.open_polling()
    assert (await server.post(query, "4" * 1001))[0] == 413

    sent = 0

    async def endless():  # type: ignore[no-untyped-def]
        nonlocal sent
        while sent < 50_000_000:
            sent += 10_000
            yield b"4" * 10_000

    try:
        async with server.http.post(f"{server.url}?{query}", data=endless()) as response:
            assert response.status == 413
    except OSError:
        pass  # the server has stopped reading: the client may see the reset first
    assert sent < 50_000_000


async def test_binary_attachments_do_not_disturb(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    await server.post(query, '451-3["a",{"_placeholder":true,"num":0}]\x1ebAAEC\x1e42["b",1]')
    assert [event for event, _ in server.handler.events] == ["a", "b"]


async def test_a_reader_that_does_not_poll_is_cut(start: Start) -> None:
    server = await start()
    await server.open_polling()
    packet = encode_event("a", json.dumps("x" * 100_000).encode())
    for _ in range(100):
        server.handler.connections[0].send(packet)
    assert server.handler.reasons == ["slow consumer"]


@pytest.mark.parametrize("protocol", [3, 4])
async def test_ping_timeout(start: Start, protocol: int) -> None:
    server = await start(ping_interval=0.1, ping_timeout=0.7)
    query = await server.open_polling(protocol)
    if protocol == 4:
        assert await server.get(query) == (200, "2")
        assert await server.post(query, "3") == (200, "ok")
        assert await server.get(query) == (200, "2")
    await server.handler.until(lambda handler: handler.reasons == ["ping timeout"])
    assert (await server.get(query))[0] == 400


async def test_a_session_that_never_connects_is_cut(start: Start) -> None:
    server = await start(connect_timeout=0.5, ping_interval=1)
    _, body = await server.get("EIO=4&transport=polling")
    sid = json.loads(body[1:])["sid"]
    status, _ = await server.get(f"EIO=4&transport=polling&sid={sid}")
    assert status == 200  # the poll was open and is answered
    assert (await server.get(f"EIO=4&transport=polling&sid={sid}"))[0] == 400


async def test_unfinished_binary_packets_are_cut(start: Start) -> None:
    server = await start(connect_timeout=0.5, ping_interval=1)
    query = await server.open_polling()
    await server.post(query, '451-["a",{"_placeholder":true,"num":0}]')
    await server.handler.until(lambda handler: bool(handler.reasons))


@pytest.mark.parametrize(
    ("protocol", "answer"),
    [(4, '44/admin,{"message":"Invalid namespace"}'), (3, '28:44/admin,"Invalid namespace"')],
)
async def test_other_namespaces_are_refused(start: Start, protocol: int, answer: str) -> None:
    server = await start()
    query = await server.open_polling(protocol)
    packet = "40/admin?a=b,"
    await server.post(query, packet if protocol == 4 else f"{len(packet)}:{packet}")
    assert await server.get(query) == (200, answer)


async def test_a_namespace_flood_is_cut(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    await server.post(query, "\x1e".join(f"40/n{n}," for n in range(100)))
    assert server.handler.reasons == ["parse error"]


async def test_a_client_may_leave_and_join_again(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    await server.post(query, '41\x1e40\x1e42["a",1]')
    status, body = await server.get(query)
    assert status == 200
    assert body.startswith('40{"sid":')
    assert body.endswith('\x1e42["a",1]')
    assert server.handler.reasons == ["client namespace disconnect"]
    assert len({connection.sid for connection in server.handler.connections}) == 2


async def test_a_failing_handler_disturbs_nobody(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = await start()
    query = await server.open_polling()
    await server.post(query, '42["fail"]\x1e42["a",1]')
    assert await server.get(query) == (200, '42["a",1]')
    assert "as the test asked" in caplog.text
