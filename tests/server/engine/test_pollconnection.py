"""Connections that poll, and other requests on them."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from pychat.server.engine import encode_event
from tests.server.engine.conftest import Start
from tests.server.engine.rawhttp import RawHttp
from tests.turns import turns


class Page:
    """An app with a page of its own, that counts what reaches it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.app = web.Application(middlewares=[self._count])
        self.app.router.add_route("*", "/page", self._page)

    @web.middleware
    async def _count(self, request: web.Request, handler):  # type: ignore[no-untyped-def]
        self.seen.append(f"{request.method} {request.path}")
        return await handler(request)

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text="page " + await request.text())


@pytest.mark.direct(reason="counts the requests that aiohttp sees")
async def test_a_page_and_its_polls_share_a_connection(start: Start) -> None:
    page = Page()
    server = await start(app=page.app)
    http = await RawHttp.joined(server.port)
    for number in range(3):
        page.seen.clear()
        http.send(b"POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        assert (await http.receive()).body == b"page hello"
        for event in (f'42["a",{number}]', f'42["b",{number}]'):
            assert (await http.post(event)).body == b"ok"
            assert (await http.get()).body == event.encode()
        # aiohttp sees one request of the session's, and has the connection back when it must.
        assert page.seen == ["POST /page", "POST /socket.io/"]


async def test_requests_in_one_segment_are_answered_in_order(start: Start) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    posts = [http.request("POST", f'42["n",{n}]') for n in range(100)]
    http.send(b"".join(posts) + http.request() + b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [(await http.receive()).body for _ in range(100)] == [b"ok"] * 100
    assert (await http.receive()).body.count(b"\x1e") == 99
    assert (await http.receive()).status == 404
    assert [n for _, n in server.handler.events] == list(range(100))
    assert (await http.post('42["n",100]')).body == b"ok"


async def test_what_follows_an_open_poll_waits_for_its_answer(start: Start) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    http.send(http.request() + http.request("POST", '42["a",1]'))
    other = await RawHttp.open(server.port)
    other.target = http.target
    assert (await other.post('42["b",1]')).body == b"ok"
    assert (await http.receive()).body == b'42["b",1]'
    assert (await http.receive()).body == b"ok"
    assert server.handler.events == [("b", 1), ("a", 1)]


async def test_whole_requests_behind_the_first_of_a_connection(start: Start) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    other = await RawHttp.open(server.port)
    other.target = http.target
    other.send(other.request("POST", '42["a",1]') + other.request("POST", '42["a",2]'))
    assert (await other.receive()).body == b"ok"
    assert (await other.receive()).body == b"ok"
    assert (await http.get()).body == b'42["a",1]\x1e42["a",2]'


@pytest.mark.direct(reason="a poll on a connection that cannot be borrowed does not wait")
@pytest.mark.parametrize("missing", [0, 1, 2, 3, 10, 40, 100, -10])
async def test_part_of_a_request_behind_the_first_is_not_taken_for_another(
    start: Start, missing: int
) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    other = await RawHttp.open(server.port)
    other.target = http.target
    inner = other.request("POST", '42["smuggled",1]')
    head = other.request("POST", more=f"Content-Length: {len(inner)}\r\n")
    cut = len(head) - missing
    other.send(other.request("POST", '42["a",1]') + (head + inner)[:cut])
    assert (await other.receive()).body == b"ok"
    other.send((head + inner)[cut:])
    if missing <= 0:
        await other.receive()
        assert server.handler.reasons == ["parse error"]
    else:
        assert await other.at_end()
    assert server.handler.events == [("a", 1)]


HOSTILE = {
    "both lengths": "Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n",
    "both, the other way": "Transfer-Encoding: chunked\r\nContent-Length: {n}\r\n",
    "two lengths": "Content-Length: 0\r\nContent-Length: {n}\r\n",
    "the same length twice": "Content-Length: {n}\r\nContent-Length: {n}\r\n",
    "a list of lengths": "Content-Length: {n}, {n}\r\n",
    "a sign": "Content-Length: +{n}\r\n",
    "below zero": "Content-Length: -1\r\n",
    "hexadecimal": "Content-Length: 0x10\r\n",
    "other digits": "Content-Length: \u0664\r\n",
    "no digits": "Content-Length: \r\n",
    "a huge length": "Content-Length: 99999999999999999999999\r\n",
    "space before the colon": "Content-Length : {n}\r\n",
    "folded": "X-A: b\r\n Content-Length: {n}\r\n",
    "folded length": "Content-Length:\r\n {n}\r\n",
    "a bare line feed": "X-A: b\nContent-Length: {n}\r\n",
    "a bare carriage return": "X-A: b\rContent-Length: {n}\r\n",
    "NUL": "X-A: \0\r\nContent-Length: {n}\r\n",
    "an empty name": ": b\r\nContent-Length: {n}\r\n",
    "no colon": "Content-Length {n}\r\n",
    "an unknown coding": "Transfer-Encoding: xchunked\r\n",
    "a coding in disguise": "Transfer-Encoding: \x0bchunked\r\n",
    "chunked and more": "Transfer-Encoding: chunked, identity\r\n",
    "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "a second Host": "Host: b\r\nContent-Length: {n}\r\n",
}


@pytest.mark.parametrize("lines", HOSTILE.values(), ids=HOSTILE.keys())
async def test_nothing_is_smuggled_in_a_body(start: Start, lines: str) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    inner = http.request("POST", '42["smuggled",1]').decode()
    http.send(http.request("POST", more=lines.format(n=len(inner))) + inner.encode())
    assert (await http.receive()).status == 400
    assert await http.at_end()
    assert server.handler.events == []


async def test_a_get_with_a_body_is_no_two_requests(start: Start) -> None:
    server = await start(ping_interval=0.5)
    http = await RawHttp.joined(server.port)
    inner = http.request("POST", '42["smuggled",1]').decode()
    http.send(http.request("GET", inner))
    assert (await http.receive()).status == 200
    http.send(http.request("POST", '42["a",1]'))
    assert (await http.receive()).body == b"ok"
    assert server.handler.events == [("a", 1)]


async def test_chunks_and_continue(start: Start) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    http.send(http.request("POST", more="Transfer-Encoding: chunked\r\n"))
    for part in ('42["a"', ",1]", ""):
        http.send(f"{len(part):x}\r\n{part}\r\n".encode())
    assert (await http.receive()).body == b"ok"
    head = http.request("POST", '42["b",1]', "Expect: 100-continue\r\n")[:-9]
    http.send(head)
    assert (await http.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    http.send(b'42["b",1]')
    assert (await http.receive()).body == b"ok"
    assert server.handler.events == [("a", 1), ("b", 1)]


async def test_a_body_in_pieces(start: Start) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    for byte in http.request("POST", '42["a",1]'):
        http.send(bytes((byte,)))
        await http.writer.drain()
        await asyncio.sleep(0.001)
    assert (await http.receive()).body == b"ok"
    assert server.handler.events == [("a", 1)]


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH"])
async def test_other_methods(start: Start, method: str) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    http.send(http.request(method))
    head = await http.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")


@pytest.mark.direct(reason="aiohttp keeps an HTTP/1.0 connection open if the client asks for it")
@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize(
    ("version", "more"),
    [("1.0", ""), ("1.0", "Connection: keep-alive\r\n"), ("1.1", "Connection: close\r\n")],
)
async def test_a_client_that_wants_the_connection_closed(
    start: Start, waits: bool, fresh: bool, version: str, more: str
) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    last = await RawHttp.open(server.port) if fresh else http
    last.target = http.target
    packet = encode_event("a", b"1")
    if not waits:
        server.handler.connections[0].send(packet)
    last.send(last.request(more=more).replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
    if waits:
        await turns()
        server.handler.connections[0].send(packet)
    response = await last.receive()
    assert response.body == b'42["a",1]'
    assert response.headers.get("connection", "close") == "close"
    assert await last.at_end()


async def test_an_upgrade_on_a_connection_that_has_polled(start: Start) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    http.target = http.target.replace("polling", "websocket")
    http.send(
        http.request(
            more="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        )
        + b"\x81\x86\0\0\0\x002probe"
    )
    assert (await http.receive()).status == 101
    assert await http.reader.readexactly(8) == b"\x81\x063probe"


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_poll_whose_connection_has_gone_ends_the_session(start: Start, fresh: bool) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    last = await RawHttp.open(server.port) if fresh else http
    last.target = http.target
    last.send(last.request())
    await turns()
    last.close()
    await server.handler.until(lambda handler: handler.reasons == ["transport close"])


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_body_whose_connection_has_gone_ends_the_session(start: Start, fresh: bool) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    last = await RawHttp.open(server.port) if fresh else http
    last.target = http.target
    last.send(last.request("POST", '42["a",1]')[:-1])
    await turns()
    last.close()
    await server.handler.until(lambda handler: handler.reasons == ["transport error"])
    assert server.handler.events == []


async def test_two_bodies_at_once_end_the_session(start: Start) -> None:
    server = await start()
    first, second = await RawHttp.joined(server.port), await RawHttp.joined(server.port)
    second.target = first.target
    first.send(first.request("POST", '42["a",1]')[:-1])
    await turns()
    assert (await second.post('42["b",1]')).status == 400
    assert server.handler.reasons == ["transport error"]
    first.send(b"]")
    assert (await first.receive()).status == 200
    assert server.handler.events == []


@pytest.mark.direct(reason="aiohttp answers 400 to a large head")
async def test_what_is_too_large(start: Start) -> None:
    server = await start(max_payload=1000)
    http = await RawHttp.joined(server.port)
    assert (await http.post("4" * 1001)).status == 413
    http = await RawHttp.joined(server.port)
    http.send(http.request(more=f"X-A: {'x' * 17_000}\r\n"))
    assert (await http.receive()).status == 431
    assert await http.at_end()


@pytest.mark.direct(reason="aiohttp answers 400 to a large head")
async def test_a_head_that_never_ends(start: Start) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    http.send(http.request()[:-2])
    for _ in range(20):
        http.send(b"X-A: " + b"x" * 995 + b"\r\n")
    assert (await http.receive()).status == 431
    assert await http.at_end()


@pytest.mark.direct(reason="aiohttp has timeouts of its own")
async def test_slow_heads_and_bodies(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pychat.server.engine.polling.request.HEAD_TIMEOUT", 0.2)
    monkeypatch.setattr("pychat.server.engine.polling.request.BODY_TIMEOUT", 0.2)
    server = await start(ping_interval=1)
    for data in (lambda http: http.request()[:-1], lambda http: http.request("POST", "4xx")[:-1]):
        http = await RawHttp.joined(server.port)
        http.send(data(http))
        response = await http.receive()
        assert (response.status, response.headers["connection"]) == (408, "close")
        assert await http.at_end()
    assert server.handler.reasons == ["transport error"]


@pytest.mark.direct(reason="aiohttp has timeouts of its own")
async def test_a_connection_that_nobody_uses_is_closed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pychat.server.engine.polling.request.KEEP_ALIVE", 0.2)
    server = await start(ping_interval=1)
    idle, waiting = await RawHttp.joined(server.port), await RawHttp.joined(server.port)
    waiting.send(waiting.request())
    assert await idle.at_end()
    server.handler.connections[1].send(encode_event("a", b"1"))
    assert (await waiting.receive()).body == b'42["a",1]'


async def test_one_that_aiohttp_has_back_is_not_kept_for_ever(start: Start) -> None:
    server = await start(keep_alive=0.3)
    http = await RawHttp.joined(server.port)
    http.send(b"\r\n\r\n" + http.request()[:-2])
    assert await http.at_end()


async def test_one_that_sends_behind_an_open_poll_is_not_read(start: Start) -> None:
    server = await start()
    http = await RawHttp.joined(server.port)
    http.send(http.request())

    async def flood() -> None:
        while True:
            http.send(http.request("POST", "6") * 1000)
            await http.writer.drain()

    flooding = asyncio.create_task(flood())
    done, _ = await asyncio.wait([flooding], timeout=0.5)
    assert not done
    assert http.writer.transport.get_write_buffer_size() > 0
    flooding.cancel()
    server.handler.connections[0].send(encode_event("a", b"1"))
    assert (await http.receive()).body == b'42["a",1]'
    assert (await http.receive()).body == b"ok"


async def test_origins_are_checked_with_every_request(start: Start) -> None:
    server = await start(allowed_origins=["http://page.example"])
    http = await RawHttp.joined(server.port)
    for _ in range(2):
        response = await http.post("6", "Origin: http://page.example\r\n")
        assert response.status == 200
        assert response.headers["access-control-allow-origin"] == "http://page.example"
        assert response.headers["access-control-allow-credentials"] == "true"
        assert response.headers["vary"] == "Origin"
        assert "access-control-allow-origin" not in (await http.post("6")).headers
        response = await http.post("6", "Origin: http://evil.example\r\n")
        assert response.status == 403
        assert "access-control-allow-origin" not in response.headers


async def test_a_preflight_between_polls(start: Start) -> None:
    server = await start(allowed_origins=["http://page.example"])
    http = await RawHttp.joined(server.port)
    http.send(http.request("OPTIONS", more="Origin: http://page.example\r\n"))
    assert (await http.receive()).status == 204
    assert (await http.post("6")).body == b"ok"


async def test_every_request_has_its_own_client(start: Start) -> None:
    server = await start(trusted_proxies=["127.0.0.1"])
    http = await RawHttp.joined(server.port)
    session, http.target = http.target, "/socket.io/?EIO=4&transport=polling"
    opened = await http.get("X-Forwarded-For: 1.2.3.4\r\n")
    http.target += "&sid=" + opened.body.decode().partition('"sid":"')[2].partition('"')[0]
    assert (await http.post("40", "X-Forwarded-For: 5.6.7.8\r\n")).body == b"ok"
    http.target = session
    assert (await http.post('42["a",1]', "X-Forwarded-For: 5.6.7.8\r\n")).body == b"ok"
    addresses = [connection.remote_address for connection in server.handler.connections]
    assert addresses == ["127.0.0.1", "1.2.3.4"]


async def test_every_answer_has_the_headers(start: Start) -> None:
    server = await start(headers={"X-A": "b"})
    http = await RawHttp.open(server.port)
    assert (await http.get()).headers["x-a"] == "b"
    assert (await http.get("X-B: c\r\n")).headers["x-a"] == "b"
    http = await RawHttp.joined(server.port)
    answer = await http.post("6")
    assert answer.headers["x-a"] == "b"
    assert "date" in answer.headers
    http.target += "x"
    answer = await http.post("6")
    assert (answer.status, answer.headers["x-a"]) == (400, "b")


async def test_no_connection_and_no_task_outlives_the_server(start: Start) -> None:
    before = asyncio.all_tasks()
    server = await start()
    waiting, idle = await RawHttp.joined(server.port), await RawHttp.joined(server.port)
    waiting.send(waiting.request())
    await turns()
    await server.stop()
    assert (await waiting.receive()).body == b"1"
    for http in (waiting, idle):
        assert await http.at_end()
    assert asyncio.all_tasks() == before


async def test_over_tls(start: Start, tmp_path: Path) -> None:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    page = Page()
    server = await start(ssl=server_side, app=page.app)
    http = await RawHttp.joined(server.port, client_side)
    text = "x" * 100_000
    for _ in range(3):
        assert (await http.post(f'42["a","{text}"]')).body == b"ok"
        assert len((await http.get()).body) == 100_010
    http.send(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await http.receive()).body == b"page "
    assert (await http.post("6", "Origin: https://localhost\r\n")).body == b"ok"
