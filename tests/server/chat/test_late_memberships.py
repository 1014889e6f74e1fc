"""Rooms: a late answer of the store does not show messages that the reader may not read."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from pychat.server.chat import Chat
from pychat.server.chat.accounts.passwords import hash_password
from pychat.server.chat.notices import cursors
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in
from tests.server.chat.peers import WAIT
from tests.turns import turns

AWAY = "said while she was away"


async def with_room(chat: Chat) -> tuple[Direct, Direct, Direct]:
    """Return bob, who owns a room, and two devices of alice, who is a member."""
    bob = await logged_in(chat, "bob")
    phone, desk = await logged_in(chat, "alice"), await logged_in(chat, "alice")
    await bob.ask("room", command="create", roomId="r")
    await desk.ask("room", command="join", roomId="r")
    return bob, phone, desk


async def leave_and_rejoin(bob: Direct, desk: Direct) -> None:
    """Alice leaves the room, bob writes a message, and she joins again."""
    assert (await desk.ask("room", command="leave", roomId="r"))["code"] == "200"
    assert (await bob.send_message("r", AWAY, "groupchat"))["code"] == "200"
    assert (await desk.ask("room", command="join", roomId="r"))["code"] == "200"


def texts(answer: Any) -> list[str]:
    return [message.get("data", "") for message in answer["messages"]]


READS: dict[str, tuple[str, dict[str, Any]]] = {
    "membership": ("history", {"with": "#r"}),
    "history": ("history", {"with": "#r"}),
    "search": ("search", {"text": "said"}),
    "conversations": ("conversations", {}),
}


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("read", READS)
async def test_leaving_and_rejoining_during_a_read_shows_no_message_in_between(
    read: str, done: bool
) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, phone, desk = await with_room(chat)
        event, request = READS[read]
        # As after a restart, when memberships are not in memory.
        conversation = chat._directory.rooms["r"]
        conversation.cursors.clear()
        held = store.hold(read, done=done)
        reading = phone.start(event, request)
        await (held.done if done else held.called).wait()
        await leave_and_rejoin(bob, desk)
        held.answer()
        answer = await reading
        assert answer["code"] == "200"
        assert AWAY not in str(answer)
        again = await phone.ask("history", {"with": "#r"})
        assert texts(again) == []
        assert (await bob.send_message("r", "hello again", "groupchat"))["code"] == "200"
        assert texts(await phone.ask("history", {"with": "#r"})) == ["hello again"]


@pytest.mark.parametrize("read", ["history", "membership"])
async def test_leaving_during_a_read_refuses_it(read: str) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, phone, desk = await with_room(chat)
        chat._directory.rooms["r"].cursors.clear()
        held = store.hold(read)
        reading = phone.start("history", {"with": "#r"})
        await held.called.wait()
        await desk.ask("room", command="leave", roomId="r")
        await bob.send_message("r", AWAY, "groupchat")
        held.answer()
        assert (await reading)["code"] == "403"


async def test_a_message_stored_before_a_join_is_not_delivered_to_the_new_member() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, _, desk = await with_room(chat)
        carol = await logged_in(chat, "carol")
        held = store.hold("append", done=True)
        sent = bob.start_send("r", "before carol", "groupchat")
        await held.done.wait()
        assert (await carol.ask("room", command="join", roomId="r"))["code"] == "200"
        held.answer()
        assert (await sent)["code"] == "200"
        assert (await bob.send_message("r", "with carol", "groupchat"))["code"] == "200"
        assert [message["data"] for message in carol.of("message")] == ["with carol"]
        assert [message["data"] for message in desk.of("message")] == ["before carol", "with carol"]
        assert texts(await carol.ask("history", {"with": "#r"})) == ["with carol"]


@pytest.mark.parametrize("mode", ["open", "claim"])
async def test_a_message_stored_before_an_account_is_not_delivered_to_it(mode: str) -> None:
    store = DelayedStore()
    async with chatting(store, accounts=mode) as chat:
        bob = await logged_in(chat, "bob")
        held = store.hold("append", done=True)
        sent = [bob.start_send("ALL", f"{n} before carol") for n in range(2)]
        await held.done.wait()
        carol = await logged_in(chat, "carol")
        held.answer()
        assert [(await each)["code"] for each in sent] == ["200"] * 2
        assert (await bob.send_message("ALL", "with carol"))["code"] == "200"
        assert [message["data"] for message in carol.of("message")] == ["with carol"]
        assert texts(await carol.ask("history", {"with": "ALL"})) == ["with carol"]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(
    ("event", "request_", "code"),
    [
        ("history", {"with": "#r"}, "404"),
        ("search", {"text": "secret"}, "200"),
        ("conversations", {}, "200"),
    ],
)
async def test_a_room_deleted_during_a_read_is_not_shown(
    event: str, request_: dict[str, Any], code: str, done: bool
) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, phone, _ = await with_room(chat)
        await bob.send_message("r", "secret", "groupchat")
        held = store.hold(event, done=done)
        reading = phone.start(event, request_)
        await (held.done if done else held.called).wait()
        assert (await bob.ask("room", command="delete", roomId="r"))["code"] == "200"
        held.answer()
        answer = await reading
        assert (answer["code"], "secret" in str(answer)) == (code, False)


async def test_a_leave_whose_answer_is_lost_is_noticed() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, phone, desk = await with_room(chat)
        store.fail("leave_room")
        assert (await desk.ask("room", command="leave", roomId="r"))["code"] == "503"
        assert (await phone.ask("history", {"with": "#r"}))["code"] == "403"
        await bob.send_message("r", AWAY, "groupchat")
        assert phone.of("message") == []


async def test_a_join_whose_answer_is_lost_is_noticed() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, _, _ = await with_room(chat)
        carol = await logged_in(chat, "carol")
        store.fail("join_room")
        assert (await carol.ask("room", command="join", roomId="r"))["code"] == "503"
        await bob.send_message("r", "hello", "groupchat")
        assert [message["data"] for message in carol.of("message")] == ["hello"]


async def test_the_list_of_rooms_survives_a_room_deleted_meanwhile() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, phone, _ = await with_room(chat)
        await bob.ask("room", command="create", roomId="other")
        chat._directory.rooms["r"].settled = False  # as after a restart
        held = store.hold("memberships", done=True)
        listing = phone.start("room", command="list")
        await held.done.wait()
        deleted = bob.start("room", command="delete", roomId="r")
        await asyncio.sleep(0)
        assert (await Direct(chat, "carol").login())["code"] == "200"
        held.answer()
        answer = await listing
        assert answer["code"] == "200"
        assert (await deleted)["code"] == "200"


@pytest.mark.parametrize(
    ("event", "request_"),
    [("history", {"with": "ALL"}), ("search", {"text": "regretted"}), ("conversations", {})],
)
async def test_a_message_removed_during_a_read_is_not_shown(
    event: str, request_: dict[str, Any]
) -> None:
    store = DelayedStore()
    await store.inner.create_account("root", "root", hash_password("secret password"), 0)
    async with chatting(store, accounts="claim", admins=["root"]) as chat:
        root, reader = await logged_in(chat, "root"), await logged_in(chat, "bob")
        sent = await reader.send_message("ALL", "regretted")
        held = store.hold(event, done=True)
        reading = reader.start(event, request_)
        await held.done.wait()
        assert (await root.ask("remove", id=sent["id"]))["code"] == "200"
        held.answer()
        assert "regretted" not in str(await reading)


async def test_a_removal_is_announced_after_the_delivery() -> None:
    store = DelayedStore()
    await store.inner.create_account("root", "root", hash_password("secret password"), 0)
    async with chatting(store, accounts="claim", admins=["root"]) as chat:
        root, bob = await logged_in(chat, "root"), await logged_in(chat, "bob")
        held = store.hold("append", done=True)
        sent = bob.start_send("ALL", "regretted")
        await held.done.wait()
        (found,) = (await root.ask("history", {"with": "ALL"}))["messages"]
        removing = root.start("remove", id=found["id"])
        await turns()
        held.answer()
        assert (await removing)["code"] == (await sent)["code"] == "200"
        assert [name for name, _ in bob.order] == ["message", "changed"]


@pytest.mark.parametrize("lost", ["create_room", "update_room", "delete_room"])
async def test_a_change_of_a_room_whose_answer_is_lost_is_noticed(lost: str) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, phone, _ = await with_room(chat)
        request = {
            "create_room": {"command": "create", "roomId": "new"},
            "update_room": {"command": "update", "roomId": "r", "roomName": "Renamed"},
            "delete_room": {"command": "delete", "roomId": "r"},
        }[lost]
        read = store.hold("rooms", done=True)
        store.fail(lost)
        assert (await bob.ask("room", request))["code"] == "503"
        await read.done.wait()
        phone.waiting("room")
        read.answer()
        listed = (await phone.next("room"))["rooms"]
        stored = await store.inner.rooms()
        assert [(r["id"], r["name"]) for r in listed] == [(r.id, r.name) for r in stored]
        if lost == "create_room":
            assert (await bob.send_message("new", "hello", "groupchat"))["code"] == "200"


async def test_a_room_that_could_not_be_deleted_is_listed_again() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, phone, _ = await with_room(chat)
        store.refuse("delete_room")
        read = store.hold("rooms", done=True)
        assert (await bob.ask("room", command="delete", roomId="r"))["code"] == "503"
        await read.done.wait()
        phone.waiting("room")
        read.answer()
        assert [room["id"] for room in (await phone.next("room"))["rooms"]] == ["r"]
        assert (await phone.send_message("r", "still here", "groupchat"))["code"] == "200"


@pytest.mark.parametrize("fails", [True, False])
async def test_a_repeated_cursor_is_answered_when_it_is_stored(fails: bool) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, alice = await logged_in(chat, "bob"), await logged_in(chat, "alice")
        await bob.send_message("alice", "hello")
        held = store.hold("move_cursors")
        if fails:
            store.refuse("move_cursors")
        first = alice.start("read", {"with": "bob", "seq": 1})
        await held.called.wait()
        second = alice.start("read", {"with": "bob", "seq": 1})
        await asyncio.sleep(0)
        assert not second.done()
        held.answer()
        expected = "503" if fails else "200"
        assert [(await first)["code"], (await second)["code"]] == [expected] * 2


async def test_who_is_removed_is_heard_before_that_is_answered() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, phone, _ = await with_room(chat)
        held = store.hold("append")
        phone.start_send("r", "last words", "groupchat")
        removing = bob.start("room", command="kick", roomId="r", user="alice")
        await turns()
        assert not removing.done()
        held.answer()
        assert (await removing)["code"] == "200"
        assert [each["data"] for each in bob.of("message")] == ["last words"]


async def test_the_senders_other_device_gets_the_message_although_the_first_left() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        await logged_in(chat, "bob")
        phone, desk = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        held = store.hold("append", done=True)
        phone.start_send("bob", "on my way")
        await held.done.wait()
        phone.leave()
        held.answer()
        assert (await desk.next("message"))["data"] == "on my way"


async def test_the_senders_other_device_gets_the_message_after_the_first() -> None:
    async with chatting(DelayedStore()) as chat:
        await logged_in(chat, "bob")
        phone, desk = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        await phone.send_message("bob", "on my way")
        assert [len(device.of("message")) for device in (phone, desk)] == [0, 1]


@pytest.mark.parametrize("seed", range(40))
async def test_random_delays_show_no_message_written_while_away(
    seed: int,
) -> None:
    store = DelayedStore(seed)
    chance = random.Random(seed)
    async with chatting(store, limits=None) as chat:
        bob, phone, desk = await with_room(chat)

        async def read() -> None:
            for _ in range(12):
                event, request = READS[chance.choice(list(READS))]
                answer = await phone.ask(event, request)
                assert answer["code"] in ("200", "403")
                assert AWAY not in str(answer), seed

        async def restart() -> None:
            for _ in range(12):
                chat._directory.rooms["r"].cursors.clear()
                for _ in range(chance.randrange(10)):
                    await asyncio.sleep(0)

        async def come_and_go() -> None:
            for _ in range(4):
                await leave_and_rejoin(bob, desk)

        await asyncio.gather(read(), restart(), come_and_go())
        for device in (phone, desk):
            assert all(message["data"] != AWAY for message in device.of("message"))


async def test_cursors_of_all_that_were_not_stored_are_stored_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cursors, "OTHER_SECONDS", 0.01)
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, alice = await logged_in(chat, "bob"), await logged_in(chat, "alice")
        for text in ("one", "two"):
            await bob.send_message("ALL", text)
        store.refuse("move_cursors")
        failing, again = store.hold("move_cursors"), store.hold("move_cursors", done=True)
        assert (await alice.ask("read", {"with": "ALL", "seq": 1}))["code"] == "200"
        assert (await alice.ask("delivered", {"with": "ALL", "seq": 2}))["code"] == "200"
        failing.answer()
        async with asyncio.timeout(WAIT):
            await again.done.wait()
        everyone, account = await store.inner.everyone(), await store.inner.account("alice")
        assert account is not None
        stored = await store.inner.membership(everyone.key, account.key)
        assert stored is not None
        assert (stored.delivered_seq, stored.read_seq) == (2, 1)
        again.answer()
