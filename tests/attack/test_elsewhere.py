"""Requests that come from where they should not: bent names, forged addresses."""

from __future__ import annotations

import aiohttp
import pytest

from pychat.server.app import ChatServer
from tests.attack.report import Tell
from tests.attack.wire import connect
from tests.serving import serving

HANDSHAKES = ["EIO=4&transport=websocket", "EIO=4&transport=polling", "EIO=3&transport=polling&j=0"]


def _from_page(host: str) -> dict[str, str]:
    return {"Host": host, "Origin": f"http://{host}"}


async def _status(
    web: aiohttp.ClientSession, server: ChatServer, query: str, headers: dict[str, str]
) -> int:
    url = f"{server.url}/socket.io/?{query}"
    if "websocket" not in query:
        async with web.get(url, headers=headers) as response:
            return response.status
    try:
        socket = await web.ws_connect(url, headers=headers)
    except aiohttp.WSServerHandshakeError as error:
        return error.status
    await socket.close()
    return 200


@pytest.mark.parametrize("query", HANDSHAKES)
async def test_a_page_whose_name_was_bent_to_this_machine_is_refused(
    server: ChatServer, web: aiohttp.ClientSession, tell: Tell, query: str
) -> None:
    evil = _from_page(f"evil.example:{server.port}")
    assert await _status(web, server, query, evil) == 403
    assert await _status(web, server, query, _from_page(f"localhost:{server.port}")) == 200
    tell(f"DNS rebinding, {query}", 1, "refused, 403")


@pytest.mark.e2e
@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("marked", [True, False], ids=["marked", "old browser"])
async def test_images_of_another_site_lock_nobody_out(
    server: ChatServer, web: aiohttp.ClientSession, tell: Tell, protocol: int, marked: bool
) -> None:
    """They carry no Origin; their answers open sessions, which nobody then uses."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"} if marked else {}
    query = f"EIO={protocol}&transport=polling"
    opened = [await _status(web, server, query, headers) for _ in range(300)]
    assert set(opened) == {403 if marked else 200}
    for number in range(10):
        client = await connect(web, server.url)
        await client.login(f"alice {number}")
    assert await _status(web, server, query, {"Sec-Fetch-Site": "same-origin"}) == 200
    tell(f"images of another site, EIO={protocol}, {opened[0]}", 300, "10 of 10 logins let in")


async def test_behind_a_known_proxy_the_server_has_the_name_that_it_is_called_by(
    web: aiohttp.ClientSession,
) -> None:
    async with serving(trusted_proxies=["127.0.0.1"]) as server:
        for query in HANDSHAKES:
            assert await _status(web, server, query, _from_page("chat.example")) == 200


async def test_a_forged_address_does_not_escape_the_lockout(tell: Tell) -> None:
    """The proxy adds its line below the attacker's, as HAProxy does."""
    async with (
        serving(trusted_proxies=["127.0.0.1"]) as server,
        aiohttp.ClientSession() as web,
    ):
        owner = await connect(web, server.url, headers={"X-Forwarded-For": "198.51.100.7"})
        await owner.login("alice", "the right one")
        codes = []
        for number in range(20):
            lines = [("X-Forwarded-For", f"192.0.2.{number}"), ("X-Forwarded-For", "203.0.113.9")]
            attacker = await connect(web, server.url, headers=lines)
            answer = await attacker.ask("login", {"id": "alice", "password": f"guess {number}"})
            codes.append(answer["code"])
            await attacker.close()
        assert codes.count("401") <= 6, codes
        assert codes[-1] == "429"
        tell("wrong passwords, each with a forged address", 20, f"{codes.count('401')} looked at")
