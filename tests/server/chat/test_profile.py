"""``profile``: users change their own alias and password."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from pychat.server.chat import Limits
from pychat.server.chat import limits as limiter
from pychat.server.chat.accounts import authentication, changes
from pychat.server.chat.events import login
from pychat.server.chat.events.login import MAX_CHECKS
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in
from tests.server.chat.peers import WAIT
from tests.turns import turns

pytestmark = pytest.mark.usefixtures("cheap")

OLD, NEW = "secret password", "as short as may be"[: authentication.MIN_PASSWORD]


async def test_a_new_alias_is_told_to_partners_and_own_devices() -> None:
    async with chatting(DelayedStore(), accounts="claim") as chat:
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        bob, carol = await logged_in(chat, "bob"), await logged_in(chat, "carol")
        for other in ("bob", "carol"):
            await alice.send_message(other, "hello")
        await alice.ask("block", id="carol")
        before = len(carol.order)
        answer = await alice.ask("profile", alias="  Alice L. ")
        assert (answer["code"], answer["id"], answer["alias"]) == ("200", "alice", "Alice L.")
        for client in (bob, phone):
            assert client.of("presence")[-1]["alias"] == "Alice L."
            assert client.of("presence")[-1]["online"] is True
        assert carol.order[before:] == []
        assert (await alice.ask("profile", alias=""))["alias"] == "alice"
        told = len(bob.of("presence"))
        assert (await alice.ask("profile", alias="alice"))["alias"] == "alice"
        assert len(bob.of("presence")) == told


async def test_a_status_is_told_to_those_who_see_the_presence() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        page = Direct(chat, "alice", modern=False)
        await page.login()
        bob, carol = await logged_in(chat, "bob"), await logged_in(chat, "carol")
        original = Direct(chat, "dave", modern=False)
        await original.login()
        for other in ("bob", "carol", "dave"):
            await alice.send_message(other, "hello")
        await alice.ask("block", id="carol")
        before = [len(each.order) for each in (page, carol, original)]
        answer = await alice.ask("profile", status="away", statusText=" back at noon ")
        status = {"status": "away", "statusText": "back at noon"}
        assert status.items() <= answer.items()
        for client in (bob, phone):
            assert status.items() <= client.of("presence")[-1].items()
        assert [len(each.order) for each in (page, carol, original)] == before
        assert status.items() <= (await Direct(chat, "alice").login()).items()
        assert "status" not in await Direct(chat, "alice", modern=False).login()

        async def seen(client: Direct) -> list[Any]:
            users = (await client.ask("users", query="alice"))["users"]
            listed = (await client.ask("conversations"))["conversations"]
            return [*users, *(each for each in listed if each["with"] == "alice")]

        assert [status.items() <= each.items() for each in await seen(bob)] == [True, True]
        assert ["status" in each for each in await seen(carol)] == [False, False]
        await bob.ask("block", id="alice")
        assert "status" not in bob.of("presence")[-1]
        assert ["status" in each for each in await seen(bob)] == [False, False]
        await bob.ask("unblock", id="alice")
        assert status.items() <= bob.of("presence")[-1].items()
        answer = await alice.ask("profile", status="online", statusText="")
        assert not {"status", "statusText"} & {*answer, *bob.of("presence")[-1]}


async def test_a_change_of_the_alias_is_audited(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pychat.audit")
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        for alias in ("Alice L.", "Alice L."):
            await alice.ask("profile", alias=alias)
        await Direct(chat, "alice").login(alias="Al")
        changes = [r.__dict__["fields"] for r in caplog.records if r.message == "alias changed"]
        assert [(each["id"], each["alias"]) for each in changes] == [
            ("alice", "Alice L."),
            ("alice", "Al"),
        ]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({}, "400"),
        ({"alias": "x", "status": "dnd", "newPassword": NEW, "password": "wrong password"}, "403"),
        ({"alias": "\u200b", "newPassword": NEW, "password": OLD}, "400"),
        ({"status": "asleep"}, "400"),
        ({"statusText": "x" * 101}, "400"),
        ({"statusText": "\u200b"}, "400"),
        ({"alias": "\u200b"}, "400"),
        ({"alias": "x" * 1000}, "400"),
        ({"alias": 1}, "400"),
        ({"newPassword": "short", "password": OLD}, "400"),
        ({"newPassword": NEW}, "403"),
        ({"newPassword": NEW, "password": "wrong password"}, "403"),
    ],
)
async def test_what_is_refused_changes_nothing(request_: dict[str, Any], code: str) -> None:
    async with chatting(DelayedStore(), accounts="claim") as chat:
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        assert (await alice.ask("profile", **request_))["code"] == code
        assert not phone.gone.is_set()
        again = await Direct(chat, "alice").login(OLD)
        assert (again["code"], again["alias"], "status" in again) == ("200", "alice", False)


async def test_a_new_password_logs_out_other_devices() -> None:
    async with chatting(DelayedStore(), accounts="claim") as chat:
        alice, phone = Direct(chat, "alice"), Direct(chat, "alice")
        page = Direct(chat, "alice", modern=False)
        mine, other = await alice.login(OLD), await phone.login(OLD)
        await page.login(OLD)
        answer = await alice.ask("profile", newPassword=NEW, password=OLD)
        assert answer["code"] == "200"
        assert [each.gone.is_set() for each in (alice, phone, page)] == [False, True, True]
        tokens = [mine["token"], other["token"]]
        resumed = [await Direct(chat, "alice").login("", token=token) for token in tokens]
        assert [each["code"] for each in resumed] == ["200", "401"]
        logins = [await Direct(chat, "alice").login(password) for password in (OLD, NEW)]
        assert [each["code"] for each in logins] == ["401", "200"]


async def test_a_login_that_is_being_checked_with_the_old_password_is_refused() -> None:
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        alice = await logged_in(chat, "alice")
        held = store.hold("add_login_token", done=True)
        late = Direct(chat, "alice").start_login(OLD)
        await held.called.wait()
        assert (await alice.ask("profile", newPassword=NEW, password=OLD))["code"] == "200"
        held.answer()
        assert (await late)["code"] == "503"
        at_rest = await store.inner.login_tokens(1)
        assert len(at_rest) == 1


@pytest.mark.parametrize("checks", [MAX_CHECKS, 0])
async def test_an_original_client_that_logs_in_with_the_old_password_meanwhile_is_refused(
    checks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no token that the change could revoke. ``checks`` 0: changes wait for the last one."""
    monkeypatch.setattr(login, "MAX_CHECKS", checks)
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        alice = await logged_in(chat, "alice")
        page = Direct(chat, "alice", modern=False)
        page.remote_address = "10.0.0.2"  # one address waits for the other password
        held = store.hold("account", done=True)
        page.tell("login", {"id": "alice", "password": OLD})
        await held.called.wait()
        assert (await alice.ask("profile", newPassword=NEW, password=OLD))["code"] == "200"
        held.answer()
        assert (await page.next("response"))["code"] == "503"


