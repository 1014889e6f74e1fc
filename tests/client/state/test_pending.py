"""Edits, reactions and removals that wait for the server: shown at once, sent until answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pychat.client import ChatClient, RequestRefused
from pychat.client.events import ChangeRefused, ConversationChanged, MessageChanged
from pychat.client.models import DeliveryStatus, MessageInfo, ReactionInfo
from tests.client.state.imitated import ImitatedServer, online, reconnected

EDITED = "2026-01-01T00:01:00.000Z"
LATER = "2026-01-01T00:02:00.000Z"
MINE = {"bob": 1}


class Chat:
    """A server that makes changes of its first message with bob, which alice wrote."""

    def __init__(self, server: ImitatedServer) -> None:
        self.server = server
        self.message = server.say("first", sender="alice", clientId="the-first")
        self.rev = 0
        for event in ("edit", "react", "remove"):
            server.answers[event] = lambda request, event=event: self.change(event, request)

    def change(self, event: str, request: dict[str, Any]) -> dict[str, Any]:
        assert request["id"] == self.message["id"]
        changed: dict[str, Any] = {}
        if event == "edit":
            changed = {"data": request["data"], "edited": LATER if self.rev else EDITED}
            self.message |= changed
        elif event == "remove":
            changed = {"removed": True}
        else:
            changed["reaction"] = {**request, "by": "alice"}
            del changed["reaction"]["id"]
        self.rev += 1
        self.server.emit("changed", {"with": "bob", "seq": 1, "rev": self.rev, **changed})
        edited = {"edited": self.message["edited"]} if "edited" in self.message else {}
        return {"code": "200", "message": "done", "id": "1-1", "seq": 1, "rev": self.rev, **edited}

    def refuse(self, event: str, code: str = "403", **more: Any) -> None:
        refusal = {"code": code, "message": "not allowed", **more}
        self.server.answers[event] = lambda _: refusal

    def sent(self) -> list[tuple[str, Any]]:
        """The changes that the server was asked for, in order."""
        what = {"edit": "data", "react": "on", "remove": "id"}
        return [(event, each[what[event]]) for event, each in self.server.asked if event in what]


@pytest.fixture
def chat(server: ImitatedServer) -> Chat:
    return Chat(server)


@pytest.fixture
def offline(server: ImitatedServer) -> Callable[[], None]:
    def disconnect() -> None:
        server.reachable = False
        server.disconnect()

    return disconnect


def shown(client: ChatClient) -> MessageInfo:
    (message,) = client.cached_messages("bob")
    return message


def published(events: Any, kind: Any) -> list[Any]:
    return [each for each in events._queue if isinstance(each, kind)]


async def back(server: ImitatedServer) -> None:
    server.reachable = True
    await asyncio.sleep(60)


# --- shown at once


async def test_changes_are_shown_at_once_and_made_when_online(
    server: ImitatedServer, chat: Chat, client: ChatClient, offline: Callable[[], None]
) -> None:
    await online(client)
    offline()
    events = client.events()
    client.post_edit(shown(client), "new")
    client.post_reaction(shown(client), "👍")
    changed = [each.message for each in published(events, MessageChanged)]
    assert [(each.text, bool(each.reactions)) for each in changed] == [
        ("new", False),
        ("new", True),
    ]
    assert shown(client) == changed[-1]
    assert shown(client).pending
    assert shown(client).edited is not None
    assert shown(client).reactions == (ReactionInfo("👍", 1, ("alice",), mine=True),)
    conversation = client.conversation("bob")
    assert conversation is not None
    assert conversation.last is not None
    assert conversation.last.text == "new"
    assert published(events, ConversationChanged)[-1].conversation.last.text == "new"
    assert client.status.waiting == 2
    assert chat.sent() == []
    await back(server)
    assert chat.sent() == [("edit", "new"), ("react", True)]
    assert client.status.waiting == 0
    assert (shown(client).text, shown(client).rev, shown(client).pending) == ("new", 2, False)
    assert [each.message.pending for each in published(events, MessageChanged)][-1] is False
    assert shown(client).reactions == (ReactionInfo("👍", 1, ("alice",), mine=True),)


async def test_a_removal_is_shown_at_once(
    server: ImitatedServer, chat: Chat, client: ChatClient, offline: Callable[[], None]
) -> None:
    await online(client)
    offline()
    client.post_edit(shown(client), "never sent")
    client.post_removal(shown(client))
    assert (shown(client).removed, shown(client).text) == (True, "")
    with pytest.raises(RequestRefused, match="was removed"):
        client.post_edit(shown(client), "too late")
    client.post_removal(shown(client))
    await back(server)
    assert chat.sent() == [("remove", "1-1")]
    assert shown(client).removed


async def test_changes_survive_a_restart(
    server: ImitatedServer, chat: Chat, offline: Callable[[], None], tmp_path: Path
) -> None:
    def alice() -> ChatClient:
        return ChatClient("chat.example", user="alice", token="t", cache=tmp_path / "cache.db")

    first = alice()
    await online(first)
    offline()
    first.post_edit(shown(first), "new")
    first.post_reaction(shown(first), "👍")
    before = shown(first)
    await first.close()
    second = alice()
    second.start()
    assert shown(second) == before
    await back(server)
    assert chat.sent() == [("edit", "new"), ("react", True)]
    await second.close()
    third = alice()
    third.start(connect=False)
    assert third.status.waiting == 0
    await third.close()


async def test_edits_and_opposite_reactions_that_wait_are_sent_once(
    server: ImitatedServer, chat: Chat, client: ChatClient, offline: Callable[[], None]
) -> None:
    await online(client)
    offline()
    client.post_edit(shown(client), "one")
    client.post_reaction(shown(client), "👍")
    client.post_edit(shown(client), "two")
    client.post_reaction(shown(client), "👍", on=False)
    assert (shown(client).text, shown(client).reactions) == ("two", ())
    await back(server)
    assert chat.sent() == [("edit", "two"), ("react", False)]


async def test_changes_of_one_message_are_sent_in_order(
    server: ImitatedServer, chat: Chat, client: ChatClient
) -> None:
    await online(client)
    server.hold("edit")
    client.post_edit(shown(client), "one")
    client.post_edit(shown(client), "two")
    client.post_reaction(shown(client), "👍")
    await asyncio.sleep(1)
    assert chat.sent() == [("edit", "one")]
    server.release("edit")
    await asyncio.sleep(1)
    assert chat.sent() == [("edit", "one"), ("edit", "two"), ("react", True)]
    assert [each["base"] for each in server.payloads("edit")] == [None, EDITED]
    assert shown(client).text == "two"


# --- messages of the outbox


async def test_an_edit_rewrites_a_message_that_was_never_sent(
    server: ImitatedServer, client: ChatClient, offline: Callable[[], None]
) -> None:
    await online(client)
    offline()
    posted = client.post("bob", "old")
    events = client.events()
    client.post_edit(posted, "new")
    assert [each.message.text for each in published(events, MessageChanged)] == ["new"]
    assert shown(client).text == "new"
    assert shown(client).edited is None
    server.answers["message"] = stored
    await back(server)
    assert [each["data"] for each in server.payloads("message")] == ["new"]
    assert server.payloads("edit") == []


async def test_a_removed_message_that_was_never_sent_is_discarded(
    server: ImitatedServer, client: ChatClient, offline: Callable[[], None]
) -> None:
    await online(client)
    offline()
    client.post_removal(client.post("bob", "never"))
    assert client.cached_messages("bob") == []
    await back(server)
    assert server.payloads("message") == server.payloads("remove") == []


def stored(request: dict[str, Any]) -> dict[str, Any]:
    return {"code": "200", "message": "", "id": "1-1", "seq": 1, "sentAt": EDITED}


async def test_an_edit_waits_for_its_message_that_may_have_been_sent(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    server.hold("message")
    posted = client.post("bob", "old")
    client.post_edit(posted.client_id, "new")
    client.post_reaction(posted, "👍")
    assert (shown(client).text, len(shown(client).reactions)) == ("new", 1)
    await reconnected(server)
    assert server.payloads("edit") == []
    server.answers["message"] = stored
    server.answers["edit"] = lambda _: {
        "code": "200",
        "message": "",
        "id": "1-1",
        "seq": 1,
        "rev": 1,
        "edited": EDITED,
    }
    events = client.events()
    server.release("message")
    assert {each.message.text for each in published(events, MessageChanged)} == {"new"}
    await asyncio.sleep(1)
    (edit,) = server.payloads("edit")
    assert edit == {"id": "1-1", "data": "new", "base": None}
    assert [each["id"] for each in server.payloads("react")] == ["1-1"]


async def test_the_edit_of_a_message_that_is_refused_is_in_the_next_try(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    server.hold("message")
    posted = client.post("bob", "old")
    client.post_edit(posted, "new")
    server.answers["message"] = lambda _: {"code": "413", "message": "too large"}
    server.release("message")
    await asyncio.sleep(1)
    assert (shown(client).text, shown(client).delivery) == ("new", DeliveryStatus.FAILED)
    assert client.status.waiting == 0
    client.post_edit(shown(client), "newer")
    server.answers["message"] = stored
    client.retry(posted.client_id)
    await asyncio.sleep(1)
    assert [each["data"] for each in server.payloads("message")] == ["old", "newer"]
    assert server.payloads("edit") == []


# --- answers


async def test_a_lost_answer_is_asked_for_again(
    server: ImitatedServer, chat: Chat, client: ChatClient
) -> None:
    await online(client)
    server.hold("edit")
    editing = asyncio.create_task(client.edit(shown(client), "new"))
    await asyncio.sleep(1)
    await reconnected(server)
    server.release("edit")
    await asyncio.wait_for(editing, 5)
    assert server.payloads("edit") == [{"id": "1-1", "data": "new", "base": None}] * 2


@pytest.mark.parametrize("code", ["403", "404", "409"])
@pytest.mark.parametrize("event", ["edit", "react", "remove"])
async def test_a_refused_change_is_taken_back_and_blocks_nothing(
    server: ImitatedServer, chat: Chat, client: ChatClient, event: str, code: str
) -> None:
    await online(client)
    before = shown(client)
    server.hold(event)
    chat.refuse(event, code)
    posts = {
        "edit": lambda: client.post_edit(before, "new"),
        "react": lambda: client.post_reaction(before, "🎉"),
        "remove": lambda: client.post_removal(before),
    }
    posts[event]()
    assert shown(client) != before
    if event != "remove":
        client.post_reaction(before, "👍")
    events = client.events()
    server.release(event)
    chat.server.answers["react"] = lambda request: chat.change("react", request)
    await asyncio.sleep(1)
    (refused,) = published(events, ChangeRefused)
    what = {"edit": "edit of", "react": "🎉 for", "remove": "removal of"}[event]
    assert refused.reason == f"{what} “first” refused: not allowed"
    assert refused.change.message == before
    assert (shown(client).text, shown(client).removed) == ("first", False)
    assert [each.emoji for each in shown(client).reactions] == ["👍"] * (event != "remove")
    assert client.status.waiting == 0
    assert published(events, MessageChanged)[0].message.text == "first"


async def test_a_conflict_shows_the_message_as_it_is(
    server: ImitatedServer, chat: Chat, client: ChatClient, offline: Callable[[], None]
) -> None:
    await online(client)
    offline()
    client.post_edit(shown(client), "mine")
    current = chat.message | {"data": "theirs", "edited": EDITED, "rev": 1}
    chat.refuse("edit", "409", current=current)
    events = client.events()
    await back(server)
    assert server.payloads("edit") == [{"id": "1-1", "data": "mine", "base": None}]
    assert len(published(events, ChangeRefused)) == 1
    assert (shown(client).text, shown(client).rev) == ("theirs", 1)
    client.post_edit(shown(client), "mine again")
    await asyncio.sleep(1)
    assert server.payloads("edit")[-1]["base"] == EDITED


async def test_a_temporary_refusal_is_repeated(
    server: ImitatedServer, chat: Chat, client: ChatClient
) -> None:
    await online(client)
    chat.refuse("edit", "429", retryAfter=2)
    client.post_edit(shown(client), "new")
    await asyncio.sleep(1)
    server.answers["edit"] = lambda request: chat.change("edit", request)
    await asyncio.sleep(2)
    assert chat.sent() == [("edit", "new")] * 2
    assert shown(client).text == "new"


async def test_who_waits_for_a_change_is_told(
    server: ImitatedServer, chat: Chat, client: ChatClient
) -> None:
    await online(client)
    await client.edit("1-1", "new")
    assert server.payloads("edit") == [{"id": "1-1", "data": "new"}]
    await client.react("1-1", "👍")
    chat.refuse("remove")
    with pytest.raises(RequestRefused, match="not allowed"):
        await client.remove("1-1")
    server.hold("edit")
    editing = asyncio.create_task(client.edit(shown(client), "newer"))
    await asyncio.sleep(0)
    assert shown(client).text == "newer"
    editing.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert shown(client).text == "new"
    waiting = asyncio.create_task(client.edit(shown(client), "last"))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(RequestRefused, match="was closed"):
        await waiting


async def test_changes_of_another_store_are_not_sent(
    server: ImitatedServer, chat: Chat, client: ChatClient, offline: Callable[[], None]
) -> None:
    await online(client)
    offline()
    client.post_edit(shown(client), "new")
    server.hold("edit")
    server.stored["bob"] = []
    server.say("another", sender="alice", clientId="another")
    server.stored["bob"][0]["id"] = "2-1"
    events = client.events()
    await back(server)
    (refused,) = published(events, ChangeRefused)
    assert "lost" in refused.reason
    assert client.status.waiting == 0
