"""Rooms whose members are removed and invited while the store answers late, or not at all."""

from __future__ import annotations

import asyncio
import random

import pytest

from pychat.server.chat import Chat
from pychat.server.store.base import StoreUnavailable
from pychat.server.store.memory import MemoryStore
from pychat.server.store.records import Standing
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in
from tests.server.chat.test_late_at_random import quiet

STEPS = 12
CHANGES = ("leave_room", "join_room", "set_standing")


async def some_turns(chance: random.Random) -> None:
    for _ in range(chance.randrange(20)):
        await asyncio.sleep(0)


async def moderate(store: DelayedStore, alice: Direct, chance: random.Random) -> None:
    for _ in range(STEPS):
        if chance.random() < 0.3:
            chance.choice((store.fail, store.refuse))(chance.choice(CHANGES))
        command = chance.choice(("kick", "invite", "role", "role"))
        role = chance.choice(("moderator", "member"))
        asked = alice.start("room", command=command, roomId="r", user="bob", role=role)
        if chance.random() < 0.5:
            await asked
        await some_turns(chance)


async def come_and_go(bob: Direct, chance: random.Random) -> None:
    for _ in range(STEPS):
        bob.start("room", command=chance.choice(("join", "join", "leave")), roomId="r")
        await some_turns(chance)


async def write(carol: Direct, chance: random.Random) -> None:
    for number in range(STEPS):
        carol.start_send("r", str(number), "groupchat")
        await some_turns(chance)


async def settled(chat: Chat) -> None:
    await quiet(chat)
    if chat._rooms._reloading is not None:
        await chat._rooms._reloading


@pytest.mark.parametrize("first", range(0, 60, 20))
async def test_members_and_standings_are_as_the_store_has_them(first: int) -> None:
    for seed in range(first, first + 20):
        store, chance = DelayedStore(seed), random.Random(seed)
        async with chatting(store) as chat:
            alice, bob, carol = [await logged_in(chat, id) for id in ("alice", "bob", "carol")]
            await alice.ask("room", command="create", roomId="r")
            await carol.ask("room", command="join", roomId="r")
            await asyncio.gather(
                moderate(store, alice, chance), come_and_go(bob, chance), write(carol, chance)
            )
            await settled(chat)
            store._failing.clear()
            store._refusing.clear()
            room = chat._directory.rooms["r"]
            await alice.ask("room", command="members", roomId="r")
            stored = await store.inner.memberships([room.key])
            assert room.members == {each.account: each.first_seq for each in stored}, seed
            standings = {each.account: each.standing for each in await store.inner.standings()}
            assert room.standings == standings, seed
            account = await store.inner.account("bob")
            assert account is not None
            sent = await bob.send_message("r", "me", "groupchat")
            assert sent["code"] == ("200" if account.key in room.members else "403"), seed
            assert not (
                account.key in room.members and standings.get(account.key) is Standing.BARRED
            ), seed


@pytest.mark.parametrize("first", range(0, 60, 20))
async def test_after_a_removal_nothing_is_delivered(first: int) -> None:
    """Whether the store has made it or not, and whatever was under way."""
    for seed in range(first, first + 20):
        store, chance = DelayedStore(seed), random.Random(seed)
        async with chatting(store) as chat:
            alice, bob, carol = [await logged_in(chat, id) for id in ("alice", "bob", "carol")]
            await alice.ask("room", command="create", roomId="r")
            desk = await logged_in(chat, "bob")
            for each in (bob, carol):
                await each.ask("room", command="join", roomId="r")
            failing = chance.random() < 0.5
            if failing:
                store.fail("leave_room")
            writing = asyncio.create_task(write(carol, chance))
            await some_turns(chance)
            bob.start("history", {"with": "#r"})
            kicking = alice.start("room", command="kick", roomId="r", user="bob")
            joining = desk.start("room", command="join", roomId="r")
            assert (await kicking)["code"] == ("503" if failing else "200")
            received = len(bob.of("message"))
            await writing
            await carol.send_message("r", "afterwards", "groupchat")
            assert (await joining)["code"] == "403", seed
            await settled(chat)
            assert len(bob.of("message")) == received, seed
            assert "afterwards" not in str(await bob.ask("history", {"with": "#r"})), seed


class HalfStore(MemoryStore):
    """The next removal fails after the bar, as in a database without transactions."""

    half = True

    async def leave_room(self, conversation: int, account: int, *, barred: bool = False) -> None:
        if barred and self.half:
            self.half = False
            await self.set_standing(conversation, account, Standing.BARRED)
            raise StoreUnavailable("the answer was lost")
        await super().leave_room(conversation, account, barred=barred)


async def test_a_removal_that_was_half_made_is_finished() -> None:
    store = HalfStore()
    async with chatting(store) as chat:
        alice, bob, carol = [await logged_in(chat, id) for id in ("alice", "bob", "carol")]
        await alice.ask("room", command="create", roomId="r")
        for each in (bob, carol):
            await each.ask("room", command="join", roomId="r")
        kicked = await alice.ask("room", command="kick", roomId="r", user="bob")
        assert kicked["code"] == "503"
        await carol.send_message("r", "afterwards", "groupchat")
        await settled(chat)
        assert bob.of("message") == []
        names = [each["with"] for each in (await bob.ask("conversations", {}))["conversations"]]
        assert names == ["ALL"]
        room = chat._directory.rooms["r"]
        assert room.members.keys() == set(await store.members(room.key))
        assert (await bob.ask("room", command="join", roomId="r"))["code"] == "403"
