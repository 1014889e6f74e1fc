"""A store with random delays: in the end the chat has the same state as the store."""

from __future__ import annotations

import asyncio
import random

import pytest

from pychat.server.chat import Chat
from pychat.server.chat.accounts import authentication
from pychat.server.chat.accounts.passwords import hash_password
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in


class Person:
    """A user whose devices connect and disconnect while they make requests."""

    def __init__(self, chat: Chat, id: str, chance: random.Random) -> None:
        self.id = id
        self._chat = chat
        self._chance = chance
        self.devices: list[Direct] = []

    async def come(self) -> None:
        device = Direct(self._chat, self.id)
        answer = await device.login()
        assert answer["code"] == "200", answer
        self.devices.append(device)

    def go(self) -> None:
        if self.devices:
            self.devices.pop(self._chance.randrange(len(self.devices))).leave()

    async def wander(self, rounds: int) -> None:
        for _ in range(rounds):
            if self._chance.random() < 0.5:
                self.go()
            else:
                await self.come()

    def do(self, event: str, **fields: object) -> None:
        """Make a request on one of the devices. Its answer is lost if the device leaves first."""
        if self.devices:
            self._chance.choice(self.devices).start(event, dict(fields))

    async def write_to(self, other: str) -> None:
        for _ in range(self._chance.randrange(30)):
            await asyncio.sleep(0)
        await self.come()
        self.devices[-1].start_send(other, "hello")

    async def change_blocks(self, other: str, rounds: int) -> None:
        for _ in range(rounds):
            self.do(self._chance.choice(["block", "unblock"]), id=other)
            for _ in range(self._chance.randrange(20)):
                await asyncio.sleep(0)


async def quiet(chat: Chat) -> None:
    while chat._working:
        await asyncio.wait(chat._working)
    await chat._delivery.settled()
    await asyncio.sleep(0)


@pytest.mark.parametrize("first", range(0, 60, 20))
async def test_blocks_are_as_the_store_has_them(first: int) -> None:
    for seed in range(first, first + 20):
        store, chance = DelayedStore(seed), random.Random(seed)
        async with chatting(store) as chat:
            bob = await logged_in(chat, "bob")
            alice = Person(chat, "alice", chance)
            await alice.come()
            await asyncio.gather(alice.wander(8), alice.wander(8), alice.change_blocks("bob", 8))
            await alice.come()
            await quiet(chat)
            account = await store.inner.account("alice")
            assert account is not None
            blocked = bool(await store.inner.blocked(account.key))
            code = (await bob.send_message("alice", "hello"))["code"]
            assert code == ("202" if blocked else "200"), seed


@pytest.mark.parametrize("first", range(0, 60, 20))
async def test_partners_see_each_other_come_and_go(first: int) -> None:
    for seed in range(first, first + 20):
        store, chance = DelayedStore(seed), random.Random(seed)
        async with chatting(store) as chat:
            alice, bob = Person(chat, "alice", chance), Person(chat, "bob", chance)
            await asyncio.gather(alice.come(), bob.come())

            await asyncio.gather(alice.wander(6), bob.wander(6), bob.write_to("alice"))
            await alice.come()
            await bob.come()
            await quiet(chat)
            if not await store.inner.pair(1, 2):
                continue
            device = alice.devices[-1]
            while bob.devices:
                bob.go()
            assert [p["online"] for p in device.of("presence")][-1:] == [False], seed
            await bob.come()
            assert device.of("presence")[-1]["online"] is True, seed


@pytest.mark.parametrize("first", range(0, 40, 20))
async def test_no_login_revokes_one_that_is_connected(
    monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    monkeypatch.setattr(authentication, "MAX_TOKENS_PER_ACCOUNT", 5)
    password_hash = hash_password("secret password")
    for seed in range(first, first + 20):
        store = DelayedStore(seed)
        await store.inner.create_account("alice", "alice", password_hash, 0)
        async with chatting(store, accounts="claim", limits=None) as chat:
            monkeypatch.setattr(chat._authentication._passwords, "verify", _always)
            device = await logged_in(chat, "alice")
            await asyncio.gather(*(visit(chat, "alice", 6) for _ in range(3)))
            await quiet(chat)
            assert not device.gone.is_set(), seed
            assert (await device.ask("users", {"query": ""}))["code"] == "200"


async def visit(chat: Chat, id: str, times: int) -> None:
    for _ in range(times):
        (await logged_in(chat, id)).leave()


async def _always(hash: str, password: str) -> bool:
    return True
