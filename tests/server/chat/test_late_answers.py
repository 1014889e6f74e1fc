"""Accounts, blocks and partners: a late answer of the store does not undo newer changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import cycle
from typing import Any

import pytest
from argon2 import PasswordHasher

from pychat.server.chat import Chat, Limits
from pychat.server.chat.accounts import authentication, changes
from pychat.server.chat.accounts.passwords import hash_password
from pychat.server.chat.clock import now
from pychat.server.store.records import LoginToken
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in
from tests.turns import turns

OUTDATED = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


async def with_outdated_hash(store: DelayedStore, id: str = "alice") -> int:
    """Create an account whose password will be rehashed at the next login, and return its key."""
    made = await store.inner.create_account(id, id, OUTDATED.hash("secret password"), 0)
    return made.key


# --- accounts ---


@pytest.mark.parametrize("how", ["refuse add_login_token", "fail add_login_token", "refuse pairs"])
async def test_a_login_that_fails_by_the_store_leaves_no_token(how: str) -> None:
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        await logged_in(chat, "alice")
        account = await store.inner.account("alice")
        assert account is not None
        bob = await logged_in(chat, "bob")
        bob.leave()
        (before,) = await store.inner.login_tokens(account.key + 1)
        failure, method = how.split()
        getattr(store, failure)(method)
        assert (await Direct(chat, "bob").login())["code"] == "503"
        assert await store.inner.login_tokens(account.key + 1) == [before]


async def test_an_unused_token_that_cannot_be_revoked_is_revoked_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 0)
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        store.refuse("pairs")
        store.refuse("revoke_login_tokens")
        assert (await Direct(chat, "alice").login())["code"] == "503"
        account = await store.inner.account("alice")
        assert account is not None
        async with asyncio.timeout(60):
            while await store.inner.login_tokens(account.key):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0)
        again = store.hold("revoke_login_tokens")
        await turns()
        assert not again.called.is_set()


async def test_a_client_that_leaves_during_its_login_leaves_no_token() -> None:
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        loading, revoking = store.hold("pairs"), store.hold("revoke_login_tokens")
        client = Direct(chat, "alice")
        client.start_login()
        await loading.called.wait()
        account = await store.inner.account("alice")
        assert account is not None
        assert len(await store.inner.login_tokens(account.key)) == 1
        client.leave()
        loading.answer()
        revoking.do()
        await revoking.done.wait()
        revoking.answer()
        assert await store.inner.login_tokens(account.key) == []


@pytest.mark.parametrize(
    ("request_", "read"),
    [
        (("history", {"with": "bob"}), "history"),
        (("search", {"text": "word"}), "search"),
        (("users", {"query": ""}), "find_accounts"),
        (("conversations", {}), "conversations"),
    ],
)
async def test_a_read_among_endless_changes_is_answered(
    request_: tuple[str, dict[str, str]], read: str
) -> None:
    store = DelayedStore()
    async with chatting(store, limits=None) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        await bob.send_message("alice", "word")
        answer = alice.start(*request_)
        for change in cycle(("block", "unblock")):
            held = store.hold(read)
            await first_of(held.called.wait(), answer)
            if answer.done():
                held.answer()
                break
            assert (await bob.ask(change, id="alice"))["code"] == "200"
            held.answer()
        refused = await answer
        assert (refused["code"], refused["retryAfter"]) == ("503", 1.0)
        assert (await alice.ask(*request_))["code"] == "200"


async def test_a_login_among_endless_changes_of_others_ends() -> None:
    store = DelayedStore()
    async with chatting(store, accounts="claim", limits=None) as chat:
        mallory = await logged_in(chat, "mallory")
        account = await store.inner.account("mallory")
        assert account is not None
        for number in range(20):
            token = LoginToken(f"{number}", account.key, b"%d" % number, "", now(), now(), 2**53)
            await store.inner.add_login_token(token)
        login = Direct(chat, "alice").start_login()
        for number in range(20):
            held = store.hold("pairs")
            await first_of(held.called.wait(), login)
            if login.done():
                break
            revoking = mallory.start("sessions", revoke=f"{number}")
            for _ in range(50):  # It may have to wait for the login.
                await asyncio.sleep(0)
            held.answer()
        else:
            raise AssertionError("the login is checked again and again")
        assert (await login)["code"] == "200"
        assert (await revoking)["code"] == "200"


async def first_of(*waiting: Awaitable[Any]) -> None:
    tasks = [asyncio.ensure_future(each) for each in waiting]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if not isinstance(task, asyncio.Task):
            continue
        task.cancel()


@pytest.mark.parametrize("modern", [True, False])
async def test_a_password_that_is_changed_while_a_login_rehashes_the_old_one_stays(
    modern: bool,
) -> None:
    store = DelayedStore()
    key = await with_outdated_hash(store)
    async with chatting(store, accounts="claim") as chat:
        held = store.hold("rehash_password")
        thief = Direct(chat, "alice", modern=modern)
        login = thief.start_login()
        await held.called.wait()
        await store.inner.update_account(key, password_hash=hash_password("the new one"))
        held.answer()
        assert (await login)["code"] == "503"
        assert (await thief.login())["code"] == "401"
        assert (await Direct(chat, "alice").login("the new one"))["code"] == "200"


async def test_simultaneous_logins_that_rehash_all_succeed() -> None:
    store = DelayedStore(seed=1)
    await with_outdated_hash(store)
    async with chatting(store, accounts="claim", limits=None) as chat:
        clients = [Direct(chat, "alice") for _ in range(4)]
        for number, client in enumerate(clients):
            client.remote_address = f"127.0.0.{number}"
        answers = await asyncio.gather(*(client.login() for client in clients))
        assert [answer["code"] for answer in answers] == ["200"] * 4


async def test_a_page_that_logged_in_before_the_rehash_stays_logged_in() -> None:
    """An original client has no token: its login is checked by the hash of its password."""
    store = DelayedStore()
    await with_outdated_hash(store)
    async with chatting(store, accounts="claim") as chat:
        page = Direct(chat, "alice", modern=False)
        held = store.hold("rehash_password")
        page.tell("login", {"id": "alice", "password": "secret password"})
        await held.called.wait()
        other = Direct(chat, "alice")
        other.remote_address = "127.0.0.2"
        assert (await other.login())["code"] == "200"
        held.answer()
        assert (await page.next("response"))["code"] == "200"
        bob = await store.inner.create_account("bob", "bob", None, 0)
        bobs = store.hold("account_changes")
        await store.inner.update_account(bob.key, disabled=True)
        await bobs.called.wait()
        reviewed = store.hold("login_tokens_by_hash")
        bobs.answer()
        await reviewed.called.wait()
        reviewed.answer()
        assert (await other.ask("users"))["code"] == "200"
        assert not page.gone.is_set()


async def test_two_claims_of_an_id_with_the_same_password_both_succeed() -> None:
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        phone, desk = Direct(chat, "alice"), Direct(chat, "alice")
        desk.remote_address = "127.0.0.2"
        held = store.hold("create_account")
        slow = phone.start_login()
        await held.called.wait()
        assert (await desk.login())["code"] == "200"
        held.answer()
        assert (await slow)["code"] == "200"
        thief = Direct(chat, "alice")
        assert (await thief.login("another password"))["code"] == "401"


async def test_a_refused_login_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "MAX_TOKENS_PER_ACCOUNT", 3)
    store = DelayedStore()
    limits = Limits(connections_per_user=2)
    async with chatting(store, accounts="claim", limits=limits) as chat:
        first = await logged_in(chat, "alice")
        second = await logged_in(chat, "alice")
        for _ in range(3):
            refused = await Direct(chat, "alice").login(alias="Somebody")
            assert refused["code"] == "429"
        sessions = (await first.ask("sessions", {}))["sessions"]
        assert len(sessions) == 2
        (found,) = (await second.ask("users", query="alice"))["users"]
        assert found["alias"] == "alice"


async def test_unfinished_logins_count_as_connections() -> None:
    store = DelayedStore()
    limits = Limits(connections_per_user=2)
    async with chatting(store, accounts="claim", limits=limits) as chat:
        await logged_in(chat, "alice")
        held = store.hold("add_login_token")
        slow = Direct(chat, "alice").start_login()
        await held.called.wait()
        assert (await Direct(chat, "alice").login())["code"] == "429"
        held.answer()
        assert (await slow)["code"] == "200"


async def test_a_login_that_is_refused_at_its_end_leaves_no_token() -> None:
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        alice = await logged_in(chat, "alice")
        held = store.hold("update_account")
        late = Direct(chat, "alice").start_login(alias="Late")
        await held.called.wait()
        account = await store.inner.account("alice")
        assert account is not None
        await store.inner.update_account(account.key, disabled=True)
        await alice.gone.wait()
        held.answer()
        assert (await late)["code"] == "403"
        assert len(await store.inner.login_tokens(account.key)) == 1


async def test_other_logins_do_not_revoke_a_device_that_is_online(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(authentication, "MAX_TOKENS_PER_ACCOUNT", 3)
    store = DelayedStore()
    async with chatting(store, accounts="claim", limits=None) as chat:
        device = await logged_in(chat, "alice")
        for _ in range(6):
            client = await logged_in(chat, "alice")
            client.leave()
        assert not device.gone.is_set()
        while len(sessions := (await device.ask("sessions", {}))["sessions"]) > 3:
            pass
        assert [s["current"] for s in sessions].count(True) == 1


async def alias_of(chat: Chat, store: DelayedStore) -> tuple[str, str]:
    """Return alice's alias as others see it, and as it is stored."""
    account = await store.inner.account("alice")
    assert account is not None
    watcher = await logged_in(chat, "watcher")
    await watcher.send_message("alice", "Who are you?")
    return (await watcher.next("presence"))["alias"], account.alias


