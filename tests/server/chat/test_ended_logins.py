"""Connections of logins that have ended are disconnected, whoever ended them."""

from __future__ import annotations

import asyncio

import pytest

from pychat.server.chat import Chat
from pychat.server.chat.accounts import authentication, changes
from tests.server.chat.delayed import DelayedStore, calls_of_request
from tests.server.chat.direct import Direct, chatting, logged_in
from tests.server.chat.peers import WAIT
from tests.turns import turns

pytestmark = pytest.mark.usefixtures("cheap")


async def page_of(chat: Chat, id: str) -> Direct:
    """A client of the original protocol, which has no token."""
    page = Direct(chat, id, modern=False)
    page.tell("login", {"id": id, "password": "secret password"})
    assert (await page.next("response"))["code"] == "200"
    return page


@pytest.mark.parametrize("revoked", ["others", "all"])
async def test_who_ends_all_other_logins_ends_pages_without_a_token(revoked: str) -> None:
    async with chatting(DelayedStore(), accounts="claim") as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        page, bobs_page = await page_of(chat, "alice"), await page_of(chat, "bob")
        assert (await alice.ask("sessions", revoke=revoked))["code"] == "200"
        assert page.gone.is_set()
        assert alice.gone.is_set() is (revoked == "all")
        assert not bob.gone.is_set()
        assert not bobs_page.gone.is_set()


async def test_a_logout_ends_the_other_connections_of_its_token_only() -> None:
    async with chatting(DelayedStore(), accounts="claim") as chat:
        phone, same, other = (Direct(chat, "alice") for _ in range(3))
        token = (await phone.login())["token"]
        assert (await same.login("", token=token))["code"] == "200"
        assert (await other.login())["code"] == "200"
        assert (await phone.ask("logout", {}))["code"] == "200"
        assert same.gone.is_set()
        assert not phone.gone.is_set()
        assert (await other.ask("users"))["code"] == "200"
        assert (await Direct(chat, "alice").login("", token=token))["code"] == "401"


async def test_what_waited_on_an_ended_connection_is_not_done() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        phone, desk = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        bob = await logged_in(chat, "bob")
        held = store.hold("find_accounts")
        phone.start("users")
        phone.start_send("bob", "too late")
        await held.called.wait()
        assert (await desk.ask("sessions", revoke="others"))["code"] == "200"
        held.answer()
        await turns()
        assert bob.of("message") == []


async def test_the_end_of_logins_is_answered_without_an_acknowledgement() -> None:
    async with chatting(DelayedStore(), accounts="claim") as chat:
        phone, desk, page = [await logged_in(chat, "alice") for _ in range(3)]
        for client, event, payload, code in (
            (page, "logout", None, "200"),
            (desk, "logout", 17, "400"),
            (desk, "logout", {}, "200"),
            (phone, "sessions", {"revoke": "unknown"}, "404"),
            (phone, "sessions", {"revoke": "others"}, "200"),
        ):
            client.tell(event, payload)
            response = await client.next("response")
            assert (response["command"], response["code"]) == (event, code)


async def test_a_logout_is_shown_to_partners() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        await alice.send_message("bob", "hello")
        assert (await alice.ask("logout"))["code"] == "200"
        assert [each["online"] for each in bob.of("presence")] == [True, False]


async def test_a_resumption_does_not_count_the_logins_of_the_account() -> None:
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        phone = Direct(chat, "alice")
        token = (await phone.login())["token"]
        calls: list[str] = []
        reset = calls_of_request.set(calls)
        assert (await phone.login("", token=token))["code"] == "200"
        assert (await phone.ask("users"))["code"] == "200"
        calls_of_request.reset(reset)
        assert "login_token" in calls
        assert "login_tokens" not in calls


async def test_one_login_too_many_ends_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "MAX_TOKENS_PER_ACCOUNT", 2)
    async with chatting(DelayedStore(), accounts="claim") as chat:
        oldest, older, newest = [await logged_in(chat, "alice") for _ in range(3)]
        await asyncio.wait_for(oldest.gone.wait(), WAIT)
        for client in (older, newest):
            assert (await client.ask("users"))["code"] == "200"


async def test_a_token_that_has_expired_ends_with_the_next_change_of_an_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.01)
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        bob, alice = await logged_in(chat, "bob"), await logged_in(chat, "alice")
        account = await store.inner.account("alice")
        assert account is not None
        (token,) = await store.inner.login_tokens(account.key)
        await store.inner.touch_login_token(token.token_hash, token.last_seen_at, 1)
        other = await store.inner.create_account("carol", "carol", None, 0)
        await store.inner.update_account(other.key, disabled=True)
        await asyncio.wait_for(alice.gone.wait(), WAIT)
        assert (await bob.ask("users"))["code"] == "200"


async def test_what_this_server_revokes_is_reviewed_by_no_other_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A review reads the logins of all who are online."""
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.01)
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        alice, _ = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        review = store.hold("login_tokens_by_hash")
        assert (await alice.ask("sessions", revoke="others"))["code"] == "200"
        for _ in range(2):
            poll = store.hold("account_changes")
            await asyncio.wait_for(poll.called.wait(), WAIT)
            poll.answer()
        await turns()
        assert not review.called.is_set()


async def test_a_login_during_a_review_is_not_ended_with_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.01)
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        alice = await logged_in(chat, "alice")
        account = await store.inner.account("alice")
        assert account is not None
        (token,) = await store.inner.login_tokens(account.key)
        review = store.hold("login_tokens_by_hash", done=True)
        await store.inner.revoke_login_tokens(account.key, [token.id])
        await asyncio.wait_for(review.done.wait(), WAIT)
        assert (await alice.login())["code"] == "200"
        after_review = store.hold("account_changes")
        review.answer()
        await asyncio.wait_for(after_review.called.wait(), WAIT)
        after_review.answer()
        assert not alice.gone.is_set()
        assert (await alice.ask("users"))["code"] == "200"


async def test_a_page_after_a_logout_does_not_depend_on_the_token_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.01)
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        alice, carol = await logged_in(chat, "alice"), await logged_in(chat, "carol")
        await alice.ask("logout", {})
        alice.tell("login", {"id": "alice", "password": "secret password"})
        assert (await alice.next("response"))["code"] == "200"
        account = await store.inner.account("carol")
        assert account is not None
        await store.inner.update_account(account.key, disabled=True)
        await asyncio.wait_for(carol.gone.wait(), WAIT)  # everybody was reviewed
        assert not alice.gone.is_set()
