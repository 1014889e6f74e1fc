"""Presence when users block and unblock each other."""

from __future__ import annotations

from typing import Any

import pytest

from pychat.server.chat import Chat
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in


async def partners(chat: Chat) -> tuple[Direct, Direct]:
    """Alice and Bob, who have written to each other and know that both are online."""
    alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
    await alice.send_message("bob", "hi")
    for client, other in ((alice, bob), (bob, alice)):
        assert presence(client) == [(other.id, True)]
        client.order.clear()
    return alice, bob


def presence(client: Direct) -> list[tuple[str, bool]]:
    return [(event["id"], event["online"]) for event in client.of("presence")]


def take(client: Direct) -> list[tuple[str, bool]]:
    """The presence events since the last call."""
    events = presence(client)
    client.order.clear()
    return events


async def test_a_block_shows_both_offline_and_its_end_shows_both_online() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await partners(chat)
        assert (await alice.ask("block", id="bob"))["code"] == "200"
        (last,) = bob.of("presence")
        assert last["lastSeen"].endswith("Z")
        (last,) = alice.of("presence")
        assert last["lastSeen"] is None
        assert (take(alice), take(bob)) == ([("bob", False)], [("alice", False)])
        await alice.ask("block", id="bob")  # again: nothing new
        assert (take(alice), take(bob)) == ([], [])
        # While Alice hides from Bob, his block and its end show nothing.
        await bob.ask("block", id="alice")
        await bob.ask("unblock", id="alice")
        assert (take(alice), take(bob)) == ([], [])
        await alice.ask("unblock", id="bob")
        assert (take(alice), take(bob)) == ([("bob", True)], [("alice", True)])
        await alice.ask("unblock", id="bob")
        assert (take(alice), take(bob)) == ([], [])


async def test_a_block_of_both_ends_with_the_second_unblock() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await partners(chat)
        await alice.ask("block", id="bob")
        await bob.ask("block", id="alice")
        take(alice), take(bob)
        await alice.ask("unblock", id="bob")
        assert (take(alice), take(bob)) == ([], [])
        await bob.ask("unblock", id="alice")
        assert (take(alice), take(bob)) == ([("bob", True)], [("alice", True)])


async def test_who_is_offline_is_not_shown_again() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await partners(chat)
        bob.leave()
        take(alice)
        await alice.ask("block", id="bob")
        await alice.ask("unblock", id="bob")
        assert take(alice) == []


async def test_strangers_notice_no_block() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, eve = await logged_in(chat, "alice"), await logged_in(chat, "eve")
        await alice.ask("block", id="eve")
        await alice.ask("unblock", id="eve")
        assert (take(alice), take(eve)) == ([], [])


@pytest.mark.parametrize("blocker", ["alice", "bob", ""])
async def test_the_first_message_shows_no_presence_across_a_block(blocker: str) -> None:
    async with chatting(DelayedStore()) as chat:
        clients: dict[str, Any] = {id: await logged_in(chat, id) for id in ("alice", "bob")}
        if blocker:
            other = "bob" if blocker == "alice" else "alice"
            await clients[blocker].ask("block", id=other)
        await clients["alice"].send_message("bob", "hi")
        await clients["alice"].send_message("bob", "again")
        expected = ([], []) if blocker else ([("bob", True)], [("alice", True)])
        assert (take(clients["alice"]), take(clients["bob"])) == expected


async def test_notes_to_oneself_show_no_presence() -> None:
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        await alice.send_message("alice", "note")
        assert presence(alice) == []


async def test_a_block_hides_who_comes_and_goes() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await partners(chat)
        carol = await logged_in(chat, "carol")
        await carol.send_message("alice", "hi")
        await alice.ask("block", id="bob")
        for client in (alice, bob, carol):
            take(client)
        alice.leave()
        alice = await logged_in(chat, "alice")
        assert take(carol) == [("alice", False), ("alice", True)]
        assert take(bob) == []
        bob.leave()
        await logged_in(chat, "bob")
        assert take(alice) == []
