"""Quotes follow their origin: one that was edited shows the new text, one that was removed none."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pychat.client import ChatClient
from pychat.client.events import MessageChanged
from pychat.client.models import MessageInfo, QuoteInfo
from tests.client.state.imitated import ImitatedServer, online

EDITED = "2026-01-01T00:01:00.000Z"
SECRET = "a secret"


def alice(cache: Path | None = None) -> ChatClient:
    return ChatClient("chat.example", user="alice", token="t", cache=cache)


def change(server: ImitatedServer, rev: int, seq: int = 1, **what: Any) -> None:
    server.emit("changed", {"with": "bob", "seq": seq, "rev": rev, **what})


def edit(server: ImitatedServer, rev: int, text: str) -> None:
    change(server, rev, data=text, edited=EDITED)


def answer(server: ImitatedServer, origin: int = 1) -> None:
    """Bob answers a message of his."""
    server.say("answer", replyTo={"seq": origin, "sender": "bob", "data": SECRET})


def quotes(client: ChatClient) -> list[QuoteInfo]:
    messages = client.cached_messages("bob")
    return [each.reply_to for each in messages if each.reply_to is not None]


def published(events: Any) -> list[MessageInfo]:
    return [each.message for each in events._queue if isinstance(each, MessageChanged)]


@pytest.fixture
def answered(server: ImitatedServer) -> ImitatedServer:
    """Bob wrote something and answered it twice."""
    server.say(SECRET)
    answer(server)
    answer(server)
    return server


async def test_an_edit_of_the_origin_changes_all_its_quotes(
    answered: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    events = client.events()
    edit(answered, 1, "n" * 200)
    assert quotes(client) == [QuoteInfo(1, "bob", "n" * 120)] * 2
    assert [each.seq for each in published(events)] == [1, 2, 3]
    bob = client.conversation("bob")
    assert bob is not None
    assert bob.last is not None
    assert bob.last.reply_to == QuoteInfo(1, "bob", "n" * 120)


async def test_a_reaction_to_the_origin_changes_no_quote(
    answered: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    events = client.events()
    change(answered, 1, reaction={"emoji": "👍", "by": "bob", "on": True})
    assert [each.seq for each in published(events)] == [1]


async def test_removing_the_origin_removes_its_text_from_everywhere(
    answered: ImitatedServer, tmp_path: Path
) -> None:
    path = tmp_path / "cache.db"
    client = alice(path)
    await online(client)
    answered.hold("message")
    client.post("bob", "my answer", reply_to=1)
    change(answered, 1, removed=True)
    assert quotes(client) == [QuoteInfo(1)] * 3
    await client.close()
    with closing(sqlite3.connect(path)) as database:
        tables = ("message", "outgoing", "conversation")
        rows = [row for table in tables for row in database.execute(f"SELECT record FROM {table}")]
    assert rows
    assert not [row for row in rows if SECRET.encode() in row[0]]


async def test_an_old_edit_does_not_come_back_in_quotes(
    answered: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    edit(answered, 2, "second")
    edit(answered, 1, "first")
    assert quotes(client) == [QuoteInfo(1, "bob", "second")] * 2


async def test_a_quote_of_something_unreadable_stays_empty(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.say("1")
    server.say("answer", replyTo={"seq": 9})
    await online(client)
    change(server, 1, seq=9, data="new", edited=EDITED)
    assert quotes(client) == [QuoteInfo(9)]


async def test_an_answer_beyond_a_gap_shows_the_change_too(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.say(SECRET)
    await online(client)
    server.hold("history")
    server.say("2")
    quote = {"seq": 1, "sender": "bob", "data": SECRET}
    server.tell("answer", replyTo=quote)
    change(server, 1, removed=True)
    server.release("history")
    later = server.stored["bob"].pop()  # the page was read before the answer
    await asyncio.sleep(0.1)
    server.stored["bob"].append(later)
    await asyncio.sleep(0.1)
    assert quotes(client) == [QuoteInfo(1)]


@pytest.mark.parametrize("in_file", [False, True])
async def test_missed_changes_of_an_origin_that_is_not_loaded_are_fetched(
    server: ImitatedServer, tmp_path: Path, in_file: bool
) -> None:
    server.fill(60)
    answer(server, origin=2)
    server.listed["bob"] = {"deliveredSeq": 60}
    client = alice(tmp_path / "cache.db" if in_file else None)
    await online(client)
    assert [each.seq for each in client.cached_messages("bob")] == [61]
    server.disconnect()
    pages = server.answers["history"]
    edited = server.stored["bob"][1] | {"data": "new", "rev": 1, "edited": EDITED}
    asked: list[int] = []

    def changes(request: dict[str, Any]) -> dict[str, Any]:
        if "changedAfter" not in request:
            return pages(request) | {"rev": 1}
        asked.append(request["from"])
        return pages(request) | {"messages": [edited], "hasMore": False, "rev": 1}

    server.answers["history"] = changes
    server.listed["bob"]["rev"] = 1
    await asyncio.sleep(60)
    assert asked == [2]
    assert quotes(client) == [QuoteInfo(2, "bob", "new")]
    assert [each.seq for each in client.cached_messages("bob")] == [61]
    await client.close()


async def test_a_cache_file_of_version_2_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    client = alice(path)
    client.start(connect=False)
    client.post("bob", "unsent")
    await client.close()
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "DROP TABLE change; DROP INDEX reply; ALTER TABLE message DROP COLUMN origin;"
            " PRAGMA user_version = 2"
        )
    client = alice(path)
    client.start(connect=False)
    assert [each.text for each in client.cached_messages("bob")] == ["unsent"]
    await client.close()
