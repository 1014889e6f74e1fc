"""``room``: topics, members, roles, invitations, removals, transfers, and private rooms."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pychat.protocol import RoomPayload
from pychat.server.chat import Chat
from pychat.server.chat.events.rooms import moderation
from pychat.server.chat.notices import room_list
from pychat.server.chat.state.entities import Room
from pychat.server.store.memory import MemoryStore
from pychat.server.store.records import FileRecord, Standing
from tests.server.chat.delayed import DelayedStore, calls_of_request
from tests.server.chat.direct import Direct, chatting, logged_in
from tests.server.chat.peers import WAIT


async def people(chat: Chat, *ids: str, modern: bool = True) -> list[Direct]:
    return [await logged_in(chat, id, modern=modern) for id in ids]


async def done(client: Direct, command: str, id: str = "r", **fields: Any) -> Any:
    answer = await client.ask("room", command=command, roomId=id, **fields)
    assert answer["code"] == "200", answer
    return answer


async def refused(client: Direct, command: str, id: str = "r", **fields: Any) -> str:
    answer = await client.ask("room", command=command, roomId=id, **fields)
    assert answer["code"] != "200"
    return f"{answer['code']} {answer['message']}"


async def with_members(chat: Chat, *ids: str) -> list[Direct]:
    """A room ``r`` of the first one, which the others have joined."""
    owner, *others = clients = await people(chat, *ids)
    await done(owner, "create")
    for client in others:
        await done(client, "join")
    return clients


def listed(client: Direct, id: str = "r") -> Any:
    """The room in the last list that was sent to the client."""
    rooms = {room["id"]: room for room in client.of("room")[-1]["rooms"]}
    return rooms.get(id)


def told(client: Direct) -> list[tuple[str, str]]:
    return [(each["role"], each["by"]) for each in client.of("membership")]


async def roles(client: Direct, id: str = "r", **fields: Any) -> dict[str, str]:
    answer = await done(client, "members", id, **fields)
    return {each["id"]: each["role"] for each in answer["members"]}


async def listed_conversation(client: Direct, name: str) -> Any:
    lines = (await client.ask("conversations", {}))["conversations"]
    return {line["with"]: line for line in lines}.get(name)


async def test_a_topic_is_told_to_everybody() -> None:
    async with chatting(MemoryStore()) as chat:
        alice, bob, carol = await with_members(chat, "alice", "bob", "carol")
        assert "not a moderator" in await refused(bob, "topic", topic="mine")
        assert "topic" in await refused(alice, "topic", topic="t" * 251)
        await done(alice, "role", user="bob", role="moderator")
        await done(bob, "topic", topic=" Tea at five ")
        assert listed(carol)["topic"] == "Tea at five"
        assert (await listed_conversation(carol, "#r"))["topic"] == "Tea at five"
        await done(alice, "topic", topic="\u3164")
        assert "topic" not in listed(carol)
        assert "topic" not in await listed_conversation(carol, "#r")


async def test_moderators_remove_messages_mention_all_and_lose_it_all_when_they_leave() -> None:
    async with chatting(MemoryStore()) as chat:
        alice, bob, carol = await with_members(chat, "alice", "bob", "carol")
        sent = await carol.send_message("r", "rude", "groupchat")
        assert (await bob.ask("remove", id=sent["id"]))["code"] == "403"
        assert "do not own" in await refused(bob, "role", user="bob", role="moderator")
        await done(alice, "role", user="bob", role="moderator")
        await done(alice, "role", user="bob", role="moderator")
        assert told(bob) == [("moderator", "alice")]
        assert (await listed_conversation(bob, "#r"))["role"] == "moderator"
        assert (await listed_conversation(alice, "#r"))["role"] == "owner"
        assert (await bob.ask("remove", id=sent["id"]))["code"] == "200"
        assert (await bob.send_message("r", "@ALL hi", "groupchat"))["mentions"] == ["ALL"]
        assert "do not own" in await refused(bob, "update", roomName="Bobs")
        await done(bob, "leave")
        await done(bob, "join")
        assert "mentions" not in await bob.send_message("r", "@ALL hi", "groupchat")
        await done(alice, "role", user="carol", role="moderator")
        await done(alice, "role", user="carol")
        assert told(carol) == [("moderator", "alice"), ("member", "alice")]
        assert await roles(carol) == {"alice": "owner", "bob": "member", "carol": "member"}


async def test_members_come_in_pages_with_presence() -> None:
    async with chatting(MemoryStore()) as chat:
        alice, bob, carol = await with_members(chat, "alice", "bob", "carol")
        dave = await logged_in(chat, "dave")
        assert "you are not in" in await refused(dave, "members")
        for each in (bob, carol):
            await each.ask("profile", status="away", statusText="lunch")
        carol.leave()
        await bob.ask("block", id="alice")
        first = await done(alice, "members", limit=2)
        rest = await done(alice, "members", limit=2, cursor=first["next"])
        assert "next" not in rest
        assert [
            (each["id"], each["role"], each["online"])
            for each in first["members"] + rest["members"]
        ] == [("alice", "owner", True), ("bob", "member", False), ("carol", "member", False)]
        statuses = [each.get("status") for each in first["members"] + rest["members"]]
        assert statuses == [None, None, "away"]
        assert rest["members"][0]["statusText"] == "lunch"
        await bob.ask("unblock", id="alice")
        shown = (await done(alice, "members", limit=3))["members"]
        assert [each.get("statusText") for each in shown] == [None, "lunch", "lunch"]
        assert "cursor" in await refused(alice, "members", cursor="x")


async def test_who_was_removed_gets_nothing_more_and_returns_by_invitation() -> None:
    async with chatting(MemoryStore()) as chat:
        alice, bob, carol = await with_members(chat, "alice", "bob", "carol")
        second = await logged_in(chat, "bob")
        submitted = bob.start_send("r", "last", "groupchat")
        await done(alice, "kick", user="bob")
        assert submitted.done()
        assert told(bob) == told(second) == [("none", "alice")]
        await carol.send_message("r", "without bob", "groupchat")
        assert "without bob" not in [each["data"] for each in bob.of("message")]
        assert (await bob.send_message("r", "hi", "groupchat"))["code"] == "403"
        assert (await bob.ask("history", {"with": "#r"}))["code"] == "403"
        assert await listed_conversation(bob, "#r") is None
        assert "moderator can invite" in await refused(bob, "join")
        assert "only a moderator" in await refused(carol, "invite", user="bob")
        await done(alice, "invite", user="bob")
        await done(carol, "invite", user="bob")
        assert told(bob)[1:] == [("invited", "alice")]
        assert listed(bob)["invited"]
        assert "invited" not in listed(carol)
        await done(bob, "join")
        assert "invited" not in listed(bob)
        assert await roles(bob) == {"alice": "owner", "carol": "member", "bob": "member"}


@pytest.mark.parametrize(
    ("by", "whom", "reason"),
    [
        ("carol", "bob", "403 roomId: you are not a moderator of room r"),
        ("bob", "alice", "403 user: alice owns the room"),
        ("bob", "bob", "403 user: you cannot remove yourself: leave the room"),
        ("bob", "dave", "403 user: dave is a moderator"),
        ("bob", "nobody", "404 user: there is no account nobody"),
        ("eve", "bob", "403 roomId: you are not a moderator of room r"),
    ],
)
async def test_who_may_not_remove_whom(by: str, whom: str, reason: str) -> None:
    async with chatting(MemoryStore()) as chat:
        clients = await with_members(chat, "alice", "bob", "carol", "dave")
        clients += await people(chat, "eve")
        for moderator in ("bob", "dave"):
            await done(clients[0], "role", user=moderator, role="moderator")
        actor = next(each for each in clients if each.id == by)
        assert await refused(actor, "kick", user=whom) == reason
        assert len(await roles(clients[0])) == 4


async def test_admins_do_what_owners_may() -> None:
    store = MemoryStore()
    await store.create_account("root", "", None, 0)
    async with chatting(store, admins=["root"]) as chat:
        alice, _, root = await with_members(chat, "alice", "bob", "root")
        await done(root, "role", user="bob", role="moderator")
        await done(root, "kick", user="bob")
        await done(root, "transfer", user="root")
        assert "do not own" in await refused(alice, "delete")
        await done(root, "update", roomName="Roots")


async def test_a_transferred_room_has_one_owner() -> None:
    store = MemoryStore()
    async with chatting(store) as chat:
        alice, bob = await with_members(chat, "alice", "bob")
        await people(chat, "carol")
        assert "not in room" in await refused(alice, "transfer", user="carol")
        await done(alice, "transfer", user="bob")
        assert told(bob) == [("owner", "alice")]
        assert told(alice) == [("member", "alice")]
        assert listed(alice)["owner"] == "bob"
        assert "do not own" in await refused(alice, "transfer", user="alice")
        assert "owns the room" in await refused(bob, "role", user="bob", role="moderator")
    async with chatting(store) as chat:
        (bob,) = await people(chat, "bob")
        assert await roles(bob) == {"alice": "member", "bob": "owner"}


async def test_who_blocks_somebody_hears_nothing_of_invitations() -> None:
    async with chatting(MemoryStore()) as chat:
        (alice,) = await with_members(chat, "alice")
        (bob,) = await people(chat, "bob")
        await bob.ask("block", id="alice")
        before = list(bob.order)
        answer = await done(alice, "invite", user="bob")
        await bob.ask("unblock", id="alice")
        assert bob.order == before
        assert answer["message"] == (await done(alice, "invite", user="bob"))["message"]
        assert told(bob) == [("invited", "alice")]
        await done(alice, "kick", user="bob")
        assert told(bob)[1:] == [("none", "alice")]


async def test_a_dropped_invitation_is_answered_like_one_that_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Carol has blocked alice, dave has not."""
    monkeypatch.setattr(moderation, "MAX_STANDINGS", 2)
    async with chatting(MemoryStore()) as chat:
        alice, _, carol, dave = await people(chat, "alice", "bob", "carol", "dave")
        await carol.ask("block", id="alice")
        before = list(carol.order)
        id = await private(alice)

        async def both(client: Direct, command: str) -> str:
            asked = [
                json.dumps(await client.ask("room", command=command, roomId=id, user=user))
                for user in ("carol", "dave")
            ]
            assert asked[0] == asked[1].replace("dave", "carol")
            return asked[0]

        assert "200" in await both(alice, "invite")
        assert "200" in await both(alice, "kick")
        assert told(dave) == [("invited", "alice"), ("none", "alice")]
        assert "200" in await both(alice, "kick")
        await done(alice, "invite", id, user="dave")
        await done(dave, "join", id)
        # Carol is barred, as dave would be.
        await done(alice, "role", id, user="dave", role="moderator")
        assert "409" in await refused(alice, "invite", id, user="bob")
        await done(alice, "invite", id, user="carol")
        assert carol.order == before
        assert told(dave)[2:] == [("invited", "alice"), ("moderator", "alice")]


