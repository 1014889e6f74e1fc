"""Tests of all stores: edits, removals and reactions, and their revs."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from pychat.protocol import MAX_REACTION_KINDS, MAX_REACTIONS
from pychat.server.store import open_store
from pychat.server.store.records import (
    Appended,
    ChangeResult,
    MessageRecord,
    NewChange,
    NewEdit,
    NewMessage,
    NewReaction,
    NewRemoval,
    Outcome,
    ReactionRecord,
    RecordPage,
)
from tests.server.store.conftest import Populated

DONE, UNCHANGED = Outcome.DONE, Outcome.UNCHANGED
LATE = 1_800_000_000_000


async def page(chat: Populated, conversation: int) -> RecordPage:
    return await chat.store.history(conversation, first_seq=1, before=None, after=None, limit=100)


async def changes(
    chat: Populated, conversation: int, after: int = 0, first_seq: int = 1, limit: int = 100
) -> tuple[list[tuple[int, int]], bool, int]:
    found = await chat.store.changed(conversation, first_seq=first_seq, after=after, limit=limit)
    return [(m.rev, m.seq) for m in found.messages], found.more, found.rev


async def found(chat: Populated, account: int, text: str) -> list[int]:
    messages, _ = await chat.store.search(account, text, conversation=None, cursor=None, limit=10)
    return [message.seq for message in messages]


async def test_an_edit_replaces_the_text_for_every_reader(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    client_id = uuid4().bytes
    first = chat.message(pair, alice, "helo world", client_id)
    await chat.store.append([first])
    await chat.store.index()
    (changed,) = await chat.change(NewEdit(pair.key, 1, alice.key, "hello there", LATE))
    expected = MessageRecord(
        *(pair.key, 1, alice.key, client_id, first.sent_at, "hello there"),
        rev=1,
        edited_at=LATE,
    )
    assert changed == ChangeResult(DONE, expected)
    assert await page(chat, pair.key) == RecordPage([expected], False, 1)
    assert await chat.store.messages([(pair.key, 1), (pair.key, 2), (99, 1)]) == [expected]
    assert await chat.store.undelivered(bob.key, 10, {}) != []
    (summary,), _ = await chat.store.conversations(bob.key, cursor=None, limit=1)
    assert (summary.last, summary.rev) == (expected, 1)
    assert await found(chat, bob.key, "helo") == []
    assert await found(chat, bob.key, "world") == []
    assert await found(chat, bob.key, "hello th") == [1]
    assert await chat.store.check() == []


async def test_an_edit_before_the_index_is_found_after_it(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, "first", "second")
    await chat.change(NewEdit(pair.key, 1, alice.key, "corrected", LATE))
    assert await found(chat, alice.key, "corrected") == [1]
    await chat.store.index()
    assert await found(chat, alice.key, "corrected") == [1]
    assert await found(chat, alice.key, "first") == []


async def test_only_the_author_edits(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    await chat.say(pair, alice, "hers")
    (changed,) = await chat.change(NewEdit(pair.key, 1, bob.key, "his", LATE))
    assert changed.outcome is Outcome.FORBIDDEN
    (changed,) = await chat.change(NewRemoval(pair.key, 1, bob.key))
    assert changed.outcome is Outcome.FORBIDDEN
    history = await page(chat, pair.key)
    assert (history.messages[0].data, history.rev) == ("hers", 0)


async def test_a_repeated_change_is_made_once(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    await chat.say(pair, alice, "one")
    edit = NewEdit(pair.key, 1, alice.key, "two", LATE, base=None)
    react = NewReaction(pair.key, 1, bob.key, "👍", True)
    take_back = NewReaction(pair.key, 1, bob.key, "👍", False)
    remove = NewRemoval(pair.key, 1, alice.key)
    outcomes = [
        (change.outcome, change.message.rev)
        for each in (edit, react, take_back, remove)
        for change in await chat.change(each, each)
        if change.message
    ]
    assert outcomes == [(outcome, rev) for rev in (1, 2, 3, 4) for outcome in (DONE, UNCHANGED)]


async def test_an_edit_of_another_text_is_a_conflict(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, "one")
    first, conflict, late, forced = await chat.change(
        NewEdit(pair.key, 1, alice.key, "two", LATE, base=None),
        NewEdit(pair.key, 1, alice.key, "three", LATE + 5, base=None),
        NewEdit(pair.key, 1, alice.key, "four", LATE + 6, base=LATE),
        NewEdit(pair.key, 1, alice.key, "five", LATE + 7),
    )
    assert [first.outcome, conflict.outcome, late.outcome] == [DONE, Outcome.CONFLICT, DONE]
    assert conflict.message == first.message
    assert forced.message is not None
    assert (forced.message.data, forced.message.rev) == ("five", 3)


async def test_edits_at_one_time_have_different_times(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, "one")
    changed = await chat.change(
        *[NewEdit(pair.key, 1, alice.key, text, LATE) for text in ("two", "three", "four")]
    )
    assert [c.message.edited_at for c in changed if c.message] == [LATE, LATE + 1, LATE + 2]


async def test_a_removed_message_is_gone(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    await chat.say(pair, alice, "secret words", "other")
    await chat.store.index()
    await chat.change(
        NewEdit(pair.key, 1, alice.key, "secret changed words", LATE),
        NewReaction(pair.key, 1, bob.key, "👍", True),
    )
    (removed,) = await chat.change(NewRemoval(pair.key, 1, alice.key))
    assert removed.message is not None
    message = removed.message
    assert (message.data, message.removed, message.rev) == ("", True, 3)
    assert (message.edited_at, message.reactions) == (None, ())
    assert (await page(chat, pair.key)).messages[0] == message
    for text in ("secret", "changed", "words"):
        assert await found(chat, bob.key, text) == []
    (summary,), _ = await chat.store.conversations(bob.key, cursor=None, limit=1)
    assert summary.unread == 1
    for change in (
        NewEdit(pair.key, 1, alice.key, "again", LATE),
        NewReaction(pair.key, 1, bob.key, "👍", True),
        NewReaction(pair.key, 1, bob.key, "👍", False),
    ):
        assert await chat.change(change) == [ChangeResult(Outcome.REMOVED, message)]
    assert await chat.store.check() == []


async def test_a_missing_message_cannot_be_changed(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, "one")
    places = [(pair.key, 2), (pair.key, 2**40), (pair.key, 0), (999, 1)]
    for conversation, seq in places:
        missing: list[NewChange] = [
            NewEdit(conversation, seq, alice.key, "x", LATE),
            NewRemoval(conversation, seq, alice.key, of_others=True),
            NewReaction(conversation, seq, alice.key, "👍", True),
        ]
        assert await chat.change(*missing) == [ChangeResult(Outcome.MISSING, None)] * 3
    assert (await page(chat, pair.key)).rev == 0
    assert await chat.store.messages(places) == []


async def test_reactions_have_the_order_in_which_they_were_added(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    await chat.say(pair, alice, "one")
    await chat.change(
        NewReaction(pair.key, 1, bob.key, "👍", True),
        NewReaction(pair.key, 1, alice.key, "🎉", True),
        NewReaction(pair.key, 1, alice.key, "👍", True),
        NewReaction(pair.key, 1, bob.key, "👍", False),
        NewReaction(pair.key, 1, bob.key, "👍", True),
    )
    history = await page(chat, pair.key)
    assert history.messages[0].reactions == (
        ReactionRecord(2, "🎉", alice.key),
        ReactionRecord(3, "👍", alice.key),
        ReactionRecord(5, "👍", bob.key),
    )
    assert (history.messages[0].rev, history.messages[0].edited_at) == (5, None)


async def test_messages_of_blocked_senders_get_no_reaction(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    await chat.say(pair, alice, "one")
    blocked = frozenset({alice.key})
    assert await chat.change(NewReaction(pair.key, 1, bob.key, "👍", True, blocked)) == [
        ChangeResult(Outcome.MISSING, None)
    ]


async def test_reactions_are_limited(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, "one")
    kinds = [chr(0x1F600 + n) for n in range(MAX_REACTION_KINDS)]
    await chat.change(*[NewReaction(pair.key, 1, alice.key, kind, True) for kind in kinds])
    (other_kind,) = await chat.change(NewReaction(pair.key, 1, alice.key, "👍", True))
    assert other_kind.outcome is Outcome.FULL
    more = [
        NewReaction(pair.key, 1, account, kinds[0], True)
        for account in range(1000, 1000 + MAX_REACTIONS - MAX_REACTION_KINDS)
    ]
    assert {changed.outcome for changed in await chat.change(*more)} == {DONE}
    (another,) = await chat.change(NewReaction(pair.key, 1, 5000, kinds[0], True))
    assert another.outcome is Outcome.FULL
    (repeated,) = await chat.change(more[0])
    assert repeated.outcome is UNCHANGED
    back, again = await chat.change(
        NewReaction(pair.key, 1, alice.key, kinds[0], False),
        NewReaction(pair.key, 1, 5000, kinds[0], True),
    )
    assert [back.outcome, again.outcome] == [DONE, DONE]


async def test_changed_messages_are_listed_once_by_their_newest_rev(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    await chat.say(pair, alice, *"abcde")
    assert await changes(chat, pair.key) == ([], False, 0)
    await chat.change(
        NewEdit(pair.key, 2, alice.key, "B", LATE),
        NewReaction(pair.key, 4, bob.key, "👍", True),
        NewRemoval(pair.key, 1, alice.key),
        NewEdit(pair.key, 2, alice.key, "BB", LATE),
    )
    assert await changes(chat, pair.key) == ([(2, 4), (3, 1), (4, 2)], False, 4)
    assert await changes(chat, pair.key, after=2) == ([(3, 1), (4, 2)], False, 4)
    assert await changes(chat, pair.key, after=4) == ([], False, 4)
    assert await changes(chat, pair.key, after=9) == ([], False, 4)
    assert await changes(chat, pair.key, limit=1) == ([(2, 4)], True, 2)
    assert await changes(chat, pair.key, limit=3) == ([(2, 4), (3, 1), (4, 2)], False, 4)
    assert await changes(chat, pair.key, first_seq=2) == ([(2, 4), (4, 2)], False, 4)
    assert await changes(chat, 999) == ([], False, 0)


async def test_each_conversation_has_its_own_revs(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    everyone = await chat.store.everyone()
    await chat.say(pair, alice, "a", "b")
    await chat.say(everyone, alice, "c", "d")
    changed = await chat.change(
        NewEdit(pair.key, 1, alice.key, "A", LATE),
        NewEdit(everyone.key, 1, alice.key, "C", LATE),
        NewEdit(pair.key, 2, alice.key, "B", LATE),
        NewEdit(everyone.key, 2, alice.key, "c", LATE),
    )
    assert [c.message.rev for c in changed if c.message] == [1, 1, 2, 2]
    summaries, _ = await chat.store.conversations(alice.key, cursor=None, limit=9)
    assert {s.conversation.key: s.rev for s in summaries} == {pair.key: 2, everyone.key: 2}


async def test_revs_have_no_gap_when_changes_are_written_at_once(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, *[f"{n}" for n in range(40)])
    changed = await asyncio.gather(
        *(chat.change(NewEdit(pair.key, n + 1, alice.key, f"new {n}", LATE)) for n in range(40))
    )
    revs = [each.message.rev for (each,) in changed if each.message]
    assert sorted(revs) == list(range(1, 41))


async def test_messages_and_changes_share_a_batch(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    await chat.say(pair, alice, "one")
    batch = [
        chat.message(pair, bob, "two"),
        NewEdit(pair.key, 1, alice.key, "ONE", LATE),
        NewReaction(pair.key, 2, alice.key, "👍", True),
        NewReaction(pair.key, 3, alice.key, "👍", True),
        NewMessage(pair.key, bob.key, None, LATE, "three", reply_to=1),
        NewReaction(pair.key, 3, alice.key, "👍", True),
    ]
    answers = await chat.store.commit(batch)
    outcomes = [
        answer.seq if isinstance(answer, Appended) else answer.outcome for answer in answers
    ]
    assert outcomes == [2, DONE, DONE, Outcome.MISSING, 3, DONE]
    history = await page(chat, pair.key)
    assert [(m.seq, m.data, m.rev, m.reply_to) for m in history.messages] == [
        (1, "ONE", 1, None),
        (2, "two", 2, None),
        (3, "three", 3, 1),
    ]
    assert await chat.store.commit([]) == []


async def test_search_shows_messages_as_they_are_now(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    await chat.say(pair, alice, *[f"word {n}" for n in range(30)])
    await chat.change(NewReaction(pair.key, 3, bob.key, "👍", True))
    messages, _ = await chat.store.search(
        alice.key, "word 2", conversation=None, cursor=None, limit=50
    )
    (reacted,) = [message for message in messages if message.reactions]
    assert (reacted.seq, reacted.rev) == (3, 1)


async def test_the_changes_of_a_deleted_room_are_deleted(chat: Populated) -> None:
    alice = await chat.account("alice")
    room = await chat.store.create_room("town", "Town", alice.key)
    await chat.say(room.conversation, alice, "one", "two")
    await chat.change(
        NewEdit(room.conversation, 1, alice.key, "x", LATE),
        NewReaction(room.conversation, 2, alice.key, "👍", True),
    )
    await chat.store.delete_room(room.conversation)
    again = await chat.store.create_room("town", "Town", alice.key)
    assert (await page(chat, again.conversation)).rev == 0


async def test_changes_survive_reopening(chat: Populated, address: str) -> None:
    if address == "memory:":
        return
    alice, bob, pair = await chat.pair()
    await chat.say(pair, alice, "one", "two")
    await chat.change(
        NewEdit(pair.key, 1, alice.key, "ONE", LATE),
        NewReaction(pair.key, 1, bob.key, "👍", True),
    )
    before, epoch = await page(chat, pair.key), await chat.store.epoch()
    await chat.store.close()
    reopened = Populated(open_store(address))
    await reopened.store.open()
    try:
        assert await page(reopened, pair.key) == before
        assert await reopened.store.epoch() == epoch
        (changed,) = await reopened.change(NewEdit(pair.key, 2, alice.key, "TWO", LATE))
        assert changed.message is not None
        assert changed.message.rev == 3
    finally:
        await reopened.store.close()
        await chat.store.open()


async def test_the_epoch_is_renewed(chat: Populated) -> None:
    before = await chat.store.epoch()
    assert before
    assert await chat.store.epoch() == before
    await chat.store.renew_epoch()
    assert await chat.store.epoch() != before
