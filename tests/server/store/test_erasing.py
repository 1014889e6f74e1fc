"""Tests of all stores: a person is erased."""

from __future__ import annotations

import secrets

from pychat.protocol import Availability
from pychat.server.store.erasing import Erased, erase, owned_rooms
from pychat.server.store.records import HookRecord, LoginToken, NewReaction
from tests.server.store.conftest import Populated


async def test_a_person_is_erased_and_nothing_else(chat: Populated) -> None:
    store = chat.store
    alice, bob, pair = await chat.pair("alice", "bob")
    room = await store.create_room("tea", "Tea", bob.key)
    await store.join_room(room.conversation, alice.key)
    everyone = await store.everyone()
    await chat.say(pair, alice, "one", "two")
    await chat.say(pair, bob, "an answer")
    await chat.say(room.conversation, alice, "in the room")
    await chat.say(everyone, alice, "to all")
    await store.leave_room(room.conversation, alice.key)
    await chat.change(
        NewReaction(pair.key, 3, alice.key, "👍", on=True),
        NewReaction(pair.key, 3, bob.key, "👍", on=True),
        NewReaction(pair.key, 1, bob.key, "👍", on=True),
    )
    await store.block(alice.key, bob.key)
    await store.update_account(
        alice.key, alias="Alice L.", status=Availability.AWAY, status_text="out", last_seen_at=5
    )
    token = LoginToken("t", alice.key, secrets.token_bytes(32), "web", 1, 1, 2**41)
    await store.add_login_token(token)
    await store.add_hook(HookRecord("h", secrets.token_bytes(32), room.conversation, alice.key, 1))

    assert await owned_rooms(store, bob) == ["tea"]
    assert await owned_rooms(store, alice) == []
    read: list[int] = []
    assert await erase(store, alice, "no password", read.append) == Erased(4, 1)
    assert sum(read) == 5

    for conversation, texts in ((pair, ["", "", "an answer"]), (everyone, [""])):
        page = await store.history(
            conversation.key, first_seq=1, before=None, after=None, limit=100
        )
        assert [message.data for message in page.messages] == texts
    page = await store.history(room.conversation, first_seq=1, before=None, after=None, limit=100)
    assert page.messages[0].removed
    [answer] = await store.messages([(pair.key, 3)])
    assert [reaction.account for reaction in answer.reactions] == [bob.key]
    erased = await store.account("alice")
    assert erased is not None
    assert (erased.alias, erased.password_hash, erased.disabled) == ("alice", "no password", True)
    assert (erased.status, erased.status_text) == (Availability.ONLINE, "")
    assert await store.login_tokens(alice.key) == await store.hooks() == []
    assert await store.blocked(alice.key) == frozenset()
    assert await store.find_accounts("alice", 10) == []
    assert (await store.search(bob.key, "one", conversation=None, cursor=None, limit=10))[0] == []
    # Again, after an interruption.
    assert await erase(store, alice, "no password", read.append) == Erased()
    assert await store.check() == []
