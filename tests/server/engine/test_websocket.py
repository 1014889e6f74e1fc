"""The WebSocket transport: correct frames and incorrect ones."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from pathlib import Path

import pytest

from pychat.server.engine import encode_event
from tests.requirements import require_program
from tests.server.engine.conftest import Start
from tests.server.engine.rawsocket import RawSocket, frame, text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = f"req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {cert} -days 1 -subj /CN=a"
    subprocess.run([require_program("openssl"), *command.split()], check=True, capture_output=True)
    return key, cert


@pytest.mark.parametrize("protocol", [3, 4])
async def test_events_and_acks(start: Start, protocol: int) -> None:
    server = await start()
    ws = await server.open_websocket(protocol)
    await ws.send_str('42["a",{"x":"한😀"}]')
    assert await ws.receive_str() == '42["a",{"x":"한😀"}]'
    await ws.send_str('427["b",[1]]')
    assert await ws.receive_str() == "437[[1]]"


@pytest.mark.parametrize("size", [100, 1000, 100_000, 900_000])
async def test_frames_of_every_size(start: Start, size: int) -> None:
    server = await start()
    ws = await server.open_websocket()
    for event in ("a", "b"):
        message = json.dumps([event, "한" * (size // 3)], ensure_ascii=False)
        await ws.send_str("42" + message)
        assert (await ws.receive_str())[2:] == message.replace('", "', '","')


async def test_many_frames_in_one_segment_keep_their_order(start: Start) -> None:
    server = await start()
    raw = await (await RawSocket.open(server.port)).joined()
    raw.send(b"".join(text(f'42["n",{n}]') for n in range(500)))
    for n in range(500):
        assert (await raw.receive())[1] == b'42["n",%d]' % n
    raw.close()


async def test_frames_that_come_with_the_request(start: Start) -> None:
    server = await start()
    tail = text("40") + b"".join(text(f'42["n",{n}]') for n in range(200))
    raw = await RawSocket.open(server.port, tail=tail)
    assert (await raw.receive())[1].startswith(b"0{")
    assert (await raw.receive())[1].startswith(b"40{")
    for n in range(200):
        assert (await raw.receive())[1] == b'42["n",%d]' % n
    raw.close()


async def test_over_tls(start: Start, certificate: tuple[Path, Path]) -> None:
    key, cert = certificate
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(cert, key)
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.check_hostname = False
    client_side.verify_mode = ssl.CERT_NONE
    server = await start(ssl=server_side)
    raw = await (await RawSocket.open(server.port, context=client_side)).joined()
    for size in (10, 100_000):
        raw.send(text(json.dumps(["a", "x" * size]).join(["42", ""])))
        assert len((await raw.receive())[1]) == size + 10
    raw.send(frame(0x88, b""))
    assert await raw.close_code() == 1000
    raw.close()


async def test_fragments_are_put_together(start: Start) -> None:
    server = await start()
    raw = await (await RawSocket.open(server.port)).joined()
    message = '42["a","한"]'.encode()
    raw.send(frame(0x01, message[:8]) + frame(0x89, b"ping") + frame(0x80, message[8:]))
    assert await raw.receive() == (0x8A, b"ping")
    assert (await raw.receive())[1] == message
    raw.close()


async def test_ping_frames_are_answered(start: Start) -> None:
    server = await start()
    raw = await (await RawSocket.open(server.port)).joined()
    raw.send(frame(0x89, b"x" * 125) + frame(0x8A, b"unasked"))
    assert await raw.receive() == (0x8A, b"x" * 125)
    raw.close()


@pytest.mark.parametrize(
    ("sent", "answered"), [(b"", 1000), (b"\x03\xe9", 1001), (b"\x0f\xa0bye", 4000)]
)
async def test_a_close_is_answered(start: Start, sent: bytes, answered: int) -> None:
    server = await start()
    raw = await (await RawSocket.open(server.port)).joined()
    raw.send(text('42["a",1]') + frame(0x88, sent))
    assert (await raw.receive())[1] == b'42["a",1]'
    assert await raw.close_code() == answered
    assert await raw.at_end()
    assert server.handler.reasons == ["transport close"]


@pytest.mark.parametrize(
    "head",
    [
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: c2hvcnQ=\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c\r\n",
        "",
    ],
)
async def test_wrong_handshakes_are_answered_400(start: Start, head: str) -> None:
    server = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n{head}\r\n".encode()
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()


async def test_large_headers_do_not_matter(start: Start) -> None:
    server = await start()
    headers = {f"X-{n}": "y" * 4000 for n in range(6)}
    ws = await server.http.ws_connect(f"{server.url}?EIO=4&transport=websocket", headers=headers)
    assert (await ws.receive_str())[0] == "0"


async def test_binary_of_protocol_3_has_its_type_first(start: Start) -> None:
    server = await start()
    ws = await server.open_websocket(3)
    await ws.send_str('451-7["a",{"_placeholder":true,"num":0}]')
    await ws.send_bytes(b"\x04data")
    assert await ws.receive_str() == '437[{"_placeholder":true,"num":0}]'
    await ws.send_bytes(b"\x02data")
    await server.handler.until(lambda handler: handler.reasons == ["parse error"])


async def test_heartbeat_of_protocol_4_is_the_servers(start: Start) -> None:
    server = await start(ping_interval=0.2, ping_timeout=1)
    ws = await server.open_websocket()
    for _ in range(2):
        assert await ws.receive_str() == "2"
        await ws.send_str("3")
    assert await ws.receive_str() == "2"
    await server.handler.until(lambda handler: handler.reasons == ["ping timeout"])


async def test_heartbeat_of_protocol_3_is_the_clients(start: Start) -> None:
    server = await start(ping_interval=0.2, ping_timeout=1)
    ws = await server.open_websocket(3)
    for _ in range(4):
        await asyncio.sleep(0.1)
        await ws.send_str("2hi")
        assert await ws.receive_str() == "3hi"
    assert not server.handler.reasons
    await server.handler.until(lambda handler: handler.reasons == ["ping timeout"])


async def test_events_before_connect_end_the_session(start: Start) -> None:
    server = await start()
    raw = await RawSocket.open(server.port)
    await raw.receive()
    raw.send(text('42["a",1]'))
    assert await raw.close_code() == 1000
    assert not server.handler.events
    raw.close()


async def test_a_session_that_never_connects_is_cut(start: Start) -> None:
    server = await start(connect_timeout=0.5, ping_interval=1)
    raw = await RawSocket.open(server.port)
    await raw.receive()
    assert await raw.close_code() == 1000
    raw.close()


async def test_a_reader_that_stalls_is_cut_and_the_others_are_not(start: Start) -> None:
    server = await start()
    raw = await (await RawSocket.open(server.port, limit=1024)).joined()
    other = await server.open_websocket()
    slow, fast = server.handler.connections
    packet = encode_event("a", json.dumps("x" * 100_000).encode())
    sent = 0
    while not server.handler.reasons and sent < 50_000_000:
        slow.send(packet)
        fast.send(packet)
        sent += 100_000
        assert len(await other.receive_str()) > 100_000
    # What the kernel takes for the client is not ours to count: 1 MiB beyond it.
    assert server.handler.reasons == ["slow consumer"]
    assert sent < 10_000_000
    raw.close()


async def test_a_client_that_vanishes(start: Start) -> None:
    server = await start()
    raw = await (await RawSocket.open(server.port)).joined()
    raw.close()
    await server.handler.until(lambda handler: handler.reasons == ["transport close"])
    assert server.server.client_count == 0


# --- the upgrade


async def test_the_upgrade_keeps_order(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    connection = server.handler.connections[0]
    poll = asyncio.create_task(server.get(query))
    raw = await RawSocket.open(server.port, query.replace("polling", "websocket"))
    raw.send(text("2probe"))
    assert (await raw.receive())[1] == b"3probe"
    assert await poll == (200, "6")
    assert await server.get(query) == (200, "6")
    for n in range(3):
        connection.send(encode_event("n", b"%d" % n))
    raw.send(text("5"))
    for n in range(3):
        assert (await raw.receive())[1] == b'42["n",%d]' % n
    assert (await server.get(query))[0] == 400
    raw.send(text('42["a",1]'))
    assert (await raw.receive())[1] == b'42["a",1]'
    raw.close()


async def test_what_a_client_sends_keeps_its_order_across_the_upgrade(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    raw = await RawSocket.open(server.port, query.replace("polling", "websocket"))
    raw.send(text("2probe"))
    assert (await raw.receive())[1] == b"3probe"
    # A client may still post while it probes; what it then sends on the websocket comes behind.
    sent = "\x1e".join(f'42["n",{n}]' for n in range(16))
    assert await server.post(query, sent) == (200, "ok")
    raw.send(text("5") + b"".join(text(f'42["n",{n}]') for n in range(16, 40)))
    await server.handler.until(lambda handler: len(handler.events) == 40)
    assert server.handler.events == [("n", n) for n in range(40)]
    answers = [(await raw.receive())[1] for _ in range(40)]
    assert answers == [b'42["n",%d]' % n for n in range(40)]
    raw.close()


async def test_a_second_websocket_on_a_session_is_refused(start: Start) -> None:
    server = await start()
    query = (await server.open_polling()).replace("polling", "websocket")
    first = await RawSocket.open(server.port, query)
    with pytest.raises(AssertionError, match="400"):
        await RawSocket.open(server.port, query)
    first.send(text("2probe"))
    await first.receive()
    first.send(text("5"))
    first.send(text('42["a",1]'))
    assert (await first.receive())[1] == b'42["a",1]'
    with pytest.raises(AssertionError, match="400"):
        await RawSocket.open(server.port, query)
    first.close()


@pytest.mark.parametrize("packet", ["5", "2", '42["a",1]', "3probe", "2probe2"])
async def test_a_probe_that_is_none_leaves_the_session_on_polling(
    start: Start, packet: str
) -> None:
    server = await start()
    query = await server.open_polling()
    raw = await RawSocket.open(server.port, query.replace("polling", "websocket"))
    raw.send(text(packet))
    assert await raw.close_code() == 1002
    await server.post(query, '42["b",1]')
    assert await server.get(query) == (200, '42["b",1]')
    raw.close()


async def test_an_upgrade_that_takes_too_long_is_given_up(start: Start) -> None:
    server = await start(upgrade_timeout=0.5, ping_interval=30)
    query = await server.open_polling()
    raw = await RawSocket.open(server.port, query.replace("polling", "websocket"))
    raw.send(text("2probe"))
    await raw.receive()
    assert await raw.close_code() == 1000
    poll = asyncio.create_task(server.get(query))
    await server.post(query, '42["b",1]')
    assert await poll == (200, '42["b",1]')
    raw.close()


async def test_a_session_that_ends_takes_its_probe_along(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    raw = await RawSocket.open(server.port, query.replace("polling", "websocket"))
    await server.post(query, "1")
    assert await raw.close_code() == 1000
    raw.close()