async def test_members_who_have_blocked_the_reader_keep_the_alias_of_that_time() -> None:
    async with chatting(MemoryStore()) as chat:
        alice, bob = await with_members(chat, "alice", "bob")
        await bob.ask("profile", alias="Bob")
        await bob.ask("block", id="alice")
        await bob.ask("profile", alias="Robert")
        for reader, alias in ((alice, "Bob"), (bob, "Robert")):
            members = (await done(reader, "members"))["members"]
            assert [each["alias"] for each in members if each["id"] == "bob"] == [alias]


async def test_standings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderation, "MAX_STANDINGS", 2)
    async with chatting(MemoryStore()) as chat:
        (alice,) = await with_members(chat, "alice")
        await people(chat, "bob", "carol", "dave")
        for user in ("bob", "carol"):
            await done(alice, "invite", user=user)
        assert (await refused(alice, "invite", user="dave")).startswith("409")
        await done(alice, "kick", user="bob")


# --- private rooms


async def attachable(store: MemoryStore, id: str) -> str:
    """The id of a file that an account has uploaded."""
    account = await store.account(id)
    assert account is not None
    blob = await store.new_blob("f" * 32)
    await blob.write(b"secret")
    await blob.finish(FileRecord("f" * 32, account.key, "secret.txt", 6, "text/plain", 0))
    return "f" * 32