async def test_the_second_of_two_changes_of_one_password_is_refused() -> None:
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        phone.remote_address = "10.0.0.2"
        read, logging_out = store.hold("accounts", done=True), store.hold("login_tokens")
        second = phone.start("profile", newPassword=f"{NEW} 2", password=OLD)
        await read.done.wait()
        first = alice.start("profile", newPassword=f"{NEW} 1", password=OLD)
        await logging_out.called.wait()
        read.answer()
        assert (await second)["code"] == "503"
        logging_out.answer()
        assert (await first)["code"] == "200"
        assert (await Direct(chat, "alice").login(f"{NEW} 1"))["code"] == "200"


async def test_of_two_changes_at_once_one_holds() -> None:
    store = DelayedStore(seed=3)
    async with chatting(store, accounts="claim") as chat:
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        changes = [
            client.start("profile", newPassword=f"{NEW} {n}", password=OLD)
            for n, client in enumerate((alice, phone))
        ]
        while not all(
            change.done() or client.gone.is_set()
            for change, client in zip(changes, (alice, phone), strict=True)
        ):
            await turns()
        valid = [
            (await Direct(chat, "alice").login(password))["code"] == "200"
            for password in (OLD, f"{NEW} 0", f"{NEW} 1")
        ]
        assert sorted(valid) == [False, False, True]
        assert not valid[0]


async def test_a_connection_without_a_token_stays_after_its_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.01)
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        alice, carol = Direct(chat, "alice"), await logged_in(chat, "carol")
        for event, request in (
            ("login", {"id": "alice", "password": OLD}),
            ("profile", {"newPassword": NEW, "password": OLD}),
        ):
            alice.tell(event, request)
            assert (await alice.next("response"))["code"] == "200"
        account = await store.inner.account("carol")
        assert account is not None
        await store.inner.update_account(account.key, disabled=True)
        await asyncio.wait_for(carol.gone.wait(), WAIT)  # everybody was reviewed
        assert not alice.gone.is_set()


async def test_a_disabled_account_keeps_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 60)  # it is still logged in
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        alice = await logged_in(chat, "alice")
        account = await store.inner.account("alice")
        assert account is not None
        await store.inner.update_account(account.key, disabled=True)
        answer = await alice.ask("profile", newPassword=NEW, password=OLD)
        assert (answer["code"], answer["message"]) == ("403", "id: this id is disabled")


async def test_devices_that_cannot_be_logged_out_are_named() -> None:
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        store.refuse("login_tokens")
        answer = await alice.ask("profile", newPassword=NEW, password=OLD)
        assert answer["code"] == "503"
        assert "was changed" in answer["message"]
        assert phone.gone.is_set()


async def test_guesses_are_counted_like_those_of_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    # The lockout does not end during the test.
    monkeypatch.setattr(limiter, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    limits = Limits(wrong_passwords=3)
    async with chatting(DelayedStore(), accounts="claim", limits=limits) as chat:
        alice = await logged_in(chat, "alice")

        async def change(password: str) -> str:
            answer = await alice.ask("profile", newPassword=NEW, password=password)
            return str(answer["code"])

        # The right password begins the count again.
        codes = [await change(guess) for guess in ("one", "two", OLD, "one", "two", "three", NEW)]
        assert codes == ["403", "403", "200", "403", "403", "403", "429"]
        answer = await alice.ask("profile", newPassword=OLD, password=NEW)
        assert "too many wrong passwords" in answer["message"]
        assert (await Direct(chat, "alice").login(NEW))["code"] == "429"
        assert (await alice.ask("profile", alias="Alice L."))["code"] == "200"


async def test_without_an_acknowledgement_a_response_answers() -> None:
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        alice.tell("profile", {"alias": "Alice L."})
        response = await alice.next("response")
        assert (response["command"], response["code"]) == ("profile", "200")


async def test_where_accounts_are_open_there_is_no_password() -> None:
    async with chatting(DelayedStore(), accounts="open") as chat:
        alice = await logged_in(chat, "alice")
        answer = await alice.ask("profile", newPassword=NEW, password=OLD)
        assert (answer["code"], "no passwords" in answer["message"]) == ("403", True)
