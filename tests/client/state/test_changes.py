"""Messages that are edited, reacted to and quoted, as the server tells of it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pychat.client import ChatClient, RequestRefused
from pychat.client.events import MessageChanged
from pychat.client.models import MessageInfo, QuoteInfo, ReactionInfo
from tests.client.scripted import DONE
from tests.client.state.imitated import ImitatedServer, online

EDITED = "2026-01-01T00:01:00.000Z"


def change(server: ImitatedServer, rev: int, **what: Any) -> None:
    server.emit("changed", {"with": "bob", "seq": 1, "rev": rev, **what})


def react(server: ImitatedServer, rev: int, by: str, on: bool = True, emoji: str = "👍") -> None:
    change(server, rev, reaction={"emoji": emoji, "by": by, "on": on})


def kept(client: ChatClient, seq: int = 1) -> MessageInfo:
    return client.cached_messages("bob")[seq - 1]


async def test_an_edit_is_told_and_kept(server: ImitatedServer, client: ChatClient) -> None:
    server.fill(1)
    await online(client)
    events = client.events()
    change(server, 1, data="new", edited=EDITED)
    changed = [each.message for each in events._queue if isinstance(each, MessageChanged)]
    assert [(each.text, each.rev) for each in changed] == [("new", 1)]
    assert kept(client) == changed[0]
    assert changed[0].edited == changed[0].sent_at + 60
    bob = client.conversation("bob")
    assert bob is not None
    assert bob.last is not None
    assert (bob.last.text, bob.unread) == ("new", 1)


async def test_changes_that_are_shown_already_change_nothing(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(1)
    await online(client)
    change(server, 2, data="second", edited=EDITED)
    change(server, 1, data="first", edited=EDITED)
    change(server, 2, data="again", edited=EDITED)
    assert kept(client).text == "second"


async def test_a_change_of_a_message_beyond_a_gap_is_not_lost(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(1)
    await online(client)
    server.hold("history")
    server.say("2")
    server.tell("3")
    server.emit("changed", {"with": "bob", "seq": 3, "rev": 1, "data": "new", "edited": EDITED})
    server.release("history")
    server.stored["bob"].pop()  # the page was read before the message
    await asyncio.sleep(2)
    assert [each.text for each in client.cached_messages("bob")] == ["1", "2", "new"]


async def test_a_page_shows_changes_of_what_arrived_while_it_was_fetched(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(1)
    await online(client)
    server.hold("history")
    late = dict(server.say("2"))
    server.tell("3")
    await asyncio.sleep(1)
    server.emit("message", late)
    assert kept(client, 3).text == "3"
    reactions = [{"emoji": "👍", "count": 1, "by": ["bob"]}]
    server.stored["bob"][1] |= {"rev": 1, "reactions": reactions}
    page = server.answers["history"]
    server.answers["history"] = lambda request: page(request) | {"rev": 1}
    server.release("history")
    await asyncio.sleep(2)
    assert kept(client, 2).reactions == (ReactionInfo("👍", 1, ("bob",)),)


async def test_reactions_are_counted(server: ImitatedServer, client: ChatClient) -> None:
    server.fill(1)
    await online(client)
    react(server, 1, "bob")
    react(server, 2, "alice")
    react(server, 3, "bob", emoji="🎉")
    assert kept(client).reactions == (
        ReactionInfo("👍", 2, ("bob", "alice"), mine=True),
        ReactionInfo("🎉", 1, ("bob",)),
    )
    react(server, 4, "alice", on=False)
    react(server, 5, "bob", on=False, emoji="🎉")
    assert kept(client).reactions == (ReactionInfo("👍", 1, ("bob",)),)


async def test_what_a_server_says_of_reactions_and_quotes_is_bounded(
    server: ImitatedServer, client: ChatClient
) -> None:
    many = [{"emoji": f"e{each}", "count": 10**30, "by": ["x" * 999] * 99} for each in range(99)]
    bad = [{"emoji": "a b", "count": 1, "by": []}, {"emoji": "x" * 999, "count": 1, "by": []}]
    quote = {"seq": 1, "sender": "s" * 999, "data": "d" * 9999}
    server.say("1", reactions=bad + many, replyTo=quote)
    await online(client)
    for rev in range(1, 50):
        react(server, rev, "bob", emoji=f"new{rev}")
        react(server, 50 + rev, f"user{rev}", emoji="e0")
    message = kept(client)
    assert len(message.reactions) <= 20
    assert {len(each.by) for each in message.reactions} <= {1, 10}
    assert max(each.count for each in message.reactions) == 200
    assert message.reply_to == QuoteInfo(1, "s" * 64, "d" * 120)


async def test_an_edited_last_message_is_not_another_store(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(1)
    await online(client)
    server.disconnect()
    server.stored["bob"][0] |= {"data": "new", "rev": 1, "edited": EDITED}
    resets = client._core.resets
    await asyncio.sleep(60)
    assert resets["bob"] == 0


async def test_the_cache_file_keeps_changes(server: ImitatedServer, tmp_path: Path) -> None:
    def alice() -> ChatClient:
        return ChatClient("chat.example", user="alice", token="t", cache=tmp_path / "cache.db")

    server.say("1", replyTo={"seq": 7, "sender": "bob", "data": "origin"})
    first = alice()
    await online(first)
    change(server, 1, data="new", edited=EDITED)
    react(server, 2, "bob")
    before = kept(first)
    await first.close()
    second = alice()
    second.start(connect=False)
    assert kept(second) == before
    assert before.reply_to == QuoteInfo(7, "bob", "origin")
    assert before.reactions
    await second.close()


async def test_a_reply_names_and_quotes_its_origin(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(1)
    await online(client)
    posted = client.post("bob", "answer", reply_to=1)
    assert posted.reply_to == QuoteInfo(1, "bob", "1")
    await asyncio.sleep(1)
    assert server.payloads("message")[0]["replyTo"] == 1


async def test_what_cannot_be_sent_is_refused_here(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    with pytest.raises(RequestRefused, match="the message must not be empty"):
        await client.edit("1-1", "")
    with pytest.raises(RequestRefused, match="the reaction must not contain spaces"):
        await client.react("1-1", "a b")


async def test_a_message_that_is_no_longer_cached_is_removed_from_the_screen(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(1)
    await online(client)
    for number in range(2, 502):
        server.tell(str(number))
    assert client.cached_messages("bob")[0].seq > 1
    events = client.events()
    change(server, 1, removed=True)
    (event,) = [each for each in events._queue if isinstance(each, MessageChanged)]
    gone = event.message
    assert (gone.conversation, gone.seq, gone.removed, gone.rev) == ("bob", 1, True, 1)
    server.emit("changed", {"with": "bob", "seq": 600, "rev": 2, "removed": True})
    assert sum(isinstance(each, MessageChanged) for each in events._queue) == 1


# --- missed changes


def changes(server: ImitatedServer, count: int, page: int = 1) -> None:
    """From now on the server has so many changes of the first message, and tells them in pages."""
    pages = server.answers["history"]

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if "changedAfter" not in request:
            return pages(request) | {"rev": count}
        rev = min(count, request["changedAfter"] + page)
        server.stored["bob"][0] |= {"data": f"rev {rev}", "rev": rev, "edited": EDITED}
        more = {"messages": server.stored["bob"][:1], "hasMore": rev < count, "rev": rev}
        return {"code": "200", "message": "done", **more}

    server.answers["history"] = answer
    server.listed.setdefault("bob", {})["rev"] = count


def asked_after(server: ImitatedServer) -> list[int]:
    asked = server.payloads("history")
    return [each["changedAfter"] for each in asked if "changedAfter" in each]


async def test_changes_missed_while_offline_are_fetched_in_pages(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(2)
    await online(client)
    server.disconnect()
    changes(server, 3)
    await asyncio.sleep(60)
    assert asked_after(server) == [0, 1, 2]
    assert (kept(client).text, kept(client).rev) == ("rev 3", 3)
    assert client._core.resets["bob"] == 0


async def test_a_gap_between_changes_is_fetched(server: ImitatedServer, client: ChatClient) -> None:
    server.fill(2)
    await online(client)
    changes(server, 3, page=9)
    server.emit("changed", {"with": "bob", "rev": 3})
    await asyncio.sleep(1)
    assert asked_after(server) == [0]
    assert kept(client).text == "rev 3"
    server.emit("changed", {"with": "bob", "rev": 4})
    await asyncio.sleep(1)
    assert asked_after(server) == [0]


async def test_after_too_many_changes_the_conversation_starts_again(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(2)
    await online(client)
    server.disconnect()
    server.stored["bob"][0] |= {"data": "new", "rev": 1001, "edited": EDITED}
    changes(server, 1001)
    await asyncio.sleep(60)
    assert asked_after(server) == []
    assert client._core.resets["bob"] == 1


async def test_a_page_that_is_older_than_the_changes_is_brought_up_to_date(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(2)
    await online(client)
    change(server, 1, data="rev 1", edited=EDITED)
    old = dict(server.stored["bob"][0])
    changes(server, 1)
    current = server.answers["history"]
    server.answers["history"] = lambda request: (
        current(request)
        if "changedAfter" in request
        else {"code": "200", "message": "done", "messages": [old], "hasMore": False, "rev": 0}
    )
    await client.history("bob")
    await asyncio.sleep(1)
    assert kept(client).text == "rev 1"


async def test_changes_of_an_older_page_that_is_kept_while_others_are_fetched(
    server: ImitatedServer, client: ChatClient
) -> None:
    """The fetch under way asked for the changes of later messages only."""
    server.fill(2)
    await online(client)
    older, newer = client.cached_messages("bob")
    cache = client._core.cache
    cache.clear_messages("bob")
    cache.save_messages("bob", [newer])

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        cache.save_messages("bob", [older])
        changed = server.stored["bob"][0] | {"data": "new", "rev": 2, "edited": EDITED}
        found = [changed] if request["from"] == 1 else []
        return {"code": "200", "message": "done", "messages": found, "hasMore": False, "rev": 2}

    server.answers["history"] = answer
    server.emit("changed", {"with": "bob", "rev": 2})
    await asyncio.sleep(5)
    assert kept(client).text == "new"


async def test_a_message_sent_again_after_it_was_changed_is_asked_for(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    changes(server, 1)
    server.answers["message"] = lambda request: {
        "code": "200",
        "message": "delivered",
        "rev": 1,
        **{key: server.say("mine", sender="alice")[key] for key in ("id", "seq", "sentAt")},
    }
    client.post("bob", "mine")
    await asyncio.sleep(5)
    assert kept(client).text == "rev 1"


async def test_changes_that_do_not_end_are_not_asked_for_again(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(1)
    await online(client)
    answer = {"code": "200", "message": "done", "messages": [], "hasMore": True, "rev": 0}
    server.answers["history"] = lambda _: answer
    server.emit("changed", {"with": "bob", "rev": 9})
    await asyncio.sleep(60)
    assert asked_after(server) == [0]


async def test_the_cache_file_keeps_the_rev(server: ImitatedServer, tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    server.fill(1)
    for after in (None, 2):
        client = ChatClient("chat.example", user="alice", token="t", cache=path)
        await online(client)
        if after is None:
            change(server, 1, data="new", edited=EDITED)
            change(server, 2, data="newer", edited=EDITED)
            changes(server, 3)
        await client.close()
    assert asked_after(server) == [2]


async def test_a_cache_file_of_an_earlier_version_fetches_all_changes(
    server: ImitatedServer, tmp_path: Path
) -> None:
    path = tmp_path / "cache.db"
    server.fill(1)
    first = ChatClient("chat.example", user="alice", token="t", cache=path)
    await online(first)
    await first.close()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "DROP TABLE rev; DROP TABLE change; DROP INDEX reply;"
            " ALTER TABLE message DROP COLUMN origin;"
            " PRAGMA user_version = 1"
        )
    changes(server, 1)
    second = ChatClient("chat.example", user="alice", token="t", cache=path)
    await online(second)
    assert kept(second).text == "rev 1"
    await second.close()


async def test_changes_of_a_message_that_came_before_the_list_of_a_broken_connection(
    server: ImitatedServer, client: ChatClient
) -> None:
    del server.stored["bob"]
    await online(client)
    client.events()
    server.hold("conversations")
    server.fill(1)
    server.tell("old")
    await asyncio.sleep(0.1)
    server.disconnect()
    server.stored["bob"][1] |= {"data": "new", "rev": 1, "edited": EDITED}
    pages = server.answers["history"]
    server.answers["history"] = lambda request: (
        pages(request) | {"rev": 1}
        if "changedAfter" not in request
        else {**DONE, "messages": server.stored["bob"][1:], "hasMore": False, "rev": 1}
    )
    server.listed["bob"] = {"rev": 1, "firstSeq": 2, "deliveredSeq": 1}
    server.release("conversations")
    await asyncio.sleep(5)
    assert [each.text for each in client.cached_messages("bob")] == ["new"]