async def private(owner: Direct) -> str:
    answer = await owner.ask("room", command="create", private=True, roomName="Board")
    assert answer["code"] == "200", answer
    id: str = answer["roomId"]
    return id


async def test_a_private_room_is_seen_by_those_in_it() -> None:
    store = MemoryStore()
    async with chatting(store) as chat:
        alice, bob, carol = await people(chat, "alice", "bob", "carol")
        (page,) = await people(chat, "dave", modern=False)
        await done(alice, "create", "public")
        before = list(carol.order)
        id = await private(alice)
        assert listed(alice, id) == {
            "id": id,
            "name": "Board",
            "owner": "alice",
            "private": True,
        }
        for user in ("bob", "dave"):
            await done(alice, "invite", id, user=user)
            assert listed(bob if user == "bob" else page, id)["invited"]
        await done(bob, "join", id)
        page.tell("room", {"command": "join", "roomId": id})
        await done(alice, "topic", id, topic="secret")
        await done(bob, "invite", id, user="carol")
        await done(alice, "kick", id, user="carol")
        assert listed(carol, id) is None
        del carol.order[-2:], carol.order[len(before) : len(before) + 2]
        assert carol.order == before
        await alice.send_message(id, "hello", "groupchat")
        assert page.of("message")[-1]["data"] == "hello"
        await done(alice, "create", "other")
        assert listed(bob, id)["topic"] == "secret"
        assert listed(carol, id) is None
        rooms = (await carol.ask("room", command="list"))["rooms"]
        assert [room["id"] for room in rooms] == ["other", "public"]
        await done(bob, "leave", id)
        assert listed(bob, id) is None
        assert "there is no room" in await refused(bob, "join", id)
    async with chatting(store) as chat:
        alice, bob, carol = await people(chat, "alice", "bob", "carol")
        await done(alice, "update", id, roomName="Bored")
        assert listed(alice, id)["name"] == "Bored"
        assert bob.of("room") == carol.of("room") == []
        await done(alice, "leave", id)
        assert listed(alice, id)
        await done(alice, "join", id)
        await done(alice, "delete", id)
        assert listed(alice, id) is None


