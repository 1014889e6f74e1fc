"""Moves of cursors: when they are stored, and what becomes of those whose write failed."""

from __future__ import annotations

import asyncio

import pytest

from pychat.server.chat.notices import cursors
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import chatting, logged_in
from tests.server.chat.peers import WAIT
from tests.turns import turns


async def test_moves_in_all_are_stored_soon_though_nothing_else_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cursors, "OTHER_SECONDS", 0.01)
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        for seq in (1, 2):
            await alice.send_message("ALL", "hello")
            stored = store.hold("move_cursors")
            assert (await alice.ask("read", {"with": "ALL", "seq": seq}))["code"] == "200"
            await asyncio.wait_for(stored.called.wait(), WAIT)
            stored.answer()


async def test_moves_in_all_are_not_written_with_each_in_a_pair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cursors, "OTHER_SECONDS", 60)
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        for recipient in ("ALL", "bob"):
            await alice.send_message(recipient, "hello")
        for name in ("ALL", "alice"):
            assert (await bob.ask("read", {"with": name, "seq": 1}))["code"] == "200"
        everyone, account = await store.inner.everyone(), await store.inner.account("bob")
        assert account is not None
        stored = await store.inner.membership(everyone.key, account.key)
        assert stored is not None
        assert stored.read_seq == 0


async def test_a_list_contains_the_moves_of_its_pairs_and_waits_for_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cursors, "PAIR_SECONDS", 60)
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob, carol = [await logged_in(chat, id) for id in ("alice", "bob", "carol")]
        for recipient in ("bob", "carol"):
            await alice.send_message(recipient, "hello")
        writing = store.hold("move_cursors")
        reading = bob.start("read", {"with": "alice", "seq": 1})
        assert (await carol.ask("conversations"))["code"] == "200"
        assert not writing.called.is_set()
        writing.answer()
        listed = (await alice.ask("conversations"))["conversations"]
        assert {c["with"]: c["peerReadSeq"] for c in listed} == {"ALL": 0, "bob": 1, "carol": 0}
        assert (await reading)["code"] == "200"


@pytest.mark.parametrize("kind", ["delivered", "read"])
async def test_a_move_whose_answer_was_lost_is_announced(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt fails as well."""
    monkeypatch.setattr(cursors, "OTHER_SECONDS", 0.01)
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        await alice.send_message("bob", "hello")
        store.fail("move_cursors")
        lost, refused = store.hold("move_cursors", done=True), store.hold("move_cursors")
        moving = bob.start(kind, {"with": "alice", "seq": 1})
        lost.answer()
        assert (await moving)["code"] == "503"
        await asyncio.wait_for(refused.called.wait(), WAIT)
        store.refuse("move_cursors")
        refused.answer()
        receipt = await alice.next("receipt")
        assert (receipt["kind"], receipt["seq"]) == (kind, 1)


async def test_a_move_that_was_not_stored_is_not_announced_and_not_repeated_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cursors, "OTHER_SECONDS", 60)
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        await alice.send_message("bob", "hello")
        store.refuse("move_cursors")
        assert (await bob.ask("read", {"with": "alice", "seq": 1}))["code"] == "503"
        again = store.hold("move_cursors")
        await turns()
        assert not again.called.is_set()
        again.answer()
        assert "cursors not stored: the store is away" in caplog.text
        (listed,) = [
            each
            for each in (await alice.ask("conversations"))["conversations"]
            if each["with"] == "bob"
        ]
        assert listed["peerReadSeq"] == 0
        assert alice.of("receipt") == []


async def test_a_note_to_oneself_has_one_receipt() -> None:
    async with chatting(DelayedStore()) as chat:
        phone, desk = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        page = await logged_in(chat, "alice", modern=False)
        await phone.send_message("alice", "note")
        assert (await phone.ask("read", {"with": "alice", "seq": 1}))["code"] == "200"
        read = [each for each in desk.of("receipt") if each["kind"] == "read"]
        assert read == [{"with": "alice", "by": "alice", "kind": "read", "seq": 1}]
        assert page.of("receipt") == []
