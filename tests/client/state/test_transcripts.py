"""Messages are told once, in order and without gaps, whatever arrives in whatever order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pychat.client import ChatClient
from pychat.client.events import MessageAdded, MessageChanged, MessagesReset
from pychat.client.models import DeliveryStatus, MessageInfo
from tests.client.scripted import DONE
from tests.client.state.imitated import ImitatedServer, online, reconnected


class Told:
    """What a client tells of messages, since the last call."""

    def __init__(self, client: ChatClient) -> None:
        self._client = client
        self._events = client.events()

    def __call__(self) -> list[str]:
        """A text was added; ``~`` changed; ``#`` a conversation was reset."""
        told = []
        while self._events._queue:
            match self._events._queue.popleft():
                case MessageAdded(message):
                    told.append(message.text)
                case MessageChanged(message):
                    told.append("~" + message.text)
                case MessagesReset(name):
                    told.append("#" + name)
        return told


@pytest.fixture
async def told(server: ImitatedServer, client: ChatClient) -> Told:
    return Told(client)


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


def asked(server: ImitatedServer) -> list[dict[str, Any]]:
    """The requests for pages since the last call."""
    return server.taken("history")


def cached(client: ChatClient, name: str = "bob") -> list[str]:
    return [each.text for each in client.cached_messages(name)]


# --- order