async def test_many_private_rooms_are_read_at_once_at_the_start() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        (alice,) = await people(chat, "alice")
        ids = {await private(alice) for _ in range(5)}
    calls: list[str] = []
    calls_of_request.set(calls)
    async with chatting(store) as chat:
        assert calls.count("memberships") == 1
        alice, bob = await people(chat, "alice", "bob")
        await done(alice, "topic", min(ids), topic="news")
        assert {room["id"] for room in alice.of("room")[-1]["rooms"]} == ids
        assert bob.of("room") == []


async def test_lists_of_ones_own_are_sent_bit_by_bit_and_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room_list, "BYTES_AT_ONCE", 1)
    async with chatting(MemoryStore()) as chat:
        clients = alice, bob, carol, _ = await people(chat, "alice", "bob", "carol", "dave")
        for id in ("b", "y"):
            await done(alice, "create", id)
        for owner in (alice, alice, bob):
            await private(owner)
        await done(bob, "invite", await private(bob), user="carol")
        for id in ("b", "y"):
            await done(alice, "invite", id, user="carol")
        await done(alice, "invite", "y", user="bob")
        await done(alice, "topic", "y", topic="the last change")
        for client in clients:
            rooms = (await client.ask("room", command="list"))["rooms"]
            for room in rooms:
                del room["member"]
            async with asyncio.timeout(WAIT):
                while client.of("room")[-1]["rooms"] != rooms:  # noqa: ASYNC110 - no event for it
                    await asyncio.sleep(0.001)
        assert [room["id"][:8] for room in rooms] == ["b", "y"]
        invited = [room["id"][:8] for room in carol.of("room")[-1]["rooms"] if "invited" in room]
        assert invited == ["b", "private:", "y"]


async def test_lists_of_ones_own_encode_each_room_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_list, "BYTES_AT_ONCE", 1)
    async with chatting(MemoryStore()) as chat:
        alice, *others = await people(chat, "alice", *(f"user{n}" for n in range(20)))
        id = await private(alice)
        for each in others:
            await done(alice, "invite", id, user=each.id)
            await done(each, "join", id)
        for n in range(5):
            await done(alice, "create", f"r{n}")
        encoded: list[str] = []
        payload = room_list.room_payload

        def counted(room: Room, reader: int | None = None) -> RoomPayload:
            encoded.append(room.id)
            return payload(room, reader)

        async def shown_to_all(topic: str) -> None:
            async with asyncio.timeout(WAIT):
                for each in others:
                    while (listed(each, "r3") or {}).get("topic") != topic:
                        await each.next("room")

        await done(alice, "topic", "r3", topic="before")
        await shown_to_all("before")
        monkeypatch.setattr(room_list, "room_payload", counted)
        await done(alice, "topic", "r3", topic="after")
        await shown_to_all("after")
        assert encoded.count(id) == encoded.count("r1") == 1


NAMES_NO_ROOM = {
    *("login", "logout", "sessions", "profile", "users", "block", "unblock", "conversations"),
}
"""Events whose requests cannot name a room, one of its messages or files."""


