"""``room``: create, rename, delete, join, leave, list, and messages in rooms."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pychat.server.app import ChatServer
from pychat.server.chat.events.rooms import room
from pychat.server.chat.notices import room_list
from pychat.server.store.base import StoreUnavailable
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import chatting, logged_in
from tests.server.chat.peers import WAIT, Peer
from tests.serving import serving
from tests.turns import turns


async def make(owner: Peer, id: str = "r", name: str = "Room") -> None:
    answer = await owner.ask("room", command="create", roomId=id, roomName=name, roomOwner=owner.id)
    assert answer["code"] == "200", answer


async def test_a_room_from_creation_to_deletion(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        await make(alice)
        listed = (await bob.ask("room", command="list"))["rooms"]
        assert listed == [{"id": "r", "name": "Room", "owner": "alice", "member": False}]
        assert (await bob.ask("room", command="join", roomId="r"))["code"] == "200"
        assert (await bob.ask("room", command="list"))["rooms"][0]["member"] is True
        assert (await bob.send("r", "hi", "groupchat"))["seq"] == 1
        for peer in (alice, bob):
            message = await peer.next("message")
            assert (message["recepient"], message["command"]) == ("r", "groupchat")
        assert (await bob.ask("room", command="leave", roomId="r"))["code"] == "200"
        assert (await bob.send("r", "hi", "groupchat"))["code"] == "403"
        assert (await bob.ask("history", {"with": "#r"}))["code"] == "403"
        assert (await alice.ask("room", command="delete", roomId="r"))["code"] == "200"
        assert (await alice.send("r", "hi", "groupchat"))["code"] == "404"
        assert (await alice.ask("history", {"with": "#r"}))["code"] == "404"
        lists = [event["rooms"] for event in bob.waiting("room")]
        assert [len(rooms) for rooms in lists] == [1, 1, 1, 0]


async def test_members_read_messages_after_their_join(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        await make(alice)
        await alice.send("r", "before", "groupchat")
        await bob.ask("room", command="join", roomId="r")
        await alice.send("r", "after", "groupchat")
        page = await bob.ask("history", {"with": "#r"})
        assert [m["data"] for m in page["messages"]] == ["after"]
        page = await bob.ask("history", {"with": "#r", "after": 0})
        assert [m["data"] for m in page["messages"]] == ["after"]
        found = await bob.ask("search", text="before")
        assert found["messages"] == []
        lines = (await bob.ask("conversations", {}))["conversations"]
        (line,) = [c for c in lines if c["with"] == "#r"]
        assert (line["firstSeq"], line["lastSeq"], line["unread"]) == (2, 2, 1)
        assert line["alias"] == "Room"


async def test_a_recreated_room_is_another_conversation(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        await make(alice)
        await alice.send("r", "secret", "groupchat")
        await alice.ask("room", command="delete", roomId="r")
        await make(bob)
        assert (await bob.ask("history", {"with": "#r"}))["messages"] == []
        assert (await alice.ask("history", {"with": "#r"}))["code"] == "403"
        assert (await bob.send("r", "new", "groupchat"))["seq"] == 1


async def test_membership_survives_a_disconnect_and_a_restart(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with serving(store, accounts="open") as server, Peer(server, "alice") as alice:
        await make(alice)
        async with Peer(server, "bob") as bob:
            await bob.ask("room", command="join", roomId="r")
    async with (
        serving(store, accounts="open") as server,
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
    ):
        assert (await bob.send("r", "back", "groupchat"))["code"] == "200"
        assert (await alice.next("message"))["data"] == "back"


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({"command": "create", "roomId": "r"}, "409", "roomId"),
        ({"command": "create", "roomId": "R"}, "409", "roomId"),
        ({"command": "create", "roomId": ""}, "400", "roomId"),
        ({"command": "create", "roomId": "#x"}, "400", "roomId"),
        ({"command": "create", "roomId": "ALL"}, "400", "roomId"),
        ({"command": "create", "roomId": "x", "roomOwner": "alice"}, "403", "roomOwner"),
        ({"command": "create", "roomId": "x", "roomName": "n" * 65}, "400", "roomName"),
        ({"command": "update", "roomId": "r", "roomName": "mine"}, "403", "roomId"),
        ({"command": "delete", "roomId": "r"}, "403", "roomId"),
        ({"command": "join", "roomId": "nowhere"}, "404", "roomId"),
        ({"command": "leave", "roomId": "r"}, "403", "roomId"),
        ({"command": "explode", "roomId": "r"}, "400", "command"),
        ({"roomId": "r"}, "400", "command"),
    ],
)
async def test_a_wrong_request_is_refused_and_changes_nothing(
    server: ChatServer, request_: dict[str, Any], code: str, field: str
) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        await make(alice)
        before = (await alice.ask("room", command="list"))["rooms"]
        answer = await bob.ask("room", request_)
        assert (answer["code"], answer["message"].split(":")[0]) == (code, field)
        assert (await alice.ask("room", command="list"))["rooms"] == before


async def test_unstored_messages_are_answered_when_the_room_is_deleted(
    server: ChatServer,
) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        await make(alice)
        await bob.ask("room", command="join", roomId="r")
        sending = [asyncio.create_task(bob.send("r", str(n), "groupchat")) for n in range(30)]
        await alice.ask("room", command="delete", roomId="r")
        codes = [(await task)["code"] for task in sending]
        assert set(codes) <= {"200", "404"}
        await alice.settle()
        assert len(alice.waiting("message")) == codes.count("200")


async def test_joining_twice_is_joining_once(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        await make(alice)
        await bob.ask("room", command="join", roomId="r")
        await alice.send("r", "one", "groupchat")
        await bob.ask("room", command="join", roomId="r")
        page = await bob.ask("history", {"with": "#r"})
        assert len(page["messages"]) == 1


async def test_changes_are_sent_as_one_for_as_long_as_the_last_list_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ahead = 0.0
    loop = asyncio.get_running_loop()
    true_time = loop.time
    monkeypatch.setattr(loop, "time", lambda: true_time() + ahead)
    monkeypatch.setattr(room_list, "BYTES_PER_SECOND", 0.01)
    async with chatting(DelayedStore()) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        for n in range(3):
            await alice.ask("room", command="create", roomId=f"r{n}")
        (first,) = bob.of("room")
        assert [room["id"] for room in first["rooms"]] == ["r0"]
        seconds = 2 * len(json.dumps(first, separators=(",", ":"))) / 0.01
        ahead += 0.9 * seconds
        await turns()
        assert len(bob.of("room")) == 1
        ahead += 0.1 * seconds
        await turns()
        assert [[room["id"] for room in each["rooms"]] for each in bob.of("room")] == [
            ["r0"],
            ["r0", "r1", "r2"],
        ]


async def test_a_list_that_waits_is_sent_to_all_who_may_see_any_of_its_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room_list, "BYTES_PER_SECOND", 1000)
    async with chatting(DelayedStore()) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        await alice.ask("room", command="create", roomId="r")
        await alice.ask("block", id="bob")
        await alice.ask("room", command="leave", roomId="r")
        for id in ("s", "t"):
            await alice.ask("room", command="create", roomId=id)
            async with asyncio.timeout(WAIT):
                while id not in [each["id"] for each in (await bob.next("room"))["rooms"]]:
                    pass


async def test_rooms_are_read_again_though_that_failed_unexpectedly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "RELOAD_SECONDS", 0.01)
    store = DelayedStore()
    async with chatting(store) as chat:
        bob = await logged_in(chat, "bob")
        rooms = iter((RuntimeError("simulated"), StoreUnavailable("simulated")))

        async def failing() -> Any:
            error = next(rooms, None)
            if error is not None:
                raise error
            return await store.inner.rooms()

        monkeypatch.setattr(store, "rooms", failing, raising=False)
        for id in ("r1", "r2"):
            store.fail("create_room")
            answer = await bob.ask("room", command="create", roomId=id, roomName="Room")
            assert answer["code"] == "503"
            while id not in [each["id"] for each in (await bob.next("room"))["rooms"]]:
                pass


async def test_nobody_is_told_that_a_room_is_gone_before_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Clients would drop its messages, and it is there again when its deletion has failed."""
    store = DelayedStore()

    async def away() -> Any:
        raise StoreUnavailable("simulated")

    async with chatting(store) as chat:
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        await alice.ask("room", command="create", roomId="r")
        id = (await alice.start_send("r", "one", "groupchat"))["id"]

        async def ask_of_it() -> None:
            for event, request in (
                ("history", {"with": "#r"}),
                ("edit", {"id": id, "data": "two"}),
            ):
                answer = await phone.ask(event, **request)
                assert (answer["code"], "retryAfter" in answer) == ("503", True), event
            assert (await phone.start_send("r", "two", "groupchat"))["code"] == "503"
            listed = (await phone.ask("conversations"))["conversations"]
            assert "#r" in [each["with"] for each in listed]

        monkeypatch.setattr(store, "rooms", away, raising=False)
        store.refuse("delete_room")
        held = store.hold("delete_room")
        deleting = alice.start("room", command="delete", roomId="r")
        await held.called.wait()
        await ask_of_it()
        held.answer()
        assert (await deleting)["code"] == "503"
        await ask_of_it()