async def test_simultaneous_aliases_end_the_same_in_memory_and_store() -> None:
    for seed in range(20):
        store = DelayedStore(seed)
        async with chatting(store) as chat:
            names = ("One", "Two", "Three")
            await asyncio.gather(*(Direct(chat, "alice").login(alias=name) for name in names))
            shown, stored = await alias_of(chat, store)
            assert shown == stored


async def test_a_late_read_of_an_account_does_not_restore_an_old_alias() -> None:
    store = DelayedStore()
    await store.inner.create_account("alice", "Old", None, 0)
    async with chatting(store) as chat:
        bob = await logged_in(chat, "bob")
        held = store.hold("account", done=True)
        looking = bob.start("typing", recepient="alice", typing=True)
        await held.done.wait()
        alice = await logged_in(chat, "alice")
        assert (await alice.login(alias="New"))["alias"] == "New"
        held.answer()
        assert (await looking)["code"] == "200"
        assert await alias_of(chat, store) == ("New", "New")


async def test_an_alias_that_changes_while_users_are_searched_is_found() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        held = store.hold("find_accounts", done=True)
        searching = alice.start("users", query="alice")
        await held.done.wait()
        assert (await phone.ask("profile", alias="Alice L."))["code"] == "200"
        held.answer()
        assert [each["alias"] for each in (await searching)["users"]] == ["Alice L."]


