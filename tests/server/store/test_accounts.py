"""Tests of all stores: accounts, login tokens, blocks."""

from __future__ import annotations

import time

import pytest
from msgspec import structs

from pychat.protocol import Availability
from pychat.server.store import AlreadyExists, Store
from pychat.server.store.records import Account, HookRecord, LoginToken
from tests.server.store.conftest import Populated

FAR = int(time.time() * 1000) + 86_400_000


def login(account: Account, id: str, *, last_seen_at: int = 5, expires_at: int = FAR) -> LoginToken:
    return LoginToken(
        id=id,
        account=account.key,
        token_hash=id.encode().ljust(32, b"\0"),
        device="Firefox",
        since=1,
        last_seen_at=last_seen_at,
        expires_at=expires_at,
    )


async def test_an_account_is_found_by_any_form_of_its_id(store: Store) -> None:
    made = await store.create_account("Alice", "Al", "hash", 7)
    assert made == Account(made.key, "Alice", "Al", "hash", False, 7, None)
    await store.update_account(made.key, status=Availability.DND, status_text="In a meeting")
    changed = structs.replace(made, status=Availability.DND, status_text="In a meeting")
    assert await store.account("alice") == changed
    await store.update_account(made.key, status=Availability.ONLINE, status_text="")
    assert await store.accounts([made.key]) == [made]
    assert await store.account("alice") == made
    assert await store.account("ＡＬＩＣＥ") == made
    assert await store.account("bob") is None


async def test_an_id_can_be_taken_only_once_in_any_form(store: Store) -> None:
    await store.create_account("Straße", "", None, 7)
    with pytest.raises(AlreadyExists):
        await store.create_account("STRASSE", "", None, 8)
    assert [a.id async for a in store.all_accounts()] == ["Straße"]


async def test_accounts_by_key_leave_out_unknown_ones(store: Store) -> None:
    alice = await store.create_account("alice", "", None, 1)
    bob = await store.create_account("bob", "", None, 1)
    found = await store.accounts([bob.key, 999, alice.key])
    assert sorted(a.id for a in found) == ["alice", "bob"]
    assert await store.accounts([]) == []


async def test_accounts_are_found_by_the_beginning_of_a_word(chat: Populated) -> None:
    for id, alias in [
        ("alice", "Alice Müller"),
        ("bob", "Mr. Möbius"),
        ("carol", "Carol"),
        ("dave", "김철수"),
    ]:
        await chat.account(id, alias)
    store = chat.store

    async def ids(query: str, limit: int = 10) -> list[str]:
        return [account.id for account in await store.find_accounts(query, limit)]

    assert await ids("MU") == ["alice"]
    assert await ids("mob") == ["bob"]
    assert await ids("m") == ["alice", "bob"]
    assert await ids("alice mül") == ["alice"]
    assert await ids("üller") == []
    assert await ids("철수") == ["dave"]
    assert await ids("") == ["alice", "bob", "carol", "dave"]
    assert await ids("", 2) == ["alice", "bob"]


async def test_a_changed_alias_is_found_and_the_old_one_is_not(chat: Populated) -> None:
    alice = await chat.account("alice", "Wonder")
    await chat.store.update_account(alice.key, alias="Looking Glass")
    assert await chat.store.find_accounts("wonder", 10) == []
    assert [a.alias for a in await chat.store.find_accounts("glass", 10)] == ["Looking Glass"]


async def test_disabled_accounts_are_not_found_but_listed(chat: Populated) -> None:
    alice = await chat.account("alice")
    await chat.account("bob")
    await chat.store.update_account(alice.key, disabled=True)
    assert [a.id for a in await chat.store.find_accounts("", 10)] == ["bob"]
    assert [(a.id, a.disabled) async for a in chat.store.all_accounts()] == [
        ("alice", True),
        ("bob", False),
    ]


async def test_an_update_changes_only_what_it_names(chat: Populated) -> None:
    alice = await chat.account("alice", "Al")
    await chat.store.update_account(alice.key, last_seen_at=9)
    await chat.store.update_account(alice.key, password_hash="other")
    account = await chat.store.account("alice")
    assert account == Account(alice.key, "alice", "Al", "other", False, alice.created_at, 9)


async def test_changes_that_end_logins_increment_the_counter(chat: Populated) -> None:
    store = chat.store
    alice = await chat.account("alice")
    seen = [await store.account_changes()]
    await store.update_account(alice.key, alias="A", last_seen_at=4)
    assert await store.account_changes() == seen[-1]
    await store.update_account(alice.key, password_hash="x")
    seen.append(await store.account_changes())
    await store.update_account(alice.key, disabled=True)
    seen.append(await store.account_changes())
    await store.revoke_login_tokens(alice.key, ["s1"])
    seen.append(await store.account_changes())
    assert seen == sorted(set(seen))


