"""Tests of all stores: conversations, members, cursors, rooms."""

from __future__ import annotations

import pytest

from pychat.protocol import NotifyLevel
from pychat.server.store import AlreadyExists, Store
from pychat.server.store.records import (
    EVERYONE,
    Account,
    ConversationKind,
    CursorMove,
    Membership,
    RoomRecord,
    Standing,
)
from tests.server.store.conftest import Populated, removed


async def test_everyone_always_exists_and_contains_every_account(chat: Populated) -> None:
    everyone = await chat.store.everyone()
    assert everyone.kind is ConversationKind.EVERYONE
    alice = await chat.account("alice")
    await chat.say(everyone, alice, "one", "two")
    bob = await chat.account("bob")
    assert await chat.store.membership(everyone.key, bob.key) == Membership(
        everyone.key, bob.key, 3, 2, 2
    )
    assert await chat.store.membership(everyone.key, alice.key) == Membership(
        everyone.key, alice.key, 1, 0, 0
    )


async def test_a_pair_is_one_conversation_in_either_order(chat: Populated) -> None:
    alice, bob = await chat.account("alice"), await chat.account("bob")
    store = chat.store
    assert await store.pair(alice.key, bob.key) is None
    made = await store.open_pair(bob.key, alice.key)
    assert made.kind is ConversationKind.PAIR
    assert set(made.accounts) == {alice.key, bob.key}
    assert await store.open_pair(alice.key, bob.key) == made
    assert await store.pair(alice.key, bob.key) == await store.pair(bob.key, alice.key) == made
    for account in (alice, bob):
        assert await store.membership(made.key, account.key) == Membership(
            made.key, account.key, 1, 0, 0
        )
    assert await store.membership(made.key, 999) is None


async def test_messages_to_oneself_have_a_conversation(chat: Populated) -> None:
    alice = await chat.account("alice")
    made = await chat.store.open_pair(alice.key, alice.key)
    assert made.accounts == (alice.key, alice.key)
    assert await chat.store.pairs(alice.key) == [made]
    await chat.say(made, alice, "note")
    summaries, _ = await chat.store.conversations(alice.key, cursor=None, limit=10)
    assert [(s.conversation, s.last_seq, s.unread) for s in summaries if s.last_seq] == [
        (made, 1, 0)
    ]


