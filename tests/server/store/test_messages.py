"""Tests of all stores: messages, their order, history, removal."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from pychat.server.store.records import Appended, CursorMove, Membership, MessageRecord
from tests.server.store.conftest import Populated, removed


async def test_seqs_have_no_gap_in_each_conversation(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    everyone = await chat.store.everyone()
    batch = [
        chat.message(pair, alice, "a"),
        chat.message(everyone, bob, "b"),
        chat.message(pair, bob, "c"),
    ]
    answers = await chat.store.append(batch)
    assert answers == [
        Appended(pair.key, 1, batch[0].sent_at),
        Appended(everyone.key, 1, batch[1].sent_at),
        Appended(pair.key, 2, batch[2].sent_at),
    ]
    assert [a.seq for a in await chat.say(pair, alice, "d", "e")] == [3, 4]
    assert await chat.store.last_seq(pair.key) == 4
    assert await chat.store.last_seq(everyone.key) == 1
    assert await chat.store.append([]) == []


async def test_many_conversations_are_written_at_once(chat: Populated) -> None:
    store = chat.store
    alice = await chat.account("alice")
    pairs = await store.open_pairs([(alice.key, other) for other in range(1000, 1120)])
    answers = await store.append([chat.message(pair, alice) for pair in pairs])
    assert [(a.conversation, a.seq) for a in answers] == [(pair.key, 1) for pair in pairs]
    await store.put_memberships([Membership(pair.key, alice.key, 1, 1, 0) for pair in pairs])
    gone = await asyncio.gather(*(removed(store, pair.key, 1) for pair in pairs[:10]))
    assert all(gone)
    some = pairs[:20]
    moves = [[CursorMove(pair.key, alice.key, read_seq=1)] for pair in some]
    moved = await asyncio.gather(*map(store.move_cursors, moves))
    assert [each for (each,) in moved] == [
        Membership(pair.key, alice.key, 1, 1, 1) for pair in some
    ]


async def test_the_same_client_id_is_the_same_message(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    client_id = uuid4().bytes
    first = chat.message(pair, alice, "once", client_id)
    (kept,) = await chat.store.append([first])
    again = chat.message(pair, alice, "once more", client_id)
    of_bob = chat.message(pair, bob, "bob's own", client_id)
    answers = await chat.store.append([chat.message(pair, bob, "x"), again, of_bob, again])
    assert answers == [
        Appended(pair.key, 2, answers[0].sent_at),
        Appended(pair.key, kept.seq, first.sent_at, duplicate=True),
        Appended(pair.key, 3, of_bob.sent_at),
        Appended(pair.key, kept.seq, first.sent_at, duplicate=True),
    ]
    messages, *_ = await chat.store.history(
        pair.key, first_seq=1, before=None, after=None, limit=10
    )
    assert [m.data for m in messages] == ["once", "x", "bob's own"]
    assert [a.seq for a in await chat.say(pair, bob, "next")] == [4]


async def test_a_client_id_twice_in_one_batch_is_stored_once(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    message = chat.message(pair, alice, "once", uuid4().bytes)
    answers = await chat.store.append([message, message, chat.message(pair, alice, "then")])
    assert [(a.seq, a.duplicate) for a in answers] == [(1, False), (1, True), (2, False)]


async def test_messages_without_a_client_id_are_all_stored(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    message = chat.message(pair, alice, "twice")
    assert [a.seq for a in await chat.store.append([message, message])] == [1, 2]


async def test_a_message_is_stored_unchanged(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    client_id = uuid4().bytes
    data = "한국어 <b>&amp;</b>\n\ttabs, nul \0 and 👩‍👩‍👧" + "x" * 60_000
    message = chat.message(pair, alice, data, client_id)
    await chat.store.append([message])
    (kept,), more, _ = await chat.store.history(
        pair.key, first_seq=1, before=None, after=None, limit=1
    )
    assert kept == MessageRecord(pair.key, 1, alice.key, client_id, message.sent_at, data)
    assert not more


async def test_history_is_read_in_pages_in_both_directions(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, *(str(n) for n in range(1, 11)))
    # Another conversation, whose messages must not appear.
    carol = await chat.account("carol")
    await chat.say(await chat.store.open_pair(carol.key, carol.key), carol, "hers")

    async def seqs(
        before: int | None = None, after: int | None = None, limit: int = 3, first_seq: int = 1
    ) -> tuple[list[int], bool]:
        messages, more, _ = await chat.store.history(
            pair.key, first_seq=first_seq, before=before, after=after, limit=limit
        )
        return [m.seq for m in messages], more

    assert await seqs() == ([8, 9, 10], True)
    assert await seqs(before=8) == ([5, 6, 7], True)
    assert await seqs(before=4) == ([1, 2, 3], False)
    assert await seqs(before=1) == ([], False)
    assert await seqs(before=100) == ([8, 9, 10], True)
    assert await seqs(before=2**53) == ([8, 9, 10], True)
    assert await seqs(after=2**53) == ([], False)
    assert await seqs(after=0) == ([1, 2, 3], True)
    assert await seqs(after=7) == ([8, 9, 10], False)
    assert await seqs(after=10) == ([], False)
    assert await seqs(after=100) == ([], False)
    assert await seqs(limit=10) == (list(range(1, 11)), False)
    assert await seqs(after=0, first_seq=6) == ([6, 7, 8], True)
    assert await seqs(before=8, first_seq=6) == ([6, 7], False)
    assert await seqs(first_seq=11) == ([], False)


async def test_undelivered_messages_are_those_of_others_after_the_cursor(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    carol = await chat.account("carol")
    other = await chat.store.open_pair(alice.key, carol.key)
    await chat.say(pair, bob, "b1", "b2")
    await chat.say(other, carol, "c1")
    await chat.say(pair, alice, "own")
    await chat.say(pair, bob, "b3")
    await chat.say(await chat.store.everyone(), bob, "to all")
    await chat.store.move_cursors([CursorMove(pair.key, alice.key, 1)])

    async def undelivered(limit: int, sent: dict[int, int]) -> list[str]:
        return [m.data for m in await chat.store.undelivered(alice.key, limit, sent)]

    assert await undelivered(10, {}) == ["b2", "b3", "c1"]
    assert await undelivered(2, {}) == ["b2", "b3"]
    assert await undelivered(2, {pair.key: 2}) == ["b3", "c1"]
    assert await undelivered(10, {pair.key: 4, other.key: 1}) == []
    # ``sent`` below the cursor does not return delivered messages again.
    await chat.store.move_cursors([CursorMove(pair.key, alice.key, 4)])
    assert await undelivered(10, {pair.key: 2}) == ["c1"]


async def test_messages_to_oneself_are_undelivered_too(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    alone = await chat.store.open_pair(alice.key, alice.key)
    await chat.say(pair, alice, "to bob")
    await chat.say(alone, alice, "note", "another")
    waiting = await chat.store.undelivered(alice.key, 10, {})
    assert [m.data for m in waiting] == ["note", "another"]
    await chat.store.move_cursors([CursorMove(alone.key, alice.key, 1)])
    assert [m.data for m in await chat.store.undelivered(alice.key, 10, {})] == ["another"]
    assert [m.data for m in await chat.store.undelivered(bob.key, 10, {})] == ["to bob"]


async def test_a_removed_message_keeps_its_seq(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, "one", "two words", "three")
    assert await removed(chat.store, pair.key, 2)
    assert not await removed(chat.store, pair.key, 9)
    assert not await removed(chat.store, pair.key, 2**40)
    assert not await removed(chat.store, 999, 1)
    messages, *_ = await chat.store.history(
        pair.key, first_seq=1, before=None, after=None, limit=10
    )
    assert [(m.seq, m.data, m.removed) for m in messages] == [
        (1, "one", False),
        (2, "", True),
        (3, "three", False),
    ]
    found, _ = await chat.store.search(alice.key, "words", conversation=None, cursor=None, limit=10)
    assert found == []