async def test_rooms_that_are_read_again_have_visible_names() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob = await logged_in(chat, "bob")
        await bob.ask("room", command="create", roomId="r", roomName="Room")
        (record,) = await store.inner.rooms()
        # As stored by an earlier version, or by another program.
        await store.inner.update_room(record.conversation, name="\u200b")
        store.fail("join_room")
        assert (await bob.ask("room", command="join", roomId="r"))["code"] == "503"
        await turns()
        (listed,) = (await bob.ask("room", command="list"))["rooms"]
        assert listed["name"] == "r"


async def test_each_change_of_a_room_says_what_was_done() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        for client, request, done in (
            (alice, {"command": "create", "roomId": "r"}, "room r created"),
            (
                alice,
                {"command": "update", "roomId": "r", "roomName": " Two "},
                "room r renamed to Two",
            ),
            (bob, {"command": "join", "roomId": "R"}, "you are in room r"),
            (bob, {"command": "leave", "roomId": "r"}, "you left room r"),
            (alice, {"command": "delete", "roomId": "r"}, "room r deleted"),
        ):
            answer = await client.ask("room", request)
            assert (answer["code"], answer["message"]) == ("200", done)


async def test_a_room_is_deleted_after_its_messages_are_delivered() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        await alice.ask("room", command="create", roomId="r")
        await bob.ask("room", command="join", roomId="r")
        append, delete = store.hold("append"), store.hold("delete_room")
        sent = bob.start_send("r", "just in time", "groupchat")
        await append.called.wait()
        deleted = alice.start("room", command="delete", roomId="r")
        await turns()
        assert not delete.called.is_set()
        append.answer()
        assert (await sent)["code"] == "200"
        assert [message["data"] for message in alice.of("message")] == ["just in time"]
        delete.answer()
        assert (await deleted)["code"] == "200"