async def test_what_was_missed_is_fetched_page_by_page(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.fill(250)
    await online(client)
    assert told() == numbers(1, 250)
    assert [each.get("after") for each in asked(server)] == [0, 100, 200]
    server.tell("251")
    assert told() == ["251"]
    await asyncio.sleep(20)
    assert asked(server) == []
    assert cached(client)[-1] == "251"


async def test_messages_beyond_a_gap_wait_for_the_missing_ones(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    await online(client)
    server.hold("history")
    server.fill(6)
    stored = server.stored["bob"]
    for seq, texts in ((1, ["1"]), (4, []), (6, []), (4, []), (2, ["2"]), (1, []), (3, ["3", "4"])):
        server.emit("message", stored[seq - 1])
        assert told() == texts
    server.emit("message", stored[4])
    assert told() == ["5", "6"]
    server.release("history")
    await asyncio.sleep(0.1)
    assert told() == []


async def test_a_gap_is_filled_by_a_page(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    await online(client)
    server.hold("history")
    server.fill(5)
    server.emit("message", server.stored["bob"][4])
    await asyncio.sleep(0.1)
    server.tell("6")
    server.release("history")
    await asyncio.sleep(0.1)
    assert told() == numbers(1, 6)
    assert len(asked(server)) == 1


async def test_a_message_that_the_server_no_longer_has_is_not_waited_for(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    await online(client)
    server.answers["history"] = lambda _: {**DONE, "messages": [], "hasMore": False}
    server.emit("message", server.say("1") | {"seq": 3})
    await asyncio.sleep(10)
    assert told() == []
    assert len(asked(server)) == 1
    server.stored["bob"] = []
    server.fill(4)
    server.answers["history"] = server.history
    server.emit("message", server.stored["bob"][3])
    await asyncio.sleep(1)
    assert told() == numbers(1, 4)


async def test_pages_with_holes_are_told(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.fill(9)
    for seq in (8, 5, 2, 1):
        del server.stored["bob"][seq - 1]
    server.listed["bob"] = {"lastSeq": 9}
    await online(client)
    assert told() == ["3", "4", "6", "7", "9"]


async def test_what_is_no_longer_readable_is_not_fetched(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.fill(9)
    server.listed["bob"] = {"firstSeq": 6}
    server.answers["history"] = lambda request: server.history(
        {**request, "after": max(request["after"], 5)}
    )
    await online(client)
    assert told() == numbers(6, 9)
    assert [each["after"] for each in asked(server)] == [5]


# --- errors


@pytest.mark.parametrize(
    ("refusal", "wait"),
    [
        ({"code": "503", "message": "later"}, 1.0),
        ({"code": "429", "message": "later", "retryAfter": 9}, 9.0),
        ({"code": "200", "messages": "nonsense"}, 1.0),
    ],
)
async def test_a_refused_page_is_asked_for_again(
    server: ImitatedServer, client: ChatClient, told: Told, refusal: dict[str, Any], wait: float
) -> None:
    await online(client)
    server.answers["history"] = lambda _: refusal
    server.fill(3)
    server.emit("message", server.stored["bob"][2])
    await asyncio.sleep(wait - 0.5)
    assert len(asked(server)) == 1
    server.answers["history"] = server.history
    await asyncio.sleep(1)
    assert told() == numbers(1, 3)
    assert len(asked(server)) == 1


async def test_an_unanswered_page_is_asked_for_again(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    await online(client)
    server.hold("history")
    server.fill(3)
    server.emit("message", server.stored["bob"][2])
    await asyncio.sleep(10.5)
    assert len(asked(server)) == 1
    server.release("history")
    await asyncio.sleep(1)
    assert told() == numbers(1, 3)
    assert len(asked(server)) == 1


@pytest.mark.parametrize("code", ["403", "404"])
async def test_what_the_user_may_not_read_is_not_asked_for_again(
    server: ImitatedServer, client: ChatClient, told: Told, code: str
) -> None:
    await online(client)
    server.answers["history"] = lambda _: {"code": code, "message": "no"}
    server.fill(3)
    server.emit("message", server.stored["bob"][2])
    await asyncio.sleep(20)
    assert len(asked(server)) == 1
    server.answers["history"] = server.history
    for stored in server.stored["bob"][:2]:
        server.emit("message", stored)
    assert told() == ["1", "2"]  # what was held is of a time when it could be read
    server.tell("4")
    await asyncio.sleep(1)
    assert told() == ["3", "4"]


async def test_four_conversations_are_fetched_at_a_time(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    for name in "abcdef":
        server.fill(1, name)
    server.hold("history")
    await online(client)
    assert len(asked(server)) == 4
    server.release("history")
    await asyncio.sleep(1)
    assert told() == ["1"] * 6


# --- a long absence


async def test_after_a_long_absence_the_log_starts_again_at_the_newest_page(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.fill(2)
    await online(client)
    assert told() == ["1", "2"]
    server.reachable = False
    server.disconnect()
    await asyncio.sleep(1)
    server.fill(1001)
    server.reachable = True
    await asyncio.sleep(60)
    assert told() == ["#bob", *numbers(904, 1003)]
    assert cached(client) == numbers(904, 1003)
    # The newest known message is confirmed by itself.
    pages = asked(server)
    assert (pages[-2]["after"], pages[-2]["limit"]) == (1, 1)
    assert "after" not in pages[-1]


async def test_a_newest_page_that_leaves_no_gap_resets_nothing(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.fill(2)
    await online(client)
    told()
    server.fill(2)
    server.listed["bob"] = {"lastSeq": 2000}
    await reconnected(server)
    assert told() == ["3", "4"]


async def test_after_a_shorter_absence_all_pages_are_fetched(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.fill(2)
    await online(client)
    server.reachable = False
    server.disconnect()
    await asyncio.sleep(1)
    server.fill(1000)
    server.reachable = True
    await asyncio.sleep(60)
    assert told() == numbers(1, 1002)
    # The first page begins with the newest known message.
    assert [each["after"] for each in asked(server)][-11:-9] == [1, 101]


async def test_a_bot_misses_nothing(server: ImitatedServer, client: ChatClient) -> None:
    server.fill(1500)
    server.listed["bob"] = {"deliveredSeq": 200}
    await client.connect()
    texts = []
    async for message in client.messages():
        texts.append(message.text)
        if message.text == "1500":
            break
    assert texts == numbers(201, 1500)
    assert all("after" in each for each in asked(server))


async def test_at_most_a_thousand_messages_are_held(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    await online(client)
    server.hold("history")
    server.fill(1003)
    stored = server.stored["bob"]
    for seq in range(3, 1004):
        server.emit("message", stored[seq - 1])
    server.emit("message", stored[0])
    told()
    server.emit("message", stored[1])
    assert told() == numbers(2, 1002)
    await asyncio.sleep(0.1)
    server.release("history")
    await asyncio.sleep(0.1)
    assert told() == ["1003"]


# --- own messages


def stored_as(seq: int, id: str = "1") -> dict[str, Any]:
    return {**DONE, "id": f"{id}-{seq}", "seq": seq, "sentAt": "2026-01-01T00:00:00Z"}


async def test_a_posted_message_is_added_once_and_then_changed(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    await online(client)
    server.answers["message"] = lambda _: stored_as(1)
    posted = client.post("bob", "mine")
    assert told() == ["mine"]
    await asyncio.sleep(1)
    assert told() == ["~mine"]
    server.emit("message", server.say("mine", "bob", "alice", clientId=posted.client_id))
    await asyncio.sleep(1)
    assert told() == []
    assert cached(client) == ["mine"]


async def test_a_posted_message_beyond_a_gap_is_changed_in_its_turn(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    await online(client)
    server.answers["message"] = lambda _: stored_as(3)
    server.hold("history")
    client.post("bob", "mine")
    await asyncio.sleep(0.1)
    assert told() == ["mine"]
    server.fill(2)
    for stored in server.stored["bob"]:
        server.emit("message", stored)
    assert told() == ["1", "2", "~mine"]


async def test_without_a_reader_a_posted_message_is_sent(
    server: ImitatedServer, client: ChatClient
) -> None:
    await client.connect()
    server.answers["message"] = lambda _: stored_as(1)
    sent = await client.send("bob", "mine")
    assert (sent.seq, sent.delivery) == (1, DeliveryStatus.SENT)
    server.answers["message"] = lambda _: stored_as(9)
    assert (await client.send("bob", "mine")).seq == 9
    assert asked(server) == []


async def test_an_own_message_of_a_page_leaves_the_outbox(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    await online(client)
    server.hold("message")
    posted = client.post("bob", "mine")
    other = client.post("bob", "not stored")
    await asyncio.sleep(0.1)
    told()
    server.say("mine", "bob", "alice", clientId=posted.client_id)
    server.say("from another device", "bob", "alice", clientId="of the other")
    await reconnected(server)
    assert told() == ["~mine", "from another device"]
    waiting = [each.client_id for each in client.cached_messages("bob") if not each.seq]
    assert waiting == [other.client_id]


async def test_a_discarded_message_that_is_stored_after_all_is_added(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.fill(1)
    await online(client)
    server.hold("message")
    posted = client.post("bob", "mine")
    await asyncio.sleep(0.1)
    client.discard(posted.client_id)
    assert told() == ["1", "mine", "~mine"]
    server.emit("message", server.say("mine", "bob", "alice", clientId=posted.client_id))
    assert told() == ["mine"]


async def test_posting_reads_what_was_told_before(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(3)
    await online(client)
    server.hold("message")
    for name, seq in (("bob", 3), ("new", 0)):
        client.post(name, "mine")
        known = client.conversation(name)
        assert known is not None
        assert known.read_seq == seq
    await asyncio.sleep(1)
    assert server.payloads("read") == [{"with": "bob", "seq": 3}]


# --- conversations that are not listed yet


async def test_the_first_message_begins_a_conversation(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    await online(client)
    server.hold("conversations")
    server.tell("1", "carol", "carol")
    assert told() == ["1"]
    server.tell("2", "carol", "carol")
    assert told() == ["2"]
    known = client.conversation("carol")
    assert known is not None
    assert (known.alias, known.unread) == ("carol", 2)
    server.release("conversations")
    await asyncio.sleep(1)
    known = client.conversation("carol")
    assert known is not None
    assert (known.alias, known.unread) == ("Carol", 2)
    assert asked(server) == []


async def test_later_messages_wait_for_the_list(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    await online(client)
    server.fill(2, "carol")
    server.listed["carol"] = {"deliveredSeq": 2}
    server.hold("conversations")
    for seq in (4, 3):
        server.emit("message", server.say(str(seq), "carol", "carol") | {"seq": seq})
        assert told() == []
    server.emit("message", server.say("9", "dave", "dave") | {"seq": 9})
    del server.stored["dave"]
    server.stored["carol"] = server.stored["carol"][:2]
    assert client.conversation("carol") is None
    server.hold("history")
    server.release("conversations")
    await asyncio.sleep(0.1)
    assert told() == ["3", "4"]
    assert client.conversation("dave") is None
    known = client.conversation("carol")
    assert known is not None
    assert known.last_seq == 4


async def test_a_room_that_was_left_and_joined_elsewhere_starts_again(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.fill(3, "#a")
    await online(client)
    assert told() == numbers(1, 3)
    await client.leave_room("a")
    server.stored["#a"].clear()
    server.tell("first", "#a", "carol")
    assert told() == ["#" + "#a", "first"]
    await asyncio.sleep(1)
    server.tell("second", "#a", "carol")
    assert told() == ["second"]
    assert cached(client, "#a") == ["first", "second"]


# --- removed messages


async def test_a_message_is_removed_once(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.say("theirs", clientId="x")
    server.say("mine", "bob", "alice", clientId="y")
    await online(client)
    before = client.cached_messages("bob")
    told()
    for seq in (2, 2, 1, 3, 0):
        server.remove(seq)
    server.remove(1, "nobody")
    assert told() == ["~", "~"]
    after = client.cached_messages("bob")
    assert after == [
        MessageInfo(
            conversation="bob",
            sender=each.sender,
            text="",
            client_id=each.client_id,
            id=each.id,
            seq=each.seq,
            sent_at=each.sent_at,
            removed=True,
            own=each.own,
            delivery=each.delivery,
            rev=1,
        )
        for each in before
    ]


# --- another store at the same address


def replace_store(server: ImitatedServer, texts: list[str], **more: Any) -> None:
    server.stored["bob"].clear()
    server.listed.clear()
    for text in texts:
        server.say(text, **more)


@pytest.mark.parametrize(
    ("texts", "more"),
    [
        (["one"], {}),
        (["one", "two"], {}),
        (["1", "two"], {}),
        (["1", "2"], {"sentAt": "2026-01-02T00:00:00Z"}),
        (["one", "two", "three"], {}),
        (["1", "two", "3"], {}),
        ([], {}),
    ],
)
async def test_another_store_is_noticed(
    server: ImitatedServer, client: ChatClient, told: Told, texts: list[str], more: dict[str, Any]
) -> None:
    server.fill(2)
    await online(client)
    told()
    replace_store(server, texts, **more)
    await reconnected(server)
    assert told() == ["#bob", *texts]
    assert cached(client) == texts


async def test_the_same_store_is_noticed(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.fill(2)
    await online(client)
    for more in ([], ["3"], ["4", "5"], []):
        told()
        for text in more:
            server.say(text)
        await reconnected(server)
        assert told() == more
    server.remove(5)
    server.stored["bob"][-1] = {"id": "1-5", "seq": 5, "removed": True}
    told()
    await reconnected(server)
    assert told() == []
    assert cached(client)[-1] == ""


async def test_nothing_is_told_before_the_store_is_known_to_be_the_same(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.fill(2)
    await online(client)
    told()
    server.hold("conversations")
    await reconnected(server)
    server.hold("history")
    server.tell("3")
    await asyncio.sleep(0.1)
    server.tell("4")
    assert told() == []
    server.release("conversations")
    server.release("history")
    await asyncio.sleep(0.1)
    assert told() == ["3", "4"]


async def test_a_list_with_the_same_last_message_is_enough_to_know_the_store(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.fill(2)
    await online(client)
    told()
    late = server.conversations()
    server.answers["conversations"] = lambda _: {**DONE, "conversations": late}
    server.hold("conversations")
    await reconnected(server)
    server.hold("history")
    server.tell("3")
    await asyncio.sleep(0.1)
    assert told() == []
    server.release("conversations")
    await asyncio.sleep(0.1)
    assert told() == ["3"]


async def test_a_page_of_a_conversation_that_is_gone_is_not_told(
    server: ImitatedServer, client: ChatClient, told: Told
) -> None:
    server.stored["#a"] = []
    await online(client)
    server.hold("history")
    server.fill(3, "#a")
    server.emit("message", server.stored["#a"][2])
    await asyncio.sleep(0.1)
    stored = server.stored.pop("#a")
    await client.leave_room("a")
    await client.join_room("b")
    server.stored["#a"] = stored
    server.release("history")
    await asyncio.sleep(1)
    assert "1" not in told()
    assert cached(client, "#a") == []


@pytest.mark.parametrize("before", [1, 3])
async def test_a_posted_message_shows_another_store(
    server: ImitatedServer, client: ChatClient, told: Told, before: int
) -> None:
    server.fill(before)
    await online(client)
    told()
    replace_store(server, [])
    server.answers["message"] = lambda request: (
        server.say(request["data"], "bob", "alice", clientId=request["clientId"]) and stored_as(1)
    )
    client.post("bob", "mine")
    await asyncio.sleep(3)
    assert told()[:2] == ["mine", "#bob"]
    assert cached(client) == ["mine"]


async def test_the_cache_is_continued(
    server: ImitatedServer, client: ChatClient, tmp_path: Path
) -> None:
    def new() -> ChatClient:
        cache = tmp_path / "cache"
        return ChatClient("chat.example", user="alice", password="x password", cache=cache)

    server.fill(3)
    server.stored["empty"] = []
    first = new()
    await online(first)
    server.hold("message")
    posted = first.post("bob", "mine")
    await first.close()
    server.release("message")
    server.asked.clear()
    server.listed.clear()  # the server knows of no cursor, the cache does
    again = new()
    told = Told(again)
    assert told() == []
    server.say("4")
    server.answers["message"] = lambda request: (
        server.say(request["data"], "bob", "alice", clientId=request["clientId"]) and stored_as(5)
    )
    await online(again)
    assert told() == ["4", "~mine"]
    assert server.payloads("message")[0]["clientId"] == posted.client_id
    assert [each["after"] for each in asked(server)] == [2]
    await again.close()
