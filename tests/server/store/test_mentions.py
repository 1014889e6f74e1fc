"""Tests of all stores: whom messages mention, and unread mentions."""

from __future__ import annotations

from pychat.server.store.records import (
    ALL_MEMBERS,
    Account,
    ConversationSummary,
    CursorMove,
    NewEdit,
    NewMessage,
    NewReaction,
    NewRemoval,
    RoomRecord,
)
from tests.server.store.conftest import Populated

LATE = 1_800_000_000_000


async def room_of(chat: Populated, *ids: str) -> tuple[RoomRecord, list[Account]]:
    """Create a room that the first account owns, and all are in."""
    accounts = [await chat.account(id) for id in ids]
    room = await chat.store.create_room("r", "r", accounts[0].key)
    for account in accounts[1:]:
        await chat.store.join_room(room.conversation, account.key)
    return room, accounts


async def say(chat: Populated, room: RoomRecord, sender: Account, *mentions: int) -> None:
    new = NewMessage(room.conversation, sender.key, None, 1, "text", mentions=mentions)
    await chat.store.append([new])


async def listed(chat: Populated, account: Account) -> ConversationSummary:
    summaries, _ = await chat.store.conversations(account.key, cursor=None, limit=10)
    (found,) = [each for each in summaries if each.conversation.room_id == "r"]
    return found


async def mentions(chat: Populated, room: RoomRecord) -> list[tuple[int, ...]]:
    page = await chat.store.history(
        room.conversation, first_seq=1, before=None, after=None, limit=100
    )
    return [message.mentions for message in page.messages]


async def test_messages_keep_whom_they_mention(chat: Populated) -> None:
    room, (alice, bob, carol) = await room_of(chat, "alice", "bob", "carol")
    await say(chat, room, alice)
    await say(chat, room, alice, bob.key, carol.key)
    await say(chat, room, alice, ALL_MEMBERS)
    everybody = (bob.key, carol.key)
    assert await mentions(chat, room) == [(), everybody, (ALL_MEMBERS,)]
    (found,) = await chat.store.messages([(room.conversation, 2)])
    assert found.mentions == everybody
    last = (await listed(chat, bob)).last
    assert last is not None
    assert last.mentions == (ALL_MEMBERS,)
    assert await chat.store.check() == []


async def test_unread_mentions_follow_the_read_cursor(chat: Populated) -> None:
    room, (alice, bob, carol) = await room_of(chat, "alice", "bob", "carol")
    await say(chat, room, alice, bob.key)
    await say(chat, room, alice, ALL_MEMBERS, bob.key)
    await say(chat, room, bob, bob.key, carol.key)
    await say(chat, room, alice)
    counted = [
        ((entry := await listed(chat, each)).unread, entry.unread_mentions)
        for each in (alice, bob, carol)
    ]
    assert counted == [(1, 0), (3, 2), (4, 2)]
    await chat.store.move_cursors([CursorMove(room.conversation, bob.key, read_seq=1)])
    assert (await listed(chat, bob)).unread_mentions == 1
    await chat.store.move_cursors([CursorMove(room.conversation, bob.key, read_seq=4)])
    assert (await listed(chat, bob)).unread_mentions == 0


async def test_mentions_from_before_a_join_do_not_count(chat: Populated) -> None:
    room, (alice, bob) = await room_of(chat, "alice", "bob")
    await say(chat, room, alice, bob.key)
    await chat.store.leave_room(room.conversation, bob.key)
    await say(chat, room, alice, ALL_MEMBERS)
    await chat.store.join_room(room.conversation, bob.key)
    assert (await listed(chat, bob)).unread_mentions == 0
    await say(chat, room, alice, ALL_MEMBERS)
    assert (await listed(chat, bob)).unread_mentions == 1


async def test_mentions_by_blocked_accounts_do_not_count(chat: Populated) -> None:
    room, (alice, bob, carol) = await room_of(chat, "alice", "bob", "carol")
    await say(chat, room, alice, bob.key)
    await say(chat, room, carol, bob.key)
    await chat.store.block(bob.key, alice.key)
    assert (await listed(chat, bob)).unread_mentions == 1
    await chat.store.unblock(bob.key, alice.key)
    assert (await listed(chat, bob)).unread_mentions == 2


async def test_an_edit_replaces_the_mentions(chat: Populated) -> None:
    room, (alice, bob, carol) = await room_of(chat, "alice", "bob", "carol")
    await say(chat, room, alice, bob.key)
    edit = NewEdit(room.conversation, 1, alice.key, "new", LATE, mentions=(carol.key,))
    (changed,) = await chat.change(edit)
    assert changed.message is not None
    assert changed.message.mentions == (carol.key,)
    assert await mentions(chat, room) == [(carol.key,)]
    assert (await listed(chat, bob)).unread_mentions == 0
    assert (await listed(chat, carol)).unread_mentions == 1
    (reacted,) = await chat.change(NewReaction(room.conversation, 1, bob.key, "👍", on=True))
    assert reacted.message is not None
    assert reacted.message.mentions == (carol.key,)
    await chat.change(NewEdit(room.conversation, 1, alice.key, "plain", LATE))
    assert await mentions(chat, room) == [()]
    assert (await listed(chat, carol)).unread_mentions == 0


async def test_the_first_change_keeps_or_removes_mentions(chat: Populated) -> None:
    room, (alice, bob) = await room_of(chat, "alice", "bob")
    await say(chat, room, alice, bob.key)
    await say(chat, room, alice, bob.key)
    (reacted,) = await chat.change(NewReaction(room.conversation, 1, bob.key, "👍", on=True))
    assert reacted.message is not None
    assert reacted.message.mentions == (bob.key,)
    (removed,) = await chat.change(NewRemoval(room.conversation, 2, alice.key))
    assert removed.message is not None
    assert removed.message.mentions == ()
    assert await mentions(chat, room) == [(bob.key,), ()]
    assert (await listed(chat, bob)).unread_mentions == 1
    page = await chat.store.changed(room.conversation, first_seq=1, after=0, limit=10)
    assert [message.mentions for message in page.messages] == [(bob.key,), ()]
