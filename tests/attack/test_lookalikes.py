"""Ids that a reader takes for another's: they cannot be claimed, in either order."""

from __future__ import annotations

import aiohttp
import pytest

from pychat.server.app import ChatServer
from tests.attack.report import Tell
from tests.attack.wire import connect

ALIKE = [
    ("alice", "ALICE"),
    ("alice", "ａｌｉｃｅ"),
    ("alice", "\u0430lice"),
    ("ace", "\u0430\u0441\u0435"),
    ("\u0430\u0441\u0435", "ace"),
    ("paul", "\u03c1\u0430ul"),
    ("\u0456van", "ivan"),
    ("user1", "user\u0661"),
    ("李力", "李カ"),
    ("all-seeing", "\u0430ll-seeing"),
]
RESERVED = [
    "ALL",
    "all",
    "\u0430ll",
    "ＡＬＬ",
    "Everyone",
    "everyone",
    "\u0435veryone",
    "You",
    "y\u043eu",
]
DIFFERENT = [("modern", "modem"), ("bot1", "botl"), ("앨리스", "엘리스"), ("café", "cafe")]


async def _claim(web: aiohttp.ClientSession, url: str, id: str, password: str) -> str:
    client = await connect(web, url)
    answer = await client.ask("login", {"id": id, "password": password, "protocol": 1})
    await client.close()
    code: str = answer["code"]
    return code


@pytest.mark.parametrize(("first", "second"), ALIKE)
async def test_a_lookalike_cannot_be_claimed(
    server: ChatServer, web: aiohttp.ClientSession, tell: Tell, first: str, second: str
) -> None:
    assert await _claim(web, server.url, first, "the owner's") == "200"
    assert await _claim(web, server.url, second, "the attacker's") == "401"
    tell(f"claiming {second!a} beside {first!a}", 1, "refused, 401")


async def test_what_is_reserved_cannot_be_claimed(
    server: ChatServer, web: aiohttp.ClientSession, tell: Tell
) -> None:
    for id in RESERVED:
        assert await _claim(web, server.url, id, "the attacker's") in ("400", "401"), id
    tell("claiming what looks like ALL, Everyone or You", len(RESERVED), "refused")


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
async def test_what_only_resembles_may_be(
    server: ChatServer, web: aiohttp.ClientSession, first: str, second: str
) -> None:
    assert await _claim(web, server.url, first, "the first one") == "200"
    assert await _claim(web, server.url, second, "the second one") == "200"
