"""A blocked sender observes the same as if the recipient were offline: all is compared."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from pychat.server.chat import Chat
from pychat.server.chat.notices import cursors, proof, room_list
from tests.server.chat.delayed import DelayedStore, calls_of_request
from tests.server.chat.direct import Direct, chatting, logged_in
from tests.server.chat.peers import WAIT


class Blocked(Direct):
    """A sender that notes all it can observe: events, answers, and the calls of the store that were
    made to answer, because more calls take more time."""

    def __init__(self, chat: Chat, observed: list[Any], modern: bool) -> None:
        self._observed = observed
        super().__init__(chat, "bob", modern=modern)

    def put(self, event: str, payload: Any) -> None:
        super().put(event, payload)
        self._observed.append((event, payload))

    async def does(self, event: str, payload: Any) -> Any:
        """Make a request and wait until all that follows from it is done.

        A client of the original protocol asks for no acknowledgement.
        """
        calls: list[str] = []
        token = calls_of_request.set(calls)
        answer = self.start(event, payload) if self.modern else self.tell(event, payload)
        calls_of_request.reset(token)
        await quiet(self._chat)
        answered = answer and await answer
        if answered:
            answered.pop("epoch", None)  # of the store, which is another one each time
        self._observed.append((f"answer to {event}", answered, calls))

    async def writes(self, to: str, text: str, command: str = "chat") -> None:
        message = {"sender": "bob", "recepient": to, "command": command, "data": text}
        await self.does("message", message)


async def quiet(chat: Chat) -> None:
    """Return when all requests are handled and everything is stored, delivered and announced."""
    await turns()
    while chat._working:
        # A login may wait for a thread, which takes any number of turns of the loop.
        await asyncio.wait(chat._working)
        await turns()
    await chat._delivery.settled()
    await turns()
    await chat._cursors.flush()
    await turns()


async def turns() -> None:
    for _ in range(60):
        await asyncio.sleep(0)


class Alice:
    """The recipient. ``hides``: she blocks bob and goes on; else she is gone for good."""

    def __init__(self, chat: Chat, hides: bool) -> None:
        self._chat = chat
        self._hides = hides
        self._devices: list[Direct] = []

    async def arrives(self, *, modern: bool = True, alias: str = "") -> None:
        device = Direct(self._chat, "alice", modern=modern)
        if modern:
            assert (await device.login(alias=alias))["code"] == "200"
        else:
            device.tell("login", {"id": "alice", "password": "", "alias": alias})
            assert (await device.next("response"))["code"] == "200"
        self._devices.append(device)

    async def vanishes(self) -> None:
        if self._hides:
            assert (await self._devices[0].ask("block", id="bob"))["code"] == "200"
        else:
            self.goes()

    def goes(self) -> None:
        for device in self._devices:
            device.leave()
        self._devices.clear()

    async def does(self, event: str, payload: Any, *, rests: bool = True) -> None:
        """Do what only a user who is online can do."""
        if self._hides:
            answer = self._devices[0].start(event, payload)
            if rests:
                await self.rests()
            assert (await answer)["code"] == "200"

    async def comes_and_goes(self, *, modern: bool, alias: str = "") -> None:
        if self._hides:
            await self.arrives(modern=modern, alias=alias)
            await self.rests()
            self._devices.pop().leave()

    async def returns(self, alias: str) -> None:
        if self._hides:
            self.goes()
            await self.rests()
            await self.arrives(alias=alias)

    async def rests(self) -> None:
        """Wait until all that she has done is stored and announced."""
        await quiet(self._chat)


async def everything_bob_observes(
    clock: list[int], *, hides: bool, modern: bool, original_recipient: bool
) -> list[Any]:
    observed: list[Any] = []
    store = DelayedStore()
    async with chatting(store) as chat:

        def later() -> None:
            clock[0] += 1_000_000_000

        carol = await logged_in(chat, "carol")
        await carol.ask("room", command="create", roomId="r")
        alice = Alice(chat, hides)
        await alice.arrives(alias="Alice Alt")
        if original_recipient:
            await alice.arrives(modern=False)
        bob = Blocked(chat, observed, modern)
        await bob.does("login", {"id": "bob", "password": "", "protocol": int(modern)})
        await bob.does("room", {"command": "join", "roomId": "r"})
        await alice._devices[0].ask("room", command="join", roomId="r")
        await bob.does("room", {"command": "create", "roomId": "his"})
        later()
        await bob.writes("alice", "the first")
        await alice.rests()
        read = alice._devices[0].start("read", {"with": "bob", "seq": 1})
        await alice.rests()
        assert (await read)["code"] == "200"
        await alice._devices[0].send_message("bob", "an answer")
        later()
        await bob.writes("alice", "the second")
        await alice.rests()
        # A read that is under way when she blocks him.
        alice._devices[0].start("read", {"with": "bob", "seq": 3})
        if not hides:
            await alice.rests()
        await alice.vanishes()
        await alice.rests()

        for round in range(3):
            later()
            await bob.writes("alice", f"are you there? {round}")
            if modern:
                id = observed[-1][1]["id"]
                await bob.does("edit", {"id": id, "data": f"are you away? {round}"})
                await bob.does("react", {"id": id, "emoji": "👍", "on": True})
                await bob.does("reactions", {"id": id})
            await bob.writes("Alice", "with another spelling")
            await alice.does("read", {"with": "bob", "seq": 4})
            await alice.does("delivered", {"with": "bob", "seq": 5})
            later()
            for name in ("bob", "#r", "ALL"):
                await alice.does("typing", {"recepient": name, "typing": True})
            await alice.does("read", {"with": "ALL", "seq": 0})
            await alice.does("room", {"command": "leave", "roomId": "r"})
            await alice.does("room", {"command": "join", "roomId": "r"})
            await alice.comes_and_goes(modern=True, alias=f"Alice Neu {round}")
            await alice.comes_and_goes(modern=False)
            for name in ("alice", "Alice", "carol"):
                await bob.does("typing", {"recepient": name, "typing": True})
            await bob.writes("ALL", "everybody?")
            await bob.writes("r", "in the room?", "groupchat")
            for _ in range(2):
                await bob.does("room", {"command": "invite", "roomId": "his", "user": "alice"})
            await bob.does("room", {"command": "kick", "roomId": "his", "user": "alice"})
            if modern:
                await bob.does("room", {"command": "members", "roomId": "r"})
            await bob.does("room", {"command": "list"})
            if modern:
                for query in ("", "alice", "al", "Alt", "Neu", "nobody"):
                    await bob.does("users", {"query": query})
                await bob.does("users", {"query": "", "limit": 1})
                await alice.does("read", {"with": "ALL", "seq": round + 1}, rests=False)
                await bob.does("conversations", {})
                await bob.does("conversations", {"limit": 1})
                for name in ("alice", "ALICE", "ALL", "#r"):
                    await bob.does("history", {"with": name})
                await bob.does("search", {"text": "answer"})
                await bob.does("search", {"text": "there", "with": "alice"})
                await bob.does("read", {"with": "alice", "seq": 2})
                await bob.does("delivered", {"with": "Alice", "seq": 3})
                await bob.does("sessions", {})
            later()
            await alice.returns(f"Alice Neu {round}")
            # Bob comes back, too, and a stranger who has never written to her.
            bob.leave()
            bob = Blocked(chat, observed, modern)
            await bob.does("login", {"id": "bob", "password": "", "protocol": int(modern)})
            await turns()
    # The server was started again: only who is online is at hand.
    async with chatting(store) as chat:
        alice = Alice(chat, hides)
        if hides:
            await alice.arrives()
        await turns()
        bob = Blocked(chat, observed, modern)
        await bob.does("login", {"id": "bob", "password": "", "protocol": int(modern)})
        await bob.does("typing", {"recepient": "alice", "typing": True})
        await bob.writes("alice", "after the restart")
        if modern:
            await bob.does("history", {"with": "Alice"})
            await bob.does("delivered", {"with": "ALICE", "seq": 1})
            await bob.does("conversations", {})
            await bob.does("users", {"query": "alice"})
            await bob.does("block", {"id": "alice"})
            await bob.does("unblock", {"id": "alice"})
    return observed


@pytest.mark.parametrize("original_recipient", [False, True])
@pytest.mark.parametrize("modern", [True, False])
async def test_a_blocked_sender_observes_the_same_as_with_an_offline_recipient(
    monkeypatch: pytest.MonkeyPatch, modern: bool, original_recipient: bool
) -> None:
    clock = [0]
    monkeypatch.setattr(time, "time_ns", lambda: clock[0])
    monkeypatch.setattr(proof, "STAY_SECONDS", 0.0)
    monkeypatch.setattr(proof, "ASK_SECONDS", 0.0)
    # Nothing may depend on how fast the test runs: ``quiet`` writes cursors, no timer does.
    monkeypatch.setattr(cursors, "PAIR_SECONDS", 3600.0)
    monkeypatch.setattr(cursors, "OTHER_SECONDS", 3600.0)
    monkeypatch.setattr(room_list, "BYTES_PER_SECOND", float("inf"))
    seen = []
    for hides in (False, True):
        clock[0] = 1_700_000_000_000_000_000
        seen.append(
            await everything_bob_observes(
                clock, hides=hides, modern=modern, original_recipient=original_recipient
            )
        )
    offline, blocking = seen
    assert len(offline) > 50
    for expected, got in zip(offline, blocking, strict=False):
        assert got == expected
    assert len(blocking) == len(offline)


async def test_a_read_during_a_block_is_not_announced() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, alice = await logged_in(chat, "bob"), await logged_in(chat, "alice")
        phone = await logged_in(chat, "alice")
        await bob.send_message("alice", "hello")
        held = store.hold("block")
        block = alice.start("block", id="bob")
        await held.called.wait()
        read = phone.start("read", {"with": "bob", "seq": 1})
        held.answer()
        assert (await block)["code"] == (await read)["code"] == "200"
        assert bob.of("receipt") == []
        listed = (await bob.ask("conversations", {}))["conversations"]
        assert [c["peerReadSeq"] for c in listed if c["with"] == "alice"] == [0]


async def test_a_read_before_a_block_is_announced_before_it() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, alice = await logged_in(chat, "bob"), await logged_in(chat, "alice")
        phone = await logged_in(chat, "alice")
        await bob.send_message("alice", "hello")
        read = phone.start("read", {"with": "bob", "seq": 1})
        assert (await alice.ask("block", id="bob"))["code"] == (await read)["code"] == "200"
        assert [name for name, _ in bob.order] == ["presence", "receipt", "presence"]


@pytest.mark.parametrize("other_moves", [True, False])
async def test_a_read_after_a_block_cancelled_an_earlier_one_is_answered(other_moves: bool) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob, alice = await logged_in(chat, "bob"), await logged_in(chat, "alice")
        phone, carol = await logged_in(chat, "alice"), await logged_in(chat, "carol")
        await bob.send_message("alice", "hello")
        await carol.send_message("alice", "hello")
        assert (await phone.ask("delivered", {"with": "bob", "seq": 1}))["code"] == "200"
        held = store.hold("block")
        block = alice.start("block", id="bob")
        await held.called.wait()
        read = phone.start("read", {"with": "bob", "seq": 1})
        held.answer()
        assert (await block)["code"] == "200"
        moving = store.hold("move_cursors")
        if other_moves:
            phone.start("read", {"with": "carol", "seq": 1})
            await moving.called.wait()
        assert (await read)["code"] == "200"
        assert (await alice.ask("unblock", id="bob"))["code"] == "200"
        late = phone.start("delivered", {"with": "bob", "seq": 1})
        await turns()
        moving.answer()
        assert (await asyncio.wait_for(late, WAIT))["code"] == "200"
