"""Mentions in rooms: who is mentioned, who is told, and what counts as unread."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in
from tests.server.chat.test_changes import history, in_room, sent


async def room_entry(client: Direct) -> Any:
    listed = (await client.ask("conversations", {}))["conversations"]
    (entry,) = [each for each in listed if each["with"] == "#r"]
    return entry


async def mentioned(client: Direct, text: str) -> Any:
    """Send a text to the room and return whom it mentions."""
    return (await sent(client, "#r", text)).get("mentions", [])


async def test_a_mention_is_shown_to_every_member() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob, carol = await in_room(chat, "alice", "Bob", "carol")
        answer = await sent(alice, "#r", "hello @bob, and @CAROL!")
        assert answer["mentions"] == ["Bob", "carol"]
        for reader in (alice, bob, carol):
            (message,) = reader.of("message") or [None]
            if message is not None:
                assert message["mentions"] == ["Bob", "carol"]
        (stored,) = (await history(carol, "#r"))["messages"]
        assert stored["mentions"] == ["Bob", "carol"]
        entry = await room_entry(bob)
        assert (entry["unread"], entry["unreadMentions"]) == (1, 1)
        assert entry["last"]["mentions"] == ["Bob", "carol"]
        assert (await room_entry(alice))["unreadMentions"] == 0


async def test_a_message_without_mentions_has_no_such_field() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await in_room(chat, "alice", "bob")
        for text in ("hello bob", "me@bob", "@nobody", "@bobby", "@ bob", "@", "@bobé", "_@bob"):
            assert "mentions" not in await sent(alice, "#r", text), text
        assert all("mentions" not in message for message in bob.of("message"))
        assert (await room_entry(bob))["unreadMentions"] == 0
        assert "mentions" not in await sent(alice, "bob", "hello @bob")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("@bob", ["bob"]),
        ("(@bob)", ["bob"]),
        ("@@bob", ["bob"]),
        ("@bob.", ["bob"]),
        ("@bob's", ["bob"]),
        ("@bob-x", ["bob"]),
        ("@bob smith", ["bob smith"]),
        ("@bob smiths", ["bob"]),
        ("@Bob Smith, hi @bob", ["bob", "bob smith"]),
        ("@ｂｏｂ", ["bob"]),
        ("@bob\u0301", []),
        ("@b\u043eb", []),  # a Cyrillic letter
        ("@bob @bob @BOB", ["bob"]),
        ("@a@b @x", ["a@b"]),
        ("\n@bob\n", ["bob"]),
        ("@" + "x" * 64, ["x" * 64]),
        ("@" + "x" * 65, []),
        ("@" * 49 + "@bob", ["bob"]),
        ("@" * 50 + "@bob", []),
        ("@\ufdfa" * 60, []),
    ],
)
async def test_the_longest_id_that_ends_at_a_word_boundary(text: str, ids: list[str]) -> None:
    async with chatting(DelayedStore()) as chat:
        alice, *_ = await in_room(chat, "alice", "bob", "bob smith", "a@b", "x" * 64)
        assert sorted(await mentioned(alice, text)) == ids


async def test_twenty_accounts_at_most() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, *others = await in_room(chat, "alice", *[f"user{n}" for n in range(25)])
        text = " ".join(f"@{other.id}" for other in others)
        assert await mentioned(alice, text) == [f"user{n}" for n in range(20)]


async def test_all_is_for_the_owner_and_admins() -> None:
    store = DelayedStore()
    await store.create_account("bob", "bob", None, 0)
    async with chatting(store, admins=["bob"]) as chat:
        alice, bob, carol = await in_room(chat, "alice", "bob", "carol")
        assert await mentioned(alice, "@ALL lunch") == ["ALL"]
        assert await mentioned(bob, "@all of you, and @carol") == ["ALL", "carol"]
        assert await mentioned(carol, "@ALL") == []
        listed = (await history(carol, "#r"))["messages"]
        assert [each.get("mentions") for each in listed] == [["ALL"], ["ALL", "carol"], None]
        assert (await room_entry(carol))["unreadMentions"] == 2


async def test_an_edit_replaces_the_mentions() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob, carol = await in_room(chat, "alice", "bob", "carol")
        first = await sent(alice, "#r", "@bob")
        await alice.ask("edit", id=first["id"], data="@carol")
        assert bob.of("changed")[-1]["mentions"] == ["carol"]
        assert [(await room_entry(each))["unreadMentions"] for each in (bob, carol)] == [0, 1]
        await alice.ask("edit", id=first["id"], data="nobody")
        assert "mentions" not in bob.of("changed")[-1]
        assert (await room_entry(carol))["unreadMentions"] == 0
        (message,) = (await history(bob, "#r"))["messages"]
        assert "mentions" not in message
        await alice.ask("edit", id=first["id"], data="@bob")
        await alice.ask("remove", id=first["id"])
        assert (await room_entry(bob))["unreadMentions"] == 0


async def test_an_edit_does_not_mention_who_joined_later() -> None:
    async with chatting(DelayedStore()) as chat:
        (alice,) = await in_room(chat, "alice")
        first = await sent(alice, "#r", "text")
        bob = await logged_in(chat, "bob")
        await bob.ask("room", command="join", roomId="r")
        await alice.ask("edit", id=first["id"], data="@bob")
        assert "mentions" not in alice.of("changed")[-1]
        assert (await room_entry(bob))["unreadMentions"] == 0


async def test_who_left_is_not_mentioned() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await in_room(chat, "alice", "bob")
        assert await mentioned(alice, "@bob") == ["bob"]
        await bob.ask("room", command="leave", roomId="r")
        assert await mentioned(alice, "@bob") == []
        await bob.ask("room", command="join", roomId="r")
        assert (await room_entry(bob))["unreadMentions"] == 0
        assert await mentioned(alice, "@bob") == ["bob"]
        assert (await room_entry(bob))["unreadMentions"] == 1


async def test_a_block_hides_mentions_until_it_ends() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await in_room(chat, "alice", "bob")
        await sent(alice, "#r", "@bob")
        await bob.ask("block", id="alice")
        await sent(alice, "#r", "@bob")
        assert (await room_entry(bob))["unreadMentions"] == 0
        await bob.ask("unblock", id="alice")
        assert (await room_entry(bob))["unreadMentions"] == 2


async def test_a_message_that_is_sent_again_has_the_same_mentions() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await in_room(chat, "alice", "bob")
        client_id = "00000000-0000-4000-8000-000000000001"
        first = await sent(alice, "#r", "@bob", clientId=client_id)
        await bob.ask("room", command="leave", roomId="r")
        again = await sent(alice, "#r", "@bob", clientId=client_id)
        assert (again["seq"], again["mentions"]) == (first["seq"], ["bob"])


async def test_members_after_a_restart_are_mentioned() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, _ = await in_room(chat, "alice", "bob")
        id = (await sent(alice, "#r", "hello"))["id"]
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        assert await mentioned(alice, "@bob") == ["bob"]
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        await alice.ask("edit", id=id, data="hello @bob")
        assert alice.of("changed")[-1]["mentions"] == ["bob"]


async def test_a_member_who_leaves_while_ids_are_read() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob, carol = await in_room(chat, "alice", "bob", "carol")
        chat._directory._users.clear()
        held = store.hold("accounts", done=True)
        sending = alice.start_send("r", "@bob @carol", "groupchat")
        await held.done.wait()
        await bob.ask("room", command="leave", roomId="r")
        held.answer()
        assert (await sending)["mentions"] == ["carol"]
        assert (await room_entry(carol))["unreadMentions"] == 1


async def test_a_sender_who_leaves_while_ids_are_read() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, _ = await in_room(chat, "alice", "bob")
        phone = await logged_in(chat, "bob")
        desk = await logged_in(chat, "bob")
        chat._directory._users.clear()
        held = store.hold("accounts", done=True)
        sending = phone.start_send("r", "@alice", "groupchat")
        await held.done.wait()
        await desk.ask("room", command="leave", roomId="r")
        held.answer()
        assert (await sending)["code"] == "403"
        assert alice.of("message") == []