async def test_conversations_are_looked_up_by_key(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    store = chat.store
    everyone = await store.everyone()
    kept = await store.create_room("kept", "", alice.key)
    gone = await store.create_room("gone", "", alice.key)
    await store.delete_room(gone.conversation)
    found = await store.conversations_by_key(
        [pair.key, 999, kept.conversation, gone.conversation, everyone.key]
    )
    assert {c.key: (c.kind, c.room_id) for c in found} == {
        pair.key: (ConversationKind.PAIR, ""),
        everyone.key: (ConversationKind.EVERYONE, ""),
        kept.conversation: (ConversationKind.ROOM, "kept"),
    }
    assert await store.conversations_by_key([]) == []


async def test_many_pairs_are_opened_at_once(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    carol, dave = await chat.account("carol"), await chat.account("dave")
    await chat.store.create_room("lounge", "", alice.key)
    await chat.say(pair, alice, "one", "two")
    wanted = [(bob.key, alice.key), (carol.key, alice.key), (dave.key, dave.key)]
    opened = await chat.store.open_pairs([*wanted, wanted[1][::-1]])
    assert opened[0] == pair
    assert opened[1] == opened[3] == await chat.store.pair(alice.key, carol.key)
    assert [each.accounts for each in opened[:3]] == [tuple(sorted(one)) for one in wanted]
    assert await chat.store.open_pairs(wanted) == opened[:3]
    assert sorted(c.key for c in await chat.store.pairs(alice.key)) == [pair.key, opened[1].key]
    assert await chat.store.pairs(dave.key) == [opened[2]]
    assert await chat.store.last_seqs([opened[1].key, pair.key]) == [0, 2]
    await chat.say(opened[1], carol, "hello")
    members = await chat.store.memberships([each.key for each in opened[1:3]])
    assert {(m.conversation, m.account, m.first_seq) for m in members} == {
        (opened[1].key, alice.key, 1),
        (opened[1].key, carol.key, 1),
        (opened[2].key, dave.key, 1),
    }
    assert await chat.store.open_pairs([]) == await chat.store.memberships([]) == []


async def test_conversations_are_listed_newest_first_in_pages(chat: Populated) -> None:
    alice = await chat.account("alice")
    everyone = await chat.store.everyone()
    pairs = []
    for name in ("b", "c", "d", "e"):
        other = await chat.account(name)
        pair = await chat.store.open_pair(alice.key, other.key)
        pairs.append(pair.key)
        if name != "e":  # a pair that nobody has written in is not listed
            await chat.say(pair, other, f"from {name}")
    room = await chat.store.create_room("lounge", "Lounge", alice.key)
    await chat.say(pairs[0], alice, "back to b")
    expected = [pairs[0], pairs[2], pairs[1]]

    seen: list[int] = []
    cursor = None
    for _ in range(10):
        page, cursor = await chat.store.conversations(alice.key, cursor=cursor, limit=2)
        seen += [summary.conversation.key for summary in page]
        if cursor is None:
            break
    assert seen[:3] == expected
    assert sorted(seen[3:]) == sorted([everyone.key, room.conversation])
    with pytest.raises(ValueError, match="cursor"):
        await chat.store.conversations(alice.key, cursor="nonsense", limit=2)


async def test_a_summary_contains_the_last_message_cursors_and_unread(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    await chat.say(pair, alice, "one", "two")
    await chat.say(pair, bob, "three", "four")
    await chat.store.move_cursors(
        [CursorMove(pair.key, alice.key, read_seq=3), CursorMove(pair.key, bob.key, 2)]
    )
    page, _ = await chat.store.conversations(alice.key, cursor=None, limit=1)
    (summary,) = page
    assert summary.conversation == pair
    assert summary.membership == Membership(pair.key, alice.key, 1, 3, 3)
    assert summary.peer == Membership(pair.key, bob.key, 1, 2, 0)
    assert summary.last_seq == 4
    assert summary.last is not None
    assert (summary.last.seq, summary.last.data, summary.last.sender) == (4, "four", bob.key)
    assert summary.unread == 1
    (of_bob,), _ = await chat.store.conversations(bob.key, cursor=None, limit=1)
    assert of_bob.unread == 2


async def test_unread_leaves_out_what_cannot_be_read(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    carol = await chat.account("carol")
    room = await chat.store.create_room("town", "", alice.key)
    for other in (bob, carol):
        await chat.store.join_room(room.conversation, other.key)
    await chat.say(pair, bob, "1", "2", "3", "4")
    await chat.say(room.conversation, bob, "one", "two")
    await chat.say(room.conversation, carol, "three")
    await chat.say(room.conversation, alice, "four")

    async def unread() -> dict[int, int]:
        page, _ = await chat.store.conversations(alice.key, cursor=None, limit=9)
        return {each.conversation.key: each.unread for each in page if each.last_seq}

    await chat.store.move_cursors([CursorMove(pair.key, alice.key, read_seq=1)])
    assert await unread() == {pair.key: 3, room.conversation: 3}
    for conversation, seq in ((pair.key, 1), (pair.key, 4), (room.conversation, 1)):
        await removed(chat.store, conversation, seq)
    assert await unread() == {pair.key: 2, room.conversation: 2}
    await chat.store.block(alice.key, carol.key)
    assert await unread() == {pair.key: 2, room.conversation: 1}


async def test_a_late_member_of_everyone_sees_no_earlier_message(chat: Populated) -> None:
    everyone = await chat.store.everyone()
    alice = await chat.account("alice")
    await chat.say(everyone, alice, "before")
    bob = await chat.account("bob")
    (summary,), _ = await chat.store.conversations(bob.key, cursor=None, limit=10)
    assert (summary.last_seq, summary.last, summary.unread) == (1, None, 0)
    await chat.say(everyone, alice, "after")
    (summary,), _ = await chat.store.conversations(bob.key, cursor=None, limit=10)
    assert summary.last is not None
    assert (summary.last.data, summary.unread) == ("after", 1)


async def test_cursors_only_move_forward(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    await chat.say(pair, bob, *"abcde")

    async def move(delivered: int, read: int) -> tuple[int, int]:
        (after,) = await chat.store.move_cursors([CursorMove(pair.key, alice.key, delivered, read)])
        assert await chat.store.membership(pair.key, alice.key) == after
        return after.delivered_seq, after.read_seq

    assert await move(2, 0) == (2, 0)
    assert await move(1, 1) == (2, 1)
    assert await move(0, 4) == (4, 4)
    assert await move(3, 3) == (4, 4)
    assert await chat.store.membership(pair.key, bob.key) == Membership(pair.key, bob.key, 1, 0, 0)


async def test_cursor_moves_are_answered_in_order(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    await chat.say(pair, bob, *"abc")
    moves = [
        CursorMove(pair.key, bob.key, 1),
        CursorMove(999, bob.key, 1),  # gone meanwhile: answered by an empty membership
        CursorMove(pair.key, alice.key, 2),
    ]
    assert await chat.store.move_cursors(moves) == [
        Membership(pair.key, bob.key, 1, 1, 0),
        Membership(999, bob.key, 0, 0, 0),
        Membership(pair.key, alice.key, 1, 2, 0),
    ]
    twice = [CursorMove(pair.key, bob.key, 3), CursorMove(pair.key, bob.key, 2)]
    assert (await chat.store.move_cursors(twice))[-1] == Membership(pair.key, bob.key, 1, 3, 0)
    assert await chat.store.move_cursors([]) == []


async def test_a_room_has_its_owner_as_first_member(chat: Populated) -> None:
    alice = await chat.account("alice")
    room = await chat.store.create_room("Lounge", "The lounge", alice.key)
    assert room == RoomRecord("Lounge", "The lounge", alice.key, room.conversation)
    assert await chat.store.room("LOUNGE") == room
    assert await chat.store.room("kitchen") is None
    assert await chat.store.members(room.conversation) == [alice.key]
    with pytest.raises(AlreadyExists):
        await chat.store.create_room("lounge", "Mine", alice.key)
    assert await chat.store.rooms() == [room]


async def test_rooms_are_listed_by_id_and_renamed(chat: Populated) -> None:
    alice = await chat.account("alice")
    for id in ("b", "a", "c"):
        await chat.store.create_room(id, id.upper(), alice.key)
    room = await chat.store.room("b")
    assert room is not None
    await chat.store.update_room(room.conversation, name="Bee")
    assert [(room.id, room.name) for room in await chat.store.rooms()] == [
        ("a", "A"),
        ("b", "Bee"),
        ("c", "C"),
    ]


async def test_members_read_from_their_join_on(chat: Populated) -> None:
    alice, bob = await chat.account("alice"), await chat.account("bob")
    room = await chat.store.create_room("lounge", "Lounge", alice.key)
    key = room.conversation
    await chat.say(key, alice, "one", "two")
    joined = await chat.store.join_room(key, bob.key)
    assert joined == Membership(key, bob.key, 3, 2, 2)
    await chat.say(key, alice, "three")
    assert await chat.store.join_room(key, bob.key) == joined
    assert sorted(await chat.store.members(key)) == sorted([alice.key, bob.key])

    await chat.store.leave_room(key, bob.key)
    assert await chat.store.membership(key, bob.key) is None
    assert await chat.store.members(key) == [alice.key]
    assert await chat.store.join_room(key, bob.key) == Membership(key, bob.key, 4, 3, 3)


async def test_a_member_chooses_what_is_announced(chat: Populated) -> None:
    store = chat.store
    alice, bob = await chat.account("alice"), await chat.account("bob")
    key = (await store.create_room("lounge", "Lounge", alice.key)).conversation
    assert not await store.set_notify(key, bob.key, NotifyLevel.MUTED)
    await store.join_room(key, bob.key)
    for level in (NotifyLevel.MUTED, NotifyLevel.ALL, NotifyLevel.MENTIONS):
        assert await store.set_notify(key, bob.key, level)
        assert await store.membership(key, bob.key) == Membership(key, bob.key, 1, 0, 0, level)
    await store.move_cursors([CursorMove(key, bob.key, 1, 1)])
    listed, _ = await store.conversations(bob.key, cursor=None, limit=10)
    levels = {each.conversation.key: each.membership.notify for each in listed}
    assert levels == {key: NotifyLevel.MENTIONS, EVERYONE.key: NotifyLevel.ALL}
    assert {m.account: m.notify for m in await store.memberships([key])} == {
        alice.key: NotifyLevel.ALL,
        bob.key: NotifyLevel.MENTIONS,
    }
    await store.leave_room(key, bob.key)
    assert (await store.join_room(key, bob.key)).notify is NotifyLevel.ALL


async def test_rooms_have_topics_owners_and_standings(chat: Populated) -> None:
    store = chat.store
    alice, bob = await chat.account("alice"), await chat.account("bob")
    room = await store.create_room("lounge", "Lounge", alice.key, private=True)
    assert room.private
    await store.update_room(room.conversation, topic="tea", owner=bob.key)
    changed = RoomRecord("lounge", "Lounge", bob.key, room.conversation, "tea", private=True)
    assert await store.rooms() == [changed]
    await store.update_room(room.conversation, topic="")
    found = await store.room("lounge")
    assert found is not None
    assert (found.topic, found.owner) == ("", bob.key)

    async def standing(of: Account) -> Standing | None:
        all = {(each.conversation, each.account): each.standing for each in await store.standings()}
        return all.pop((room.conversation, of.key), None)

    await store.set_standing(room.conversation, bob.key, Standing.INVITED)
    await store.set_standing(room.conversation, alice.key, Standing.MODERATOR)
    assert await standing(bob) is Standing.INVITED
    await store.join_room(room.conversation, bob.key)
    await store.join_room(room.conversation, alice.key)
    assert (await standing(alice), await standing(bob)) == (Standing.MODERATOR, None)
    await store.leave_room(room.conversation, bob.key, barred=True)
    assert await store.members(room.conversation) == [alice.key]
    assert await standing(bob) is Standing.BARRED
    await store.set_standing(room.conversation, bob.key, None)
    await store.leave_room(room.conversation, alice.key)
    assert await store.standings() == []
    await store.set_standing(room.conversation, bob.key, Standing.INVITED)
    await store.delete_room(room.conversation)
    assert await store.standings() == []


async def test_a_room_created_after_a_deletion_has_another_conversation(chat: Populated) -> None:
    alice = await chat.account("alice")
    first = await chat.store.create_room("lounge", "Lounge", alice.key)
    await chat.say(first.conversation, alice, "secret")
    await chat.store.delete_room(first.conversation)
    assert await chat.store.room("lounge") is None
    assert await chat.store.rooms() == []
    assert await chat.store.members(first.conversation) == []
    assert await chat.store.membership(first.conversation, alice.key) is None
    assert (await chat.store.search(alice.key, "secret", conversation=None, cursor=None, limit=10))[
        0
    ] == []

    second = await chat.store.create_room("lounge", "Again", alice.key)
    assert second.conversation != first.conversation
    assert await chat.store.last_seq(second.conversation) == 0
    listed, _ = await chat.store.conversations(alice.key, cursor=None, limit=10)
    assert first.conversation not in [summary.conversation.key for summary in listed]
    assert "lounge" in [summary.conversation.room_id for summary in listed]


async def test_a_message_that_arrives_after_its_room_was_deleted_is_harmless(
    chat: Populated,
) -> None:
    alice, bob, pair = await chat.pair()
    room = await chat.store.create_room("lounge", "Lounge", alice.key)
    await chat.store.delete_room(room.conversation)
    await chat.store.append(
        [chat.message(room.conversation, alice, "late"), chat.message(pair, bob, "in time")]
    )
    (message,), *_ = await chat.store.history(
        pair.key, first_seq=1, before=None, after=None, limit=10
    )
    assert message.data == "in time"


async def test_an_open_store_is_ready(store: Store) -> None:
    await store.check_ready()
    assert store.location
