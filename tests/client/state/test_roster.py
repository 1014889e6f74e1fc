"""What the list of conversations shows: order, last message, counts, presence, receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pychat.client import ChatClient
from pychat.client.events import ClientEvent, ConversationChanged, ConversationsLoaded, RoomsChanged
from pychat.client.models import ConversationInfo, DeliveryStatus, RoomInfo
from tests.client.scripted import DONE
from tests.client.state.imitated import ImitatedServer, online, reconnected


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}Z"


def names(client: ChatClient) -> list[str]:
    return [each.name for each in client.conversations]


def of(client: ChatClient, name: str = "bob") -> ConversationInfo:
    conversation = client.conversation(name)
    assert conversation is not None
    return conversation


def text_of_last(client: ChatClient, name: str = "bob") -> str | None:
    last = of(client, name).last
    return last.text if last is not None else None


def heard(client: ChatClient) -> Callable[[], list[ClientEvent]]:
    """Return a function that returns the events since the last call."""
    subscription = client.events()

    def events() -> list[ClientEvent]:
        found = list(subscription._queue)
        subscription._queue.clear()
        return found

    return events


async def late_list(server: ImitatedServer, client: ChatClient) -> None:
    """Let the client ask for a list that the server makes now and sends when it is released."""
    server.say("1", "unlisted", "unlisted")
    late = server.conversations()
    server.answers["conversations"] = lambda _: {**DONE, "conversations": late}
    server.hold("conversations")
    server.emit("message", server.stored["unlisted"][0])
    await asyncio.sleep(0.1)


def lists(server: ImitatedServer) -> int:
    return len(server.payloads("conversations"))


# --- order


async def test_the_newest_activity_comes_first_and_empty_conversations_last(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.stored = {"empty": [], "carol": [], "bob": [], "none": []}
    server.say("1")
    server.say("1", "carol", "carol")
    await online(client)
    # The server lists the newest first.
    assert names(client) == ["carol", "bob", "empty", "none"]
    server.tell("2", sentAt=at(0))
    assert names(client) == ["bob", "carol", "empty", "none"]
    server.tell("2", "none", "none")
    assert names(client) == ["none", "bob", "carol", "empty"]
    server.hold("message")
    client.post("empty", "mine")
    assert names(client) == ["empty", "none", "bob", "carol"]
    client.post("dave", "first")
    assert names(client)[:2] == ["dave", "empty"]


async def test_a_list_made_before_the_newest_activity_does_not_take_it_back(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.stored = {name: [] for name in ("a", "b", "c", "d", "e")}
    for name in "abcde":
        server.say("1", name, name)
    await online(client)
    assert names(client) == ["a", "b", "c", "d", "e"]
    await late_list(server, client)
    server.hold("message")
    client.post("c", "mine")
    server.tell("2", "d", "d")
    server.tell("2", "e", "e")
    client.post("f", "mine")
    server.release("conversations")
    await asyncio.sleep(1)
    assert names(client) == ["f", "e", "d", "c", "a", "b", "unlisted"]
    assert [text_of_last(client, name) for name in "abcdef"] == ["1", "1", "mine", "2", "2", "mine"]
    assert [of(client, name).unread for name in "abcdef"] == [1, 1, 0, 2, 2, 0]  # posting reads


async def test_a_list_decides_the_order(server: ImitatedServer, client: ChatClient) -> None:
    server.stored = {name: [] for name in "abcd"}
    for name in "abcd":
        server.say("1", name, name)
    await online(client)
    stored = server.stored
    server.stored = {name: stored[name] for name in "cadb"}
    await client.join_room("any")
    assert names(client) == ["c", "a", "d", "b"]


async def test_the_cache_keeps_the_order(
    server: ImitatedServer, client: ChatClient, tmp_path: Path
) -> None:
    def new() -> ChatClient:
        cache = tmp_path / "cache"
        return ChatClient("chat.example", user="alice", password="x password", cache=cache)

    server.stored = {"a": [], "b": [], "c": [], "d": []}
    for name, second in (("b", 2), ("c", 3), ("d", 1)):
        server.say("1", name, name, sentAt=at(second))
    first = new()
    await online(first)
    await first.close()
    again = new()
    again.start(connect=False)
    assert names(again) == ["c", "b", "d", "a"]
    assert of(again, "b").last == of(first, "b").last
    again.post("a", "unsent")
    again.post("e", "unsent")
    await again.close()
    again = new()
    again.start(connect=False)
    assert names(again) == ["e", "a", "c", "b", "d"]
    assert text_of_last(again, "a") == "unsent"
    again.start()
    server.hold("message")
    await asyncio.sleep(2)
    assert names(again) == ["e", "a", "b", "c", "d"]
    assert text_of_last(again, "a") == "unsent"
    server.stored = {"b": server.stored["b"]}
    await reconnected(server)
    assert names(again) == ["e", "a", "b"]
    await again.close()
    again = new()
    again.start(connect=False)
    assert names(again) == ["e", "a", "b"]
    await again.close()


async def test_a_name_may_be_spelled_in_another_way(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.stored = {"Bob": [], "carol": []}
    await online(client)
    server.hold("message")
    for typed, name in (("BOB", "Bob"), ("Bob", "Bob"), ("Carol", "carol"), ("Dave", "Dave")):
        assert client.post(typed, "hi").conversation == name


# --- changes are told once


async def test_only_changes_are_told(server: ImitatedServer, client: ChatClient) -> None:
    await online(client)
    events = heard(client)
    presence = {"id": "bob", "alias": "Bobby", "online": False, "lastSeen": at(9)}
    for _ in range(3):
        server.emit("presence", presence)
        server.emit("presence", presence | {"id": "stranger"})
    (changed,) = events()
    assert changed == ConversationChanged(of(client))
    assert (of(client).alias, of(client).online) == ("Bobby", False)
    assert of(client).last_seen == 1767225609.0
    before = of(client)
    server.emit("presence", presence | {"online": True, "lastSeen": None})
    assert (of(client).online, of(client).last_seen, before.online) == (True, None, False)


# --- rooms


def room(id: str, name: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "name": name, "owner": "bob", **more}


async def test_rooms_are_renamed_and_deleted(server: ImitatedServer, client: ChatClient) -> None:
    server.stored = {"bob": [], "#a": [], "#b": []}
    await online(client)
    events = heard(client)
    server.emit("room", {"command": "list", "rooms": [room("a", "New"), room("c", "Other")]})
    assert names(client) == ["bob", "#a"]
    assert of(client, "#a").alias == "New"
    told = events()
    (loaded,) = (each for each in told if isinstance(each, ConversationsLoaded))
    assert [each.name for each in loaded.conversations] == ["bob", "#a"]
    assert told[-1] == RoomsChanged(
        [RoomInfo("a", "New", "bob", member=True), RoomInfo("c", "Other", "bob", member=False)]
    )
    await client.leave_room("a")
    assert events()[-1] == ConversationsLoaded(client.conversations)
    await client.leave_room("a")
    assert events() == []
    assert names(client) == ["bob"]


async def test_a_conversation_that_is_listed_again_starts_anew(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.stored = {"#a": []}
    server.say("1", "#a")
    server.say("2", "#a")
    await online(client)
    server.hold("history")
    server.emit("message", server.say("3", "#a") | {"seq": 9})
    await client.leave_room("a")
    server.stored["#a"].clear()
    server.say("one", "#a")
    server.release("history")
    await client.join_room("a")
    await asyncio.sleep(1)
    assert (of(client, "#a").last_seq, of(client, "#a").unread) == (1, 1)
    server.tell("two", "#a")
    assert (of(client, "#a").last_seq, of(client, "#a").unread) == (2, 2)


async def test_what_was_missing_before_a_conversation_was_left_is_not_missing_later(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.stored["#a"] = []
    await online(client)
    server.hold("history")
    server.fill(9, "#a")
    server.emit("message", server.stored["#a"][8])
    await client.leave_room("a")
    await client.join_room("a")
    assert of(client, "#a").unread == 9
    server.emit("message", server.stored["#a"][3])
    assert of(client, "#a").unread == 9


# --- the last message


async def test_a_failed_or_discarded_message_gives_way(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.say("stored")
    await online(client)
    server.hold("message")
    one, two = (client.post("bob", text) for text in ("one", "two"))
    client.discard(one.client_id)
    assert text_of_last(client) == "two"
    client.discard(two.client_id)
    assert text_of_last(client) == "stored"
    new = client.post("carol", "new")
    ended = heard(client)
    client.discard(new.client_id)
    assert client.conversation("carol") is None
    assert ConversationsLoaded(client.conversations) in ended()


@pytest.mark.parametrize("name", ["ALL", "#room", "listed"])
async def test_a_conversation_that_the_server_lists_stays_without_a_message(
    server: ImitatedServer, client: ChatClient, name: str
) -> None:
    server.stored = {"#room": [], "listed": []} | ({"ALL": []} if name == "ALL" else {})
    if name != "ALL":
        server.say("1", name)
    await online(client)
    server.hold("message")
    client.discard(client.post(name, "new").client_id)
    assert text_of_last(client, name) == (None if name == "ALL" else "1")


async def test_a_refused_message_is_the_last_one_as_failed(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.answers["message"] = lambda _: {"code": "413", "message": "too large"}
    await online(client)
    server.hold("message")
    one = client.post("bob", "one")
    client.post("carol", "two")
    client.post("bob", "three")
    server.release("message")
    await asyncio.sleep(1)
    for name, text in (("bob", "three"), ("carol", "two")):
        last = of(client, name).last
        assert last is not None
        assert (last.text, last.delivery) == (text, DeliveryStatus.FAILED)
    client.retry(one.client_id)
    assert text_of_last(client) == "one"


async def test_what_becomes_of_an_older_message_does_not_change_the_last_one(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.answers["message"] = lambda request: (
        {"code": "413", "message": "too large"}
        if request["data"] == "one"
        else {"code": "503", "message": "later", "retryAfter": 5}
    )
    await client.connect()
    one = client.post("bob", "one")
    client.post("bob", "two")
    await asyncio.sleep(1)
    last = of(client).last
    assert last is not None
    assert (last.text, last.delivery) == ("two", DeliveryStatus.SENDING)
    server.answers["message"] = lambda _: {**DONE, "id": "1-1", "seq": 1, "sentAt": at(1)}
    await asyncio.sleep(10)
    client.discard(one.client_id)
    last = of(client).last
    assert last is not None
    assert (last.text, last.delivery) == ("two", DeliveryStatus.SENT)
    client.discard(one.client_id)
    server.emit("message", server.say("1") | {"seq": 2})
    assert text_of_last(client) == "1"


async def test_the_answer_to_a_message_is_the_last_one(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.answers["message"] = lambda _: {
        **DONE,
        "id": "1-1",
        "seq": 1,
        "sentAt": at(1),
    }
    await online(client)
    posted = client.post("bob", "hello")
    last = of(client).last
    assert last is not None
    assert (last.delivery, last.seq) == (DeliveryStatus.SENDING, 0)
    await asyncio.sleep(1)
    last = of(client).last
    assert last is not None
    assert (last.delivery, last.seq, last.client_id) == (DeliveryStatus.SENT, 1, posted.client_id)
    assert (of(client).last_seq, of(client).unread) == (1, 0)


async def test_an_unsent_message_stays_the_last_one(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    server.hold("message")
    client.post("bob", "unsent")
    server.tell("1")
    assert text_of_last(client) == "unsent"
    assert (of(client).last_seq, of(client).unread) == (1, 1)


# --- unread


async def test_messages_of_others_are_counted(server: ImitatedServer, client: ChatClient) -> None:
    await online(client)
    for seq, (sender, more, unread) in enumerate(
        [
            ("bob", {}, 1),
            ("alice", {"recepient": "bob"}, 1),
            ("bob", {}, 2),
            ("bob", {"data": "", "removed": True}, 2),
        ],
        1,
    ):
        server.tell(str(seq), "bob", sender, **more)
        server.emit("message", server.stored["bob"][-1])
        assert (of(client).last_seq, of(client).unread) == (seq, unread)
    await client.mark_read("bob", 2)
    assert of(client).unread == 1
    await client.mark_read("bob", 4)
    assert of(client).unread == 0


async def test_missing_messages_are_counted_when_they_arrive(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    server.hold("history")
    server.fill(6)
    stored = server.stored["bob"]
    for seq, unread in ((4, 1), (2, 2), (2, 2), (6, 3), (4, 3), (5, 4), (1, 5), (3, 6), (3, 6)):
        server.emit("message", stored[seq - 1])
        assert of(client).unread == unread
    assert of(client).last_seq == 6


async def test_what_was_read_elsewhere_is_not_counted_when_it_arrives(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    server.hold("history")
    server.fill(5)
    stored = server.stored["bob"]
    server.emit("message", stored[4])
    server.emit("receipt", {"with": "bob", "by": "alice", "kind": "read", "seq": 3})
    assert (of(client).unread, of(client).read_seq, of(client).delivered_seq) == (1, 3, 3)
    for seq, unread in ((2, 1), (3, 1), (4, 2)):
        server.emit("message", stored[seq - 1])
        assert of(client).unread == unread


async def test_a_list_counts_the_missing_messages(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    server.hold("history")
    server.fill(5)
    stored = server.stored["bob"]
    server.emit("message", stored[4])
    assert of(client).unread == 1
    await client.join_room("any")
    assert of(client).unread == 5
    server.emit("message", stored[3])
    assert of(client).unread == 5


async def test_at_most_a_thousand_are_counted(server: ImitatedServer, client: ChatClient) -> None:
    server.stored["bob"] = []
    server.fill(1500)
    server.listed["bob"] = {"unread": 1000}
    await online(client)
    assert of(client).unread == 1000
    server.tell("1501")
    assert (of(client).unread, of(client).last_seq) == (1000, 1501)


async def test_a_thousand_missing_messages_at_most_are_remembered(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    server.hold("history")
    server.fill(1200)
    stored = server.stored["bob"]
    server.emit("message", stored[-1])
    for seq, unread in ((200, 2), (199, 2), (201, 3)):
        server.emit("message", stored[seq - 1])
        assert of(client).unread == unread


# --- reading with and without the messages


@pytest.mark.parametrize(
    ("unread", "read", "estimate", "exact"),
    [
        (5, 9, 0, True),  # everything
        (5, 8, 1, False),
        (5, 7, 1, False),
        (5, 3, 2, False),
        (3, 7, 1, False),  # an estimate is at least 1
        (9, 2, 7, False),
        (1000, 3, 6, False),
        (0, 3, 0, True),
    ],
)
async def test_without_the_messages_the_count_is_estimated_and_asked_for(
    server: ImitatedServer, client: ChatClient, unread: int, read: int, estimate: int, exact: bool
) -> None:
    server.fill(9)
    server.listed["bob"] = {"unread": unread}
    await client.connect()  # without events() no messages are fetched
    await client.mark_read("bob", read)
    assert (of(client).unread, of(client).read_seq, of(client).delivered_seq) == (
        estimate,
        read,
        read,
    )
    await asyncio.sleep(0.5)
    assert lists(server) == 1
    server.listed["bob"] = {"unread": 4, "readSeq": read}
    await asyncio.sleep(2)
    assert lists(server) == 2 - exact
    assert of(client).unread == (0 if exact else 4)


@pytest.mark.parametrize(
    ("last", "unread", "read_before", "read", "estimate"),
    [
        (9, 6, 2, 4, 4),
        (1500, 1000, 0, 100, 1000),
        (1500, 1000, 0, 1400, 100),
        (1500, 999, 0, 9, 990),
    ],
)
async def test_the_estimate_counts_from_the_read_cursor(
    server: ImitatedServer,
    client: ChatClient,
    last: int,
    unread: int,
    read_before: int,
    read: int,
    estimate: int,
) -> None:
    server.listed["bob"] = {"unread": unread, "readSeq": read_before, "lastSeq": last}
    server.stored["bob"] = [server.say("last") | {"seq": last}]
    await client.connect()
    await client.mark_read("bob", read)
    assert of(client).unread == estimate


async def test_a_list_that_does_not_know_what_was_read_is_asked_for_again(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(9)
    await client.connect()
    await late_list(server, client)
    await client.mark_read("bob", 4)
    server.answers["conversations"] = lambda _: {
        **DONE,
        "conversations": [server.conversation("bob") | {"readSeq": 0, "unread": 9}],
    }
    server.release("conversations")
    await asyncio.sleep(0.5)
    assert (of(client).read_seq, of(client).unread, lists(server)) == (4, 5, 2)
    server.answers["conversations"] = lambda _: {**DONE, "conversations": server.conversations()}
    server.listed["bob"] = {"readSeq": 4, "unread": 3}
    await asyncio.sleep(3)
    assert (of(client).read_seq, of(client).unread, lists(server)) == (4, 3, 3)


async def test_a_server_that_never_knows_what_was_read_is_asked_ever_less_often(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(9)
    server.answers["read"] = lambda _: {"code": "403", "message": "no"}
    await client.connect()
    await client.mark_read("bob", 4)
    await asyncio.sleep(600)
    assert 10 < lists(server) < 20
    server.answers["read"] = lambda request: server.move("readSeq", request)
    await client.mark_read("bob", 5)
    await asyncio.sleep(70)
    asked = lists(server)
    await client.mark_read("bob", 6)
    await asyncio.sleep(1.5)
    assert lists(server) == asked + 1


async def test_what_was_read_offline_is_asked_for_again(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(9)
    await client.connect()
    server.reachable = False
    server.disconnect()
    await asyncio.sleep(1)
    await client.mark_read("bob", 4)
    await asyncio.sleep(5)
    server.reachable = True
    await asyncio.sleep(60)
    assert lists(server) == 3
    assert (of(client).read_seq, of(client).unread) == (4, 5)


async def test_messages_of_a_conversation_that_was_left_move_no_cursor(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(2, "#a")
    await client.connect()
    messages = client.messages()
    assert (await anext(messages)).seq == 1
    assert (await anext(messages)).seq == 2
    await client.leave_room("a")
    server.tell("1")
    assert (await anext(messages)).conversation == "bob"
    await asyncio.sleep(1)
    assert server.payloads("delivered") == [{"with": "#a", "seq": 1}]


async def test_with_the_messages_the_count_is_exact(
    server: ImitatedServer, client: ChatClient
) -> None:
    for sender, more in (
        ("bob", {}),
        ("alice", {}),
        ("bob", {}),
        ("bob", {"removed": True, "data": ""}),
        ("bob", {}),
    ):
        server.say("text", "bob", sender, **more)
    await online(client)
    for read, unread in ((1, 2), (2, 2), (3, 1), (4, 1), (5, 0)):
        await client.mark_read("bob", read)
        assert of(client).unread == unread
    await asyncio.sleep(5)
    assert lists(server) == 1


async def test_cursors_only_move_forward(server: ImitatedServer, client: ChatClient) -> None:
    server.fill(9)
    await client.connect()

    def own(kind: str, seq: int) -> tuple[int, int]:
        server.emit("receipt", {"with": "bob", "by": "alice", "kind": kind, "seq": seq})
        return of(client).delivered_seq, of(client).read_seq

    assert own("delivered", 4) == (4, 0)
    assert own("delivered", 3) == (4, 0)
    assert own("read", 2) == (4, 2)
    assert own("read", 1) == (4, 2)
    assert own("read", 6) == (6, 6)
    assert own("delivered", 9) == (9, 6)

    def theirs(kind: str, seq: int) -> tuple[int, int]:
        server.emit("receipt", {"with": "bob", "by": "bob", "kind": kind, "seq": seq})
        return of(client).peer_delivered_seq, of(client).peer_read_seq

    assert theirs("delivered", 4) == (4, 0)
    assert theirs("delivered", 3) == (4, 0)
    assert theirs("read", 2) == (4, 2)
    assert theirs("read", 1) == (4, 2)
    assert theirs("read", 6) == (6, 6)
    assert (of(client).delivered_seq, of(client).read_seq) == (9, 6)


async def test_own_messages_show_how_far_they_got(
    server: ImitatedServer, client: ChatClient
) -> None:
    for _ in range(5):
        server.say("mine", "bob", "alice")
    server.say("theirs")
    server.listed["bob"] = {"peerDeliveredSeq": 4, "peerReadSeq": 2}
    await online(client)
    expected = ["read", "read", "delivered", "delivered", "sent", None]
    assert [each.delivery for each in client.cached_messages("bob")] == expected
    server.hold("message")
    client.post("bob", "unsent")
    client.post("new", "unsent")
    server.emit("receipt", {"with": "bob", "by": "bob", "kind": "read", "seq": 6})
    assert [each.delivery for each in client.cached_messages("bob")] == [
        *["read"] * 5,
        None,
        "sending",
    ]
    assert [each.delivery for each in client.cached_messages("new")] == ["sending"]


# --- receipts before the list


async def test_receipts_for_conversations_not_listed_yet_are_kept(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    server.stored["carol"] = []
    server.fill(5, "carol")

    def receipt(name: str, by: str, kind: str, seq: int) -> None:
        server.emit("receipt", {"with": name, "by": by, "kind": kind, "seq": seq})

    receipt("carol", "carol", "delivered", 4)
    receipt("carol", "carol", "read", 2)
    receipt("carol", "carol", "read", 3)
    receipt("carol", "alice", "read", 5)
    receipt("dave", "dave", "read", 5)
    receipt("bob", "bob", "read", 5)
    assert client.conversation("carol") is None
    await client.join_room("any")
    carol = of(client, "carol")
    assert (carol.peer_delivered_seq, carol.peer_read_seq, carol.read_seq) == (4, 3, 5)
    assert carol.unread == 0
    # They are of no other list.
    server.stored["carol"].clear()
    server.stored["dave"] = []
    server.fill(9, "dave")
    await client.join_room("any")
    await asyncio.sleep(1)
    assert of(client, "carol").peer_read_seq == 0
    assert of(client, "dave").peer_read_seq == 0


async def test_receipts_beyond_the_last_message_are_of_another_conversation(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    for name, last in (("carol", 5), ("dave", 4)):
        server.fill(last, name)
        server.emit("receipt", {"with": name, "by": name, "kind": "read", "seq": 5})
    await client.join_room("any")
    assert of(client, "carol").peer_read_seq == 5
    assert of(client, "dave").peer_read_seq == 0


async def test_a_receipt_before_the_login_may_be_of_this_user(
    server: ImitatedServer, client: ChatClient, tmp_path: Path
) -> None:
    server.fill(5)
    await online(client)
    server.hold("login")
    await reconnected(server)
    server.emit("receipt", {"with": "bob", "by": "alice", "kind": "read", "seq": 3})
    assert (of(client).read_seq, of(client).peer_read_seq) == (3, 0)


async def test_early_receipts_end_with_the_connection(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    server.emit("receipt", {"with": "carol", "by": "carol", "kind": "read", "seq": 5})
    server.fill(5, "carol")
    await reconnected(server)
    assert of(client, "carol").peer_read_seq == 0


async def test_a_thousand_early_receipts_at_most_are_kept(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    for number in range(1000):
        server.emit("receipt", {"with": "carol", "by": f"{number}", "kind": "read", "seq": 1})
    server.emit("receipt", {"with": "carol", "by": "1000", "kind": "read", "seq": 2})
    server.fill(2, "carol")
    await client.join_room("any")
    assert of(client, "carol").peer_read_seq == 1


async def test_presence_during_a_list_ends_with_the_connection(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    server.hold("conversations")
    server.tell("1", "carol", "carol")
    await asyncio.sleep(0.1)
    presence = {"id": "bob", "alias": "Bob", "online": False, "lastSeen": at(1)}
    server.emit("presence", presence)
    server.disconnect()
    server.release("conversations")
    await asyncio.sleep(3)
    assert of(client).online


# --- removed messages


@pytest.mark.parametrize(
    ("seq", "unread"),
    [(1, 2), (2, 2), (3, 1), (4, 1)],
)
async def test_a_removed_message_is_no_longer_unread(
    server: ImitatedServer, client: ChatClient, seq: int, unread: int
) -> None:
    for sender in ("bob", "alice", "bob", "bob"):
        server.say("text", "bob", sender)
    server.listed["bob"] = {"readSeq": 1}
    await online(client)
    assert of(client).unread == 2
    server.remove(seq)
    assert of(client).unread == unread
    last = of(client).last
    assert last is not None
    assert (last.seq, last.removed) == (4, seq == 4)
    await asyncio.sleep(2)
    assert lists(server) == 1


@pytest.mark.parametrize(("seq", "asked"), [(1, False), (2, False), (3, True)])
async def test_with_a_gap_only_the_removal_of_an_unread_message_asks_for_the_count(
    server: ImitatedServer, client: ChatClient, seq: int, asked: bool
) -> None:
    for sender in ("bob", "alice", "bob"):
        server.say("text", "bob", sender)
    server.listed["bob"] = {"readSeq": 1}
    await online(client)
    server.hold("history")
    server.emit("message", server.say("text") | {"seq": 6})
    server.remove(seq)
    await asyncio.sleep(2)
    assert lists(server) == 1 + asked


@pytest.mark.parametrize(
    ("name", "seq", "asked"), [("bob", 5, True), ("bob", 3, False), ("carol", 5, False)]
)
async def test_the_removal_of_an_unread_message_that_is_not_here_asks_for_the_count(
    server: ImitatedServer, client: ChatClient, name: str, seq: int, asked: bool
) -> None:
    server.fill(5)
    server.fill(5, "carol")
    server.listed = {"bob": {"readSeq": 3}, "carol": {"unread": 0}}
    await client.connect()
    server.remove(seq, name)
    server.remove(seq, "nobody")
    await asyncio.sleep(2)
    assert lists(server) == 1 + asked


async def test_the_last_message_may_be_removed_without_being_here(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(5)
    server.stored["empty"] = []
    await client.connect()
    for seq, text in ((4, "5"), (5, "")):
        server.remove(seq)
        server.remove(seq, "empty")
        last = of(client).last
        assert last is not None
        assert (last.seq, last.text, last.removed) == (5, text, text == "")
    assert of(client, "empty").last is None


# --- lists


async def test_a_conversation_that_is_no_longer_listed_is_dropped(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(2)
    server.fill(2, "#room")
    server.fill(2, "#unsent")
    server.stored["empty"] = []
    await online(client)
    events = heard(client)
    server.hold("message")
    client.post("#unsent", "unsent")
    del server.stored["#room"], server.stored["empty"], server.stored["#unsent"]
    await reconnected(server)
    assert names(client) == ["#unsent", "bob"]
    unsent = of(client, "#unsent")
    assert (unsent.last_seq, unsent.alias, text_of_last(client, "#unsent")) == (
        0,
        "#Unsent",
        "unsent",
    )
    assert [each.text for each in client.cached_messages("#unsent")] == ["unsent"]
    assert client.cached_messages("#room") == []
    assert ConversationsLoaded(client.conversations) in events()


async def test_a_later_change_wins_over_the_list(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(4)
    server.listed["bob"] = {"peerDeliveredSeq": 1}
    await online(client)
    await late_list(server, client)
    server.tell("5")
    server.tell("6")
    await client.mark_read("bob", 5)
    server.release("conversations")
    await asyncio.sleep(0.1)
    bob = of(client)
    assert (bob.last_seq, bob.read_seq, bob.delivered_seq, bob.unread) == (6, 5, 6, 1)
    assert text_of_last(client) == "6"


async def test_another_device_has_read_further(server: ImitatedServer, client: ChatClient) -> None:
    server.fill(4)
    await online(client)
    await client.mark_read("bob", 1)
    server.listed["bob"] = {"readSeq": 3, "deliveredSeq": 4}
    await client.join_room("any")
    bob = of(client)
    assert (bob.read_seq, bob.delivered_seq, bob.unread) == (3, 4, 1)


async def test_receipts_during_a_list_are_of_the_conversation_that_it_brings(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(5)
    await online(client)
    server.listed["bob"] = {"last": server.stored["bob"][-1] | {"id": "2-5"}}
    server.hold("conversations")
    await reconnected(server)
    server.emit("receipt", {"with": "bob", "by": "bob", "kind": "read", "seq": 2})
    server.release("conversations")
    await asyncio.sleep(1)
    assert of(client).peer_read_seq == 2


async def test_receipts_of_a_deleted_room_are_not_of_the_next_one(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(5, "#tea")
    await online(client)
    server.hold("conversations")
    await reconnected(server)
    server.emit("receipt", {"with": "#tea", "by": "bob", "kind": "read", "seq": 2})
    server.emit("room", {"rooms": []})
    server.release("conversations")
    await asyncio.sleep(1)
    assert of(client, "#tea").peer_read_seq == 0