# --- blocks and partners ---


async def test_who_blocked_and_left_types_no_more() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob = await logged_in(chat, "bob")
        alice = await logged_in(chat, "alice")
        held = store.hold("block")
        alice.start("block", id="bob")
        alice.start("typing", recepient="bob", typing=True)
        await held.called.wait()
        alice.leave()
        held.answer()
        await turns()
        assert bob.of("typing") == []


@pytest.mark.parametrize("ends", ["leave", "logout"])
@pytest.mark.parametrize("request_", ["read", "delivered", "join", "quit", "react", "profile"])
async def test_who_blocked_and_left_shows_nothing_more(request_: str, ends: str) -> None:
    """What they asked for is handled after the connection has ended, or after a logout on it."""
    store = DelayedStore()
    async with chatting(store) as chat:
        bob = await logged_in(chat, "bob")
        alice = await logged_in(chat, "alice")
        for room in ("r", "s"):
            await bob.ask("room", command="create", roomId=room)
        await alice.ask("room", command="join", roomId="s")
        id = (await bob.send_message("alice", "one"))["id"]
        await turns()
        held = store.hold("block")
        alice.start("block", id="bob")
        requests: dict[str, tuple[str, dict[str, Any]]] = {
            "read": ("read", {"with": "bob", "seq": 1}),
            "delivered": ("delivered", {"with": "bob", "seq": 1}),
            "join": ("room", {"command": "join", "roomId": "r"}),
            "quit": ("room", {"command": "leave", "roomId": "s"}),
            "react": ("react", {"id": id, "emoji": "👍", "on": True}),
            "profile": ("profile", {"status": "away"}),
        }
        before = len(bob.order)
        event, fields = requests[request_]
        alice.start(event, fields)
        await held.called.wait()
        if ends == "leave":
            alice.leave()
        else:
            alice.start("logout", {})
        held.answer()
        await turns()
        seen = [(name, payload.get("online")) for name, payload in bob.order[before:]]
        assert set(seen) <= {("presence", False)}


async def test_a_block_hides_the_quote_of_a_reply_that_is_being_stored() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        bob, phone = await logged_in(chat, "bob"), await logged_in(chat, "bob")
        await alice.send_message("bob", "hello")
        held = store.hold("commit")
        reply = {"sender": "bob", "recepient": "alice", "command": "chat", "data": "hi"}
        answer = bob.start("message", reply | {"replyTo": 1})
        await held.called.wait()
        assert (await phone.ask("block", id="alice"))["code"] == "200"
        held.answer()
        assert (await answer)["code"] == "200"
        quotes = [each.of("message")[-1]["replyTo"] for each in (phone, alice)]
        assert quotes == [{"seq": 1}, {"seq": 1, "sender": "alice", "data": "hello"}]