async def test_a_password_is_rehashed_only_while_it_is_the_same(chat: Populated) -> None:
    store = chat.store
    alice = await chat.account("alice")
    changes = await store.account_changes()
    assert await store.rehash_password(alice.key, "hash", "newer hash")
    assert not await store.rehash_password(alice.key, "hash", "another hash")
    (kept,) = await store.accounts([alice.key])
    assert kept.password_hash == "newer hash"
    assert await store.account_changes() == changes


async def test_a_login_token_is_found_by_its_hash(chat: Populated) -> None:
    alice = await chat.account("alice")
    session = login(alice, "one")
    await chat.store.add_login_token(session)
    assert await chat.store.login_token(session.token_hash) == session
    assert await chat.store.login_token(b"?" * 32) is None


async def test_login_tokens_are_listed_newest_first_and_extended_by_use(chat: Populated) -> None:
    alice, bob = await chat.account("alice"), await chat.account("bob")
    one, two = login(alice, "one", last_seen_at=5), login(alice, "two", last_seen_at=6)
    other = login(bob, "other")
    for session in (one, two, other):
        await chat.store.add_login_token(session)
    tokens = [other.token_hash, b"?" * 32, one.token_hash]
    assert {s.id for s in await chat.store.login_tokens_by_hash(tokens)} == {"one", "other"}
    assert await chat.store.login_tokens_by_hash([]) == []
    assert [s.id for s in await chat.store.login_tokens(alice.key)] == ["two", "one"]
    await chat.store.touch_login_token(one.token_hash, 7, FAR + 1)
    sessions = await chat.store.login_tokens(alice.key)
    assert [(s.id, s.last_seen_at, s.expires_at) for s in sessions] == [
        ("one", 7, FAR + 1),
        ("two", 6, FAR),
    ]


async def test_revoking_deletes_these_login_tokens_and_expired_ones(chat: Populated) -> None:
    alice, bob = await chat.account("alice"), await chat.account("bob")
    for session in (
        login(alice, "keep"),
        login(alice, "gone"),
        login(alice, "old", expires_at=10),
        login(bob, "bobs-old", expires_at=10),
    ):
        await chat.store.add_login_token(session)
    await chat.store.revoke_login_tokens(alice.key, ["gone", "bobs-old"])
    assert [s.id for s in await chat.store.login_tokens(alice.key)] == ["keep"]
    assert [s.id for s in await chat.store.login_tokens(bob.key)] == ["bobs-old"]


async def test_blocks_are_one_way_and_can_be_removed(chat: Populated) -> None:
    alice, bob = await chat.account("alice"), await chat.account("bob")
    await chat.store.block(alice.key, bob.key)
    await chat.store.block(alice.key, bob.key)
    assert await chat.store.blocked(alice.key) == {bob.key}
    assert await chat.store.blocked(bob.key) == frozenset()
    assert [block.account.key for block in await chat.store.blockers(bob.key)] == [alice.key]
    assert await chat.store.blockers(alice.key) == []
    await chat.store.unblock(alice.key, bob.key)
    await chat.store.unblock(alice.key, bob.key)
    assert await chat.store.blocked(alice.key) == frozenset()


async def test_a_blocked_user_continues_to_see_the_old_alias_and_time(chat: Populated) -> None:
    store = chat.store
    bob, carol = await chat.account("bob"), await chat.account("carol")
    alice = await chat.account("alice", "Al")
    await store.block(alice.key, bob.key)
    await store.update_account(alice.key, last_seen_at=alice.created_at + 5)
    await store.block(alice.key, carol.key)
    await store.update_account(alice.key, alias="Alice", last_seen_at=alice.created_at + 10)
    await store.block(alice.key, bob.key, alice.created_at + 20)
    (block,) = await store.blockers(bob.key)
    assert (block.account.alias, block.alias, block.since) == ("Alice", "Al", alice.created_at)
    (block,) = await store.blockers(carol.key)
    assert (block.alias, block.since) == ("Al", alice.created_at + 5)
    await store.unblock(alice.key, bob.key)
    await store.block(alice.key, bob.key, alice.created_at + 30)
    (block,) = await store.blockers(bob.key)
    assert (block.alias, block.since) == ("Alice", alice.created_at + 30)


async def test_webhooks(chat: Populated) -> None:
    alice = await chat.account("alice")
    room = await chat.store.create_room("ops", "Operations", alice.key)
    first = HookRecord("b", b"\1" * 32, room.conversation, alice.key, 5)
    second = HookRecord("a", b"\2" * 32, room.conversation, alice.key, 6)
    for hook in (second, first):
        await chat.store.add_hook(hook)
    assert await chat.store.hooks() == [first, second]
    assert await chat.store.hook(first.token_hash) == first
    assert await chat.store.hook(b"?" * 32) is None
    assert await chat.store.remove_hook("b")
    assert not await chat.store.remove_hook("b")
    assert await chat.store.hooks() == [second]