@pytest.mark.parametrize("state", ["quiet", "unread", "deleting"])
async def test_for_others_there_is_no_such_room(state: str) -> None:
    """Every request that can name a room or its messages is answered as if it did not exist."""
    store = DelayedStore()
    await store.inner.create_account("root", "", None, 0)
    async with chatting(store, admins=["root"]) as chat:
        alice, bob, root = await people(chat, "alice", "bob", "root")
        id = await private(alice)
        file = await attachable(store.inner, "alice")
        sent = {"sender": "alice", "recepient": id, "command": "groupchat", "data": "secret"}
        message = await alice.ask("message", sent | {"file": file})
        assert message["code"] == "200"
        await done(alice, "invite", id, user="bob")
        await done(alice, "kick", id, user="bob")
        if state == "unread":  # as after a membership in doubt
            chat._directory.rooms[id].settled = False
        held = store.hold("delete_room") if state == "deleting" else None
        deleting = alice.start("room", command="delete", roomId=id) if held is not None else None
        absent = id[:-1] + ("0" if id[-1] != "0" else "1")

        async def answer(client: Direct, event: str, request: dict[str, Any]) -> str:
            return json.dumps(await client.ask(event, request))

        def requests(id: str, message_id: str, file_id: str) -> list[tuple[str, dict[str, Any]]]:
            commands = (
                "create",
                "update",
                "topic",
                "delete",
                "join",
                "leave",
                "members",
                "role",
                "invite",
            )
            rooms = [
                {"command": command, "roomId": id, "user": "alice", "roomName": "x", "topic": "x"}
                for command in (*commands, "kick", "transfer")
            ]
            name = f"#{id}"
            return [
                *(("room", room) for room in rooms),
                (
                    "message",
                    {"sender": "bob", "recepient": id, "command": "groupchat", "data": "x"},
                ),
                ("typing", {"sender": "bob", "recepient": name, "typing": True}),
                ("history", {"with": name}),
                ("history", {"with": name, "changedAfter": 0}),
                ("search", {"text": "secret", "with": name}),
                ("delivered", {"with": name, "seq": 1}),
                ("read", {"with": name, "seq": 1}),
                ("edit", {"id": message_id, "data": "x"}),
                ("remove", {"id": message_id}),
                ("react", {"id": message_id, "emoji": "👍", "on": True}),
                ("reactions", {"id": message_id}),
                ("fileLink", {"id": file_id}),
                ("notify", {"with": name, "level": "muted"}),
            ]

        for client in (bob, root):
            there, not_there = requests(id, message["id"], file), requests(absent, "999-1", "x")
            assert {event for event, _ in there} == chat._handlers.keys() - NAMES_NO_ROOM
            for (event, request), (_, other) in zip(there, not_there, strict=True):
                if client is root and event in ("message", "typing", "remove"):
                    continue  # an admin may remove the message
                if event == "room" and state == "deleting":
                    continue  # changes of all rooms wait for each other
                found = await answer(client, event, request)
                assert found.replace(id, absent) == await answer(client, event, other), request
        assert (await bob.ask("search", text="secret"))["messages"] == []
        if held is None or deleting is None:
            assert (await roles(alice, id)) == {"alice": "owner"}
        else:
            held.answer()
            assert (await deleting)["code"] == "200"


async def test_a_private_room_has_no_chosen_id() -> None:
    async with chatting(MemoryStore()) as chat:
        (alice,) = await people(chat, "alice")
        assert "the server chooses" in await refused(alice, "create", private=True)
        assert "must not start" in await refused(alice, "create", "private:x")
        assert await private(alice) != await private(alice)


# --- what is not known


async def test_a_removal_in_doubt_ends_delivery_at_once() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await with_members(chat, "alice", "bob")
        store.fail("leave_room")
        assert (await refused(alice, "kick", user="bob")).startswith("503")
        await alice.send_message("r", "without bob", "groupchat")
        assert bob.of("message") == []
        assert await roles(alice) == {"alice": "owner"}


@pytest.mark.parametrize("done_by_store", [True, False])
async def test_somebody_whose_removal_is_in_doubt_cannot_end_the_bar(done_by_store: bool) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await with_members(chat, "alice", "bob")
        (store.fail if done_by_store else store.refuse)("leave_room")
        store.refuse("rooms")  # they are not read again at once
        assert (await refused(alice, "kick", user="bob")).startswith("503")
        assert "you were removed" in await refused(bob, "join")
        standings = {each.standing for each in await store.inner.standings()}
        assert standings == ({Standing.BARRED} if done_by_store else set())


@pytest.mark.parametrize("done_by_store", [True, False])
async def test_somebody_who_is_perhaps_no_moderator_is_none(done_by_store: bool) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await with_members(chat, "alice", "bob")
        await done(alice, "role", user="bob", role="moderator")
        (store.fail if done_by_store else store.refuse)("set_standing")
        store.refuse("rooms")
        assert (await refused(alice, "role", user="bob")).startswith("503")
        assert "not a moderator" in await refused(bob, "topic", topic="mine")
