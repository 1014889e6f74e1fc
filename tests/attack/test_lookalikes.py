"""Ids that a reader takes for another's: they cannot be claimed, in either order."""

from __future__ import annotations

import aiohttp
import pytest

from pychat.server.app import ChatServer
from pychat.server.chat.accounts.passwords import Passwords
from tests.attack.report import Tell
from tests.attack.wire import Client, connect
from tests.serving import serving

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
    ("I❤U", "I❤️U"),
    ("bob smith", "bob\u00a0smith"),
]
INVISIBLE = [*"\u00ad\u034f\u115f\u17b4\u180b\u200b\u200d\u2060\u3164\ufe00\ufe0f\uffa0\u2800"]
INVISIBLE += ["\U000e0001", "\U000e0100", "\U000e01ef", "\U0001d159", "\U00016fe4", "\u0378"]
"""Default-ignorable, blank and unassigned."""
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
SHOW_NOTHING = [each * count for each in INVISIBLE for count in (1, 3)]
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


@pytest.mark.e2e
async def test_what_is_reserved_cannot_be_claimed(
    server: ChatServer, web: aiohttp.ClientSession, tell: Tell
) -> None:
    for id in RESERVED:
        assert await _claim(web, server.url, id, "the attacker's") in ("400", "401"), id
    tell("claiming what looks like ALL, Everyone or You", len(RESERVED), "refused")


@pytest.mark.e2e
async def test_what_cannot_be_seen_makes_no_other_id(
    server: ChatServer, web: aiohttp.ClientSession, tell: Tell
) -> None:
    assert await _claim(web, server.url, "bob", "the owner's") == "200"
    alike = [f"bob{each}" for each in INVISIBLE] + [f"b{each}ob" for each in INVISIBLE]
    alike += [f"{each}bob" for each in INVISIBLE] + ["bob\u3164\u3164", "bo\ufe0fb\u2800"]
    for id in [*alike, *SHOW_NOTHING, "bob  smith", "a\u3000b", "a\u2003b"]:
        assert await _claim(web, server.url, id, "the attacker's") in ("400", "401"), ascii(id)
    tell("claiming bob with something invisible, or nothing visible", len(alike), "refused")


async def test_a_room_that_looks_like_another_is_not_made(
    server: ChatServer, web: aiohttp.ClientSession, mallory: Client, tell: Tell
) -> None:
    async def make(id: str, name: str = "") -> str:
        request = {"command": "create", "roomId": id, "roomName": name}
        code: str = (await mallory.ask("room", request))["code"]
        return code

    assert await make("builds") == "200"
    tried = ["bu\u0456lds", "builds\ufe0f", "builds\u3164", "ｂｕｉｌｄｓ", "\u3164", "a  b"]
    for id in tried:
        assert await make(id) in ("400", "409"), ascii(id)
    assert await make("bu1lds") == "200"
    assert await make("blank", "\u3164\u200b ") == "200"
    rooms = (await mallory.ask("room", {"command": "list"}))["rooms"]
    assert {room["id"]: room["name"] for room in rooms}["blank"] == "blank"
    rename = {"command": "update", "roomId": "blank", "roomName": "\u2800"}
    assert (await mallory.ask("room", rename))["code"] == "400"
    tell("making a room that looks like another", len(tried), "refused")


@pytest.mark.e2e
async def test_an_alias_that_shows_nothing_is_none(
    server: ChatServer, web: aiohttp.ClientSession, tell: Tell
) -> None:
    aliases = [*SHOW_NOTHING[:-2], " \u3164 ", "\u200b\u00a0\ufe0f"]
    client = await connect(web, server.url)
    for alias in aliases:
        answer = await client.ask("login", {"id": "eve", "password": "eve's own", "alias": alias})
        assert (answer["code"], answer["alias"]) == ("200", "eve"), ascii(alias)
    for alias in ("I ❤️ tea", "👩‍🚀", "می‌خواهم"):
        answer = await client.ask("login", {"id": "eve", "password": "eve's own", "alias": alias})
        assert answer["alias"] == alias
    tell("aliases that show nothing", len(aliases), "the id is shown")


async def test_who_was_there_before_the_rule_may_go_on(web: aiohttp.ClientSession) -> None:
    async with serving() as server:
        hashed = Passwords()
        for id in ("old\u3164", "old  style", "❤️\u034f"):
            password_hash = await hashed.hash("as it was")
            await server.store.create_account(id, "\u3164", password_hash, 0)
            client = await connect(web, server.url)
            answer = await client.ask("login", {"id": id, "password": "as it was", "protocol": 1})
            assert (answer["code"], answer["id"], answer["alias"]) == ("200", id, id)
        hashed.close()


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
async def test_what_only_resembles_may_be(
    server: ChatServer, web: aiohttp.ClientSession, first: str, second: str
) -> None:
    assert await _claim(web, server.url, first, "the first one") == "200"
    assert await _claim(web, server.url, second, "the second one") == "200"
