"""Answers to requests without a session."""

from __future__ import annotations

import json
import logging

import pytest

from tests.server.engine.conftest import Start


async def test_handshake_values_are_in_milliseconds(start: Start) -> None:
    server = await start(ping_interval=0.25, ping_timeout=1.5, max_payload=5000)
    status, body = await server.get("EIO=4&transport=polling")
    assert status == 200
    handshake = json.loads(body[1:])
    assert len(handshake.pop("sid")) >= 20
    assert handshake == {
        "upgrades": ["websocket"],
        "pingInterval": 250,
        "pingTimeout": 1500,
        "maxPayload": 5000,
    }


async def test_protocol_3_joins_unasked_and_without_eio(start: Start) -> None:
    server = await start()
    for query in ("EIO=3&transport=polling", "transport=polling"):
        _, body = await server.get(query)
        assert body.endswith("2:40")
        sid = json.loads(body[body.index("{") : body.index("}") + 1])["sid"]
        assert server.handler.connections[-1].sid == sid


async def test_protocol_4_keeps_the_engines_sid_secret(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    connection = server.handler.connections[0]
    assert connection.sid not in query
    assert connection.protocol == 4


@pytest.mark.parametrize(
    ("method", "query", "status", "code"),
    [
        ("GET", "", 400, 0),
        ("GET", "EIO=4", 400, 0),
        ("GET", "EIO=4&transport=carrier-pigeon", 400, 0),
        ("GET", "EIO=4&transport=polling&sid=nobody", 400, 1),
        ("POST", "EIO=4&transport=polling&sid=nobody", 400, 1),
        ("POST", "EIO=4&transport=polling", 400, 2),
        ("PUT", "EIO=4&transport=polling", 400, 2),
        ("GET", "EIO=4&transport=websocket", 400, 3),
        ("GET", "EIO=2&transport=polling", 400, 5),
        ("GET", "EIO=5&transport=polling", 400, 5),
        ("GET", "EIO=x&transport=polling", 400, 5),
    ],
)
async def test_refusals_are_those_of_node(
    start: Start, method: str, query: str, status: int, code: int
) -> None:
    server = await start()
    async with server.http.request(method, f"{server.url}?{query}") as response:
        assert response.status == status
        assert (await response.json())["code"] == code


async def test_a_wrong_method_on_a_session(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    async with server.http.put(f"{server.url}?{query}") as response:
        assert response.status == 400


async def test_only_the_path_is_taken(start: Start) -> None:
    server = await start(path="/chat/io/")
    async with server.http.get(server.url.replace("socket.io", "other")) as response:
        assert response.status == 404
    async with server.http.get(
        server.url.replace("socket.io", "chat/io"), params={"transport": "polling"}
    ) as response:
        assert response.status == 200


async def test_cors_names_the_origin_with_credentials(start: Start) -> None:
    server = await start(allowed_origins=["http://page.example"])
    headers = {"Origin": "http://page.example"}
    url = f"{server.url}?EIO=3&transport=polling"
    async with server.http.get(url, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == "http://page.example"
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert response.headers["Vary"] == "Origin"
    headers["Access-Control-Request-Headers"] = "content-type"
    async with server.http.options(url, headers=headers) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "http://page.example"
        assert response.headers["Access-Control-Allow-Headers"] == "content-type"
        assert "POST" in response.headers["Access-Control-Allow-Methods"]


async def test_all_origins_are_still_named_one_by_one(start: Start) -> None:
    server = await start(allowed_origins="*")
    headers = {"Origin": "http://page.example"}
    async with server.http.get(f"{server.url}?transport=polling", headers=headers) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "http://page.example"


async def test_other_origins_are_refused_on_both_transports(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = await start()
    headers = {"Origin": "http://evil.example"}
    with caplog.at_level(logging.WARNING):
        async with server.http.get(f"{server.url}?transport=polling", headers=headers) as response:
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers
        with pytest.raises(Exception, match="403"):
            await server.http.ws_connect(f"{server.url}?transport=websocket", headers=headers)
    (message,) = [record.getMessage() for record in caplog.records]
    assert "allowed_origins=['http://evil.example']" in message
    assert not server.handler.connections


async def test_what_a_connection_knows_of_its_client(start: Start) -> None:
    server = await start(trusted_proxies=["127.0.0.1"])
    headers = {"X-Forwarded-For": "1.2.3.4", "User-Agent": "테스트/1"}
    await server.get("EIO=3&transport=polling&room=a%20b", headers=headers)
    connection = server.handler.connections[0]
    assert connection.remote_address == "1.2.3.4"
    assert connection.user_agent == "테스트/1"
    assert connection.query["room"] == "a b"
    assert connection.headers["x-forwarded-for"] == "1.2.3.4"
    assert connection.protocol == 3


async def test_without_a_trusted_proxy_the_address_is_the_peers(start: Start) -> None:
    server = await start()
    await server.get("EIO=3&transport=polling", headers={"X-Forwarded-For": "1.2.3.4"})
    assert server.handler.connections[0].remote_address == "127.0.0.1"
