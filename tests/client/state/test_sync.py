"""When the list of conversations is asked for, and what is made of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pychat.client import ChatClient, RequestRefused, ServerUnreachable
from pychat.client.events import MessagesReset
from pychat.client.models import ConnectionState
from tests.client.scripted import DONE
from tests.client.state.imitated import ImitatedServer, online, reconnected


def lists(server: ImitatedServer) -> int:
    """The number of lists asked for since the last call."""
    return len(server.taken("conversations"))


def cursors(server: ImitatedServer) -> list[tuple[str, str, int]]:
    """The cursors sent since the last call."""
    sent = [
        (str(event), each["with"], each["seq"])
        for event, each in server.asked
        if event in ("read", "delivered")
    ]
    server.asked.clear()
    return sent


def resets(client: ChatClient) -> Any:
    subscription = client.events()

    def told() -> list[str]:
        events = list(subscription._queue)
        subscription._queue.clear()
        return sorted(each.conversation for each in events if isinstance(each, MessagesReset))

    return told


def refuse(server: ImitatedServer, code: str, **more: Any) -> None:
    server.answers["conversations"] = lambda _: {"code": code, "message": "no", **more}


def accept(server: ImitatedServer) -> None:
    server.answers["conversations"] = lambda _: {**DONE, "conversations": server.conversations()}


# --- when it is asked for


async def test_it_is_asked_for_once_after_each_login(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(3)
    await online(client)
    await asyncio.sleep(60)
    assert lists(server) == 1
    await reconnected(server)
    assert lists(server) == 1


@pytest.mark.parametrize(
    ("refusal", "wait"),
    [
        ({"code": "503", "message": "later"}, 1),
        ({"code": "503", "message": "later", "retryAfter": 9}, 9),
        ({"code": "200", "conversations": "nonsense"}, 1),
    ],
)
async def test_a_refused_list_is_asked_for_again(
    server: ImitatedServer, client: ChatClient, refusal: dict[str, Any], wait: float
) -> None:
    server.answers["conversations"] = lambda _: refusal
    client.start()
    await asyncio.sleep(wait - 0.5)
    assert lists(server) == 1
    accept(server)
    await asyncio.sleep(1)
    assert lists(server) == 1
    assert [each.name for each in client.conversations] == ["bob"]


async def test_connect_waits_for_a_list_that_is_refused_for_a_time(
    server: ImitatedServer, client: ChatClient
) -> None:
    refuse(server, "503", retryAfter=5)
    connecting = asyncio.ensure_future(client.connect())
    await asyncio.sleep(4)
    assert not connecting.done()
    accept(server)
    await asyncio.sleep(2)
    assert connecting.done()
    assert connecting.exception() is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [({"code": "200", "conversations": "nonsense"}, RequestRefused), (None, ServerUnreachable)],
)
async def test_connect_fails_if_no_list_can_be_expected(
    server: ImitatedServer, client: ChatClient, answer: Any, error: type[Exception]
) -> None:
    if answer is None:
        server.hold("conversations")
    else:
        server.answers["conversations"] = lambda _: answer
    with pytest.raises(error):
        await client.connect()
    assert client.status.state is ConnectionState.CLOSED


async def test_after_a_list_the_failures_before_it_are_forgotten(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.answers["conversations"] = lambda _: {"code": "200", "conversations": "nonsense"}
    client.start()
    await asyncio.sleep(0.5)
    accept(server)
    await asyncio.sleep(2)
    connecting = asyncio.ensure_future(client.connect())
    await reconnected(server)
    assert connecting.done()
    assert connecting.exception() is None


async def test_a_list_during_which_something_changed_is_asked_for_again(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.stored["#a"] = []
    await online(client)
    lists(server)
    server.hold("conversations")
    joining = asyncio.ensure_future(client.join_room("b"))
    await asyncio.sleep(0.1)
    await client.leave_room("a")
    await asyncio.sleep(0.1)
    assert lists(server) == 1
    server.release("conversations")
    await joining
    assert lists(server) == 1
    # Without a list in progress there is nothing to repeat.
    await client.leave_room("a")
    await asyncio.sleep(1)
    assert lists(server) == 0


async def test_several_wishes_during_one_list_are_one_more(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    lists(server)
    server.hold("conversations")
    for name in ("x", "y", "z", "w"):
        server.tell("1", name, name)
        await asyncio.sleep(0.1)
    assert lists(server) == 1
    server.release("conversations")
    await asyncio.sleep(1)
    assert lists(server) == 1


async def test_joining_waits_for_the_list_for_ten_seconds_at_most(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    refuse(server, "503", retryAfter=60)
    joining = asyncio.ensure_future(client.join_room("a"))
    await asyncio.sleep(9.5)
    assert not joining.done()
    await asyncio.sleep(1)
    assert joining.done()


async def test_a_lost_connection_ends_the_request(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    refuse(server, "503", retryAfter=5)
    await client.leave_room("a")
    server.tell("1", "carol", "carol")
    await asyncio.sleep(1)
    lists(server)
    server.reachable = False
    server.disconnect()
    await asyncio.sleep(20)
    assert lists(server) == 0
    accept(server)
    server.reachable = True
    await asyncio.sleep(120)
    assert lists(server) == 1


@pytest.mark.parametrize(("name", "again"), [("#A", 0), ("New", 1), (None, 1)])
async def test_a_list_during_which_a_room_changed_is_asked_for_again(
    server: ImitatedServer, client: ChatClient, name: str | None, again: int
) -> None:
    server.stored["#a"] = []
    await online(client)
    lists(server)
    server.hold("conversations")
    joining = asyncio.ensure_future(client.join_room("b"))
    await asyncio.sleep(0.1)
    rooms = [] if name is None else [{"id": "a", "name": name, "owner": "bob"}]
    server.emit("room", {"command": "list", "rooms": rooms})
    server.release("conversations")
    await joining
    assert lists(server) == 1 + again


# --- pages


def paged(server: ImitatedServer, pages: list[tuple[list[str], str | None]]) -> None:
    """``pages``: the names on each, and the cursor of the next, which is its number."""

    def page(request: dict[str, Any]) -> dict[str, Any]:
        names, cursor = pages[int(request.get("cursor", "0"))]
        more = {} if cursor is None else {"next": cursor}
        return {**DONE, "conversations": [server.conversation(each) for each in names], **more}

    for names, _ in pages:
        for name in names:
            server.stored.setdefault(name, [])
    server.answers["conversations"] = page


async def test_all_pages_are_read(server: ImitatedServer, client: ChatClient) -> None:
    paged(server, [(["a", "b"], "1"), (["b", "c"], "2"), (["d"], None)])
    await online(client)
    assert {each.name for each in client.conversations} == {"a", "b", "c", "d"}
    assert [each.get("cursor") for each in server.payloads("conversations")] == [None, "1", "2"]
    assert {each["limit"] for each in server.payloads("conversations")} == {100}


async def test_an_empty_cursor_ends_the_list(server: ImitatedServer, client: ChatClient) -> None:
    paged(server, [(["a"], "1"), (["b"], "")])
    await online(client)
    assert {each.name for each in client.conversations} == {"a", "b"}


@pytest.mark.parametrize("names", [["a"], []])
async def test_a_page_without_anything_new_is_refused(
    server: ImitatedServer, client: ChatClient, names: list[str]
) -> None:
    paged(server, [(["a"], "1"), (names, "1")])
    with pytest.raises(RequestRefused, match="does not end"):
        await client.connect()


@pytest.mark.parametrize(("limit", "fits"), [(3, True), (2, False)])
async def test_the_number_of_conversations_is_limited(
    server: ImitatedServer,
    client: ChatClient,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    fits: bool,
) -> None:
    monkeypatch.setattr("pychat.client.state.sync.MAX_LISTED", limit)
    paged(server, [(["a", "b", "c"], "1"), (["d"], None)])
    if fits:
        await client.connect()
        assert len(client.conversations) == 4
    else:
        with pytest.raises(RequestRefused, match="does not end"):
            await client.connect()


# --- cursors moved offline


async def test_cursors_that_are_further_here_are_sent(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(9)
    server.fill(9, "carol")
    client.events()
    await client.connect()
    await asyncio.sleep(1)
    await client.mark_read("bob", 5)
    await client.mark_delivered("bob", 7)
    await client.mark_read("carol", 2)
    await asyncio.sleep(1)
    cursors(server)
    server.listed = {"bob": {"readSeq": 4, "deliveredSeq": 7}, "carol": {"readSeq": 2}}
    await reconnected(server)
    assert cursors(server) == [("read", "bob", 5), ("delivered", "carol", 2)]
    await reconnected(server)
    assert cursors(server) == []


# --- resets


async def test_a_block_resets_the_conversations_in_which_it_shows(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.stored |= {"carol": [], "#a": [], "ALL": []}
    for name in ("bob", "carol", "#a", "ALL"):
        server.say("1", name)
    await online(client)
    told = resets(client)
    server.answers["block"] = lambda _: (
        server.listed.setdefault("bob", {}).update(blocked=True) or dict(DONE)
    )
    await client.block("BOB")
    assert told() == ["#a", "ALL", "bob"]
    await client.join_room("any")
    assert told() == []
    # Another device takes it back.
    del server.listed["bob"]["blocked"]
    await client.join_room("any")
    assert told() == ["#a", "ALL", "bob"]
    assert [each.text for each in client.cached_messages("carol")] == ["1"]


async def test_a_bot_is_not_told_of_blocks(server: ImitatedServer, client: ChatClient) -> None:
    server.say("1")
    await client.connect()
    told = resets(client)
    server.listed["bob"] = {"blocked": True}
    await client.join_room("any")
    assert told() == []
    await client.unblock("bob")
    assert told() == []


async def test_a_reset_waits_for_the_list(server: ImitatedServer, client: ChatClient) -> None:
    server.say("1")
    await online(client)
    told = resets(client)
    refuse(server, "503", retryAfter=5)
    blocking = asyncio.ensure_future(client.block("bob"))
    await asyncio.sleep(1)
    server.reachable = False
    server.disconnect()
    await asyncio.sleep(20)
    await blocking
    assert told() == []
    assert [each.text for each in client.cached_messages("bob")] == ["1"]
    accept(server)
    server.reachable = True
    await asyncio.sleep(120)
    assert told() == ["bob"]


async def test_an_unanswered_block_resets_nevertheless(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.say("1")
    await online(client)
    told = resets(client)
    server.hold("block")
    with pytest.raises(ServerUnreachable):
        await client.block("bob")
    await asyncio.sleep(1)
    assert told() == ["bob"]


# --- another conversation by the same name


@pytest.mark.parametrize(
    ("change", "replaced"),
    [
        ({}, False),
        ({"lastSeq": 4}, True),  # fewer messages
        ({"lastSeq": 5}, False),
        ({"firstSeq": 6}, False),  # the user may read from the next message on
        ({"firstSeq": 7}, True),  # and missed one in between
        ({"last": None}, False),
        ({"last": "other text"}, True),
        ({"last": "other time"}, True),
        ({"last": "other sender"}, True),
        ({"last": "other conversation"}, True),
        ({"last": "removed"}, False),
    ],
)
async def test_a_replaced_conversation_is_noticed_in_the_list(
    server: ImitatedServer, client: ChatClient, change: dict[str, Any], replaced: bool
) -> None:
    server.fill(5)
    await online(client)
    told = resets(client)
    last = dict(server.stored["bob"][-1])
    match change.get("last"):
        case "other text":
            last["data"] = "other"
        case "other time":
            last["sentAt"] = "2026-02-01T00:00:00Z"
        case "other sender":
            last["sender"] = "carol"
        case "other conversation":
            last["id"] = "2-5"
        case "removed":
            last = {"id": "1-5", "seq": 5, "removed": True}
    if change.get("last"):
        change = {"last": last}
    server.listed["bob"] |= change
    lists(server)
    await client.join_room("any")
    assert (told() == ["bob"]) is replaced
    await asyncio.sleep(5)
    assert lists(server) == 1


@pytest.mark.parametrize(
    ("before", "first", "replaced"), [(1, 2, False), (1, 3, True), (0, 3, False)]
)
async def test_the_first_readable_message_may_be_the_next_one(
    server: ImitatedServer, client: ChatClient, before: int, first: int, replaced: bool
) -> None:
    server.fill(before)
    await online(client)
    told = resets(client)
    server.fill(5)
    server.listed["bob"] = {"firstSeq": first}
    await client.join_room("any")
    assert (told() == ["bob"]) is replaced


async def test_a_conversation_known_from_the_list_only_is_replaced_by_a_shorter_one(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(5)
    server.listed["bob"] = {"unread": 5}
    await client.connect()
    del server.stored["bob"][4:]
    server.listed["bob"] = {"unread": 4}
    await client.join_room("any")
    known = client.conversation("bob")
    assert known is not None
    assert (known.last_seq, known.unread) == (4, 4)


async def test_messages_that_arrive_while_the_list_is_made_replace_nothing(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(5)
    await online(client)
    told = resets(client)
    late = [server.conversations()]
    server.hold("conversations")
    joining = asyncio.ensure_future(client.join_room("any"))
    await asyncio.sleep(0.1)
    server.tell("6")
    server.tell("1", "carol", "carol")
    server.answers["conversations"] = lambda _: {
        **DONE,
        "conversations": late.pop() if late else server.conversations(),
    }
    server.release("conversations")
    await joining
    assert told() == []
    assert {each.name for each in client.conversations} == {"bob", "carol"}
    assert [each.text for each in client.cached_messages("carol")] == ["1"]


async def test_a_conversation_that_is_gone_is_reset(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.fill(2)
    server.fill(2, "#a")
    server.stored["#b"] = []
    await online(client)
    told = resets(client)
    del server.stored["#a"], server.stored["#b"]
    await client.join_room("any")
    assert told() == ["#a"]
    assert [each.name for each in client.conversations] == ["bob"]


async def test_a_room_that_was_deleted_and_made_again_while_the_list_was_under_way(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    server.hold("conversations")
    await reconnected(server)
    server.fill(2, "#tea")
    server.tell("old", "#tea")
    made = server.conversations()
    late = [made]
    server.answers["conversations"] = lambda _: {
        **DONE,
        "conversations": late.pop() if late else server.conversations(),
    }
    server.stored["#tea"].clear()
    server.emit("room", {"rooms": []})
    server.emit("room", {"rooms": [{"id": "tea", "name": "Tea", "owner": "bob"}]})
    server.release("conversations")
    await asyncio.sleep(5)
    tea = client.conversation("#tea")
    assert tea is None or (tea.last_seq, tea.last) == (0, None)


async def test_a_room_that_was_deleted_while_the_list_was_under_way(
    server: ImitatedServer, client: ChatClient
) -> None:
    await online(client)
    server.hold("conversations")
    await reconnected(server)
    server.fill(2, "#tea")
    late = [server.conversations()]
    server.answers["conversations"] = lambda _: {
        **DONE,
        "conversations": late.pop() if late else server.conversations(),
    }
    del server.stored["#tea"]
    server.emit("room", {"rooms": []})
    server.release("conversations")
    await asyncio.sleep(5)
    assert client.conversation("#tea") is None