@pytest.mark.parametrize(
    ("method", "event", "fields"),
    [
        ("join_room", "room", {"command": "join", "roomId": "r"}),
        ("leave_room", "room", {"command": "leave", "roomId": "s"}),
        ("update_account", "profile", {"status": "away"}),
        # Only an id in another spelling is looked up.
        ("account", "typing", {"recepient": "BOB", "typing": True}),
    ],
)
async def test_a_late_answer_shows_nothing_of_who_has_blocked_and_left(
    method: str, event: str, fields: dict[str, Any]
) -> None:
    """Receipts and reactions are no such case: what was asked for before the block is shown."""
    store = DelayedStore()
    async with chatting(store) as chat:
        bob = await logged_in(chat, "bob")
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        for room in ("r", "s"):
            await bob.ask("room", command="create", roomId=room)
        await alice.ask("room", command="join", roomId="s")
        await bob.send_message("alice", "one")
        await turns()
        held = store.hold(method)
        alice.start(event, fields)
        await held.called.wait()
        phone.start("block", id="bob")  # it may have to wait for what is held
        await turns()
        before = len(bob.order)
        alice.leave()
        phone.leave()
        held.answer()
        await turns()
        # If the block had to wait, they went offline before.
        seen = [(name, payload.get("online")) for name, payload in bob.order[before:]]
        assert set(seen) <= {("presence", False)}


@pytest.mark.parametrize("read", ["blocked", "pairs"])
async def test_a_block_made_during_a_login_holds(read: str) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob = await logged_in(chat, "bob")
        await logged_in(chat, "alice")
        phone = await logged_in(chat, "carol")
        kept = store.hold("block")
        block = phone.start("block", id="bob")
        await kept.called.wait()
        phone.leave()
        held = store.hold(read, done=True)
        desk = Direct(chat, "carol")
        login = desk.start_login()
        await held.done.wait()
        kept.answer()
        await kept.done.wait()
        await asyncio.sleep(0)
        held.answer()
        assert (await login)["code"] == "200"
        assert not block.done()
        assert (await bob.send_message("carol", "hello"))["code"] == "202"
        assert desk.of("message") == []


async def test_blocks_from_two_devices_end_the_same_in_memory_and_store() -> None:
    for seed in range(60):
        store = DelayedStore(seed)
        async with chatting(store, limits=None) as chat:
            bob = await logged_in(chat, "bob")
            devices = [await logged_in(chat, "alice") for _ in range(2)]
            changes = ("block", "unblock", "unblock", "block")
            work = [
                device.start(event, id="bob")
                for device, event in zip(devices * 2, changes, strict=True)
            ]
            await asyncio.gather(*work)
            alice = await store.inner.account("alice")
            assert alice is not None
            code = (await bob.send_message("alice", "hello"))["code"]
            assert code == ("202" if await store.inner.blocked(alice.key) else "200"), seed


@pytest.mark.parametrize("read", ["blocked", "pairs"])
async def test_a_first_message_during_the_other_login_makes_partners(read: str) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        bob = await logged_in(chat, "bob")
        await logged_in(chat, "carol")
        carols = await store.inner.account("carol")
        assert carols is not None
        alice = Direct(chat, "alice")
        held = store.hold(read, done=True)
        login = alice.start_login()
        await held.done.wait()
        assert (await bob.send_message("alice", "hello"))["code"] == "202"
        held.answer()
        assert (await login)["code"] == "200"
        assert [(p["id"], p["online"]) for p in bob.of("presence")] == [("alice", True)]
        bob.leave()
        assert [(p["id"], p["online"]) for p in alice.of("presence")] == [("bob", False)]


@pytest.mark.parametrize("name", ["bob", "#r"])
async def test_a_conversation_that_begins_while_the_list_is_read_is_in_it(name: str) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob, phone = [await logged_in(chat, id) for id in ("alice", "bob", "alice")]
        await bob.ask("room", command="create", roomId="r")
        held = store.hold("conversations", done=True)
        reading = alice.start("conversations")
        await held.done.wait()
        if name == "bob":
            assert (await bob.send_message("alice", "hello"))["code"] == "200"
        else:
            assert (await phone.ask("room", command="join", roomId="r"))["code"] == "200"
        held.answer()
        listed = (await reading)["conversations"]
        assert name in [each["with"] for each in listed]
