"""What the operator sees: the actions in the audit log, and the figures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pychat.server.chat import Limits, Rate
from pychat.server.chat import chat as chat_module
from pychat.server.chat.audit import log, note, to_file
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in
from tests.server.chat.peers import WAIT

HERE = {"address": "127.0.0.1"}


@pytest.fixture
def noted() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """The actions in the audit log so far."""
    actions: list[tuple[str, dict[str, Any]]] = []
    handler = logging.Handler()
    handler.emit = lambda record: actions.append(  # type: ignore[method-assign]  # the shortest way
        (record.getMessage(), record.__dict__["fields"])
    )
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    yield actions
    log.removeHandler(handler)
    log.setLevel(level)


async def test_actions_of_users_are_in_the_audit_log(
    noted: list[tuple[str, dict[str, Any]]],
) -> None:
    store = DelayedStore()
    await store.create_account("root", "root", None, 0)
    async with chatting(store, admins=["root"]) as chat:
        alice, bob, root = [await logged_in(chat, id) for id in ("alice", "bob", "root")]
        assert noted[:2] == [
            ("id claimed", {"id": "alice"} | HERE),
            ("login", {"id": "alice"} | HERE),
        ]
        noted.clear()
        await alice.ask("room", command="create", roomId="r", roomOwner="alice")
        await bob.ask("room", command="join", roomId="r")
        await bob.ask("room", command="delete", roomId="r")  # refused
        await bob.ask("block", id="alice")
        await bob.ask("unblock", id="alice")
        first = (await bob.send_message("alice", "hi"))["id"]
        second = (await bob.send_message("alice", "hi"))["id"]
        await bob.ask("remove", id=first)
        await root.ask("remove", id=second)
        await bob.ask("sessions", revoke="others")
        await bob.ask("logout", {})
        assert noted == [
            ("room create", {"id": "alice", "room": "r"} | HERE),
            ("room join", {"id": "bob", "room": "r"} | HERE),
            ("block", {"id": "bob", "other": "alice"} | HERE),
            ("unblock", {"id": "bob", "other": "alice"} | HERE),
            ("message removed", {"id": "root", "removed": second} | HERE),
            ("logins ended", {"id": "bob", "logins": 0} | HERE),
            ("logout", {"id": "bob"} | HERE),
        ]


async def test_a_new_password_is_in_the_audit_log(
    cheap: None, noted: list[tuple[str, dict[str, Any]]]
) -> None:
    async with chatting(DelayedStore(), accounts="claim") as chat:
        alice = await logged_in(chat, "alice")
        noted.clear()
        for password in ("wrong password", "secret password"):
            await alice.ask("profile", newPassword="another password", password=password)
        assert noted == [("password changed", {"id": "alice"} | HERE)]


async def test_refused_and_ended_logins_are_in_the_audit_log(
    noted: list[tuple[str, dict[str, Any]]],
) -> None:
    async with chatting(DelayedStore(), accounts="closed") as chat:
        answer = await Direct(chat, "alice").login(create=True)
        refusal = {"id": "alice", "code": answer["code"], "reason": answer["message"]}
        assert noted == [("login refused", refusal | HERE)]
    async with chatting(DelayedStore(), accounts="open") as chat:
        alice, page = [await logged_in(chat, "alice", modern=modern) for modern in (True, False)]
        noted.clear()
        await alice.ask("sessions", revoke="all")
        assert page.gone.is_set()
        assert [action for action, _ in noted] == ["logins ended"] + [
            "logged out by revocation"
        ] * 2
        assert noted[1][1] == {"id": "alice"}


async def test_the_figures_count_what_was_refused() -> None:
    store = DelayedStore()
    async with chatting(store, limits=Limits(typing=Rate(1 / 60, 1))) as chat:
        alice, phone = [await logged_in(chat, "alice") for _ in range(2)]
        await logged_in(chat, "bob")
        assert (await Direct(chat, "carol").login(create=False))["code"] == "404"
        for _ in range(3):
            await alice.ask("typing", recepient="ALL", typing=True)
        await alice.send_message("bob", "one")
        await alice.send_message("bob", "two")
        store.refuse("append")
        assert (await alice.send_message("bob", "three"))["code"] == "503"
        await alice.ask("room", command="create", roomId="r", roomOwner="alice")
        phone.leave()
        assert chat.figures() == {
            "connections": 2,
            "users_online": 2,
            "rooms": 1,
            "messages_waiting": 0,
            "messages": 2,
            "logins": 3,
            "logins_refused": 1,
            "too_fast": 2,
            "failures": 0,
        }


@pytest.mark.parametrize("where", ["at once", "later"])
async def test_an_unexpected_error_is_answered_and_counted(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DelayedStore()

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of the store")

    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        monkeypatch.setattr(store.inner, "append" if where == "later" else "find_accounts", broken)
        if where == "later":
            answer = await alice.send_message("ALL", "hi")
        else:
            answer = await alice.ask("users", query="x")
            assert chat.figures()["failures"] == 1
        assert (answer["code"], answer["message"]) == ("500", "internal server error")
        assert (await alice.ask("conversations"))["code"] == "200"


async def test_a_server_that_stops_answers_what_came_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        held = store.hold("find_accounts")
        first, second = alice.start("users"), alice.start("conversations")
        await held.called.wait()
        stopping = asyncio.create_task(chat.stop())
        await asyncio.sleep(0)
        bob = await Direct(chat, "bob").login()
        assert (bob["code"], bob["message"]) == ("503", "the server is stopping")
        held.answer()
        assert [(await answer)["code"] for answer in (first, second)] == ["200", "503"]
        await stopping
    assert caplog.records == []


async def test_a_server_that_has_stopped_leaves_no_tasks() -> None:
    before = asyncio.all_tasks()
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        await logged_in(chat, "alice", modern=False)
        await alice.send_message("alice", "hello")
        await alice.ask("read", {"with": "alice", "seq": 1})
    assert asyncio.all_tasks() == before


async def test_a_client_that_cannot_be_answered_is_disconnected() -> None:
    """Its later events would wait forever."""

    def broken(ack_id: int, payload: bytes) -> None:
        raise RuntimeError("a fault of the connection")

    async with chatting(DelayedStore()) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        alice.acknowledge = broken  # type: ignore[method-assign]  # the shortest way
        alice.start("users")
        await asyncio.wait_for(alice.gone.wait(), WAIT)
        assert (await bob.ask("users"))["code"] == "200"
        assert chat.figures()["failures"] == 2


@pytest.mark.parametrize(("seconds", "reasons"), [(60, "away lost"), (-1, "away away lost")])
async def test_a_failing_store_is_logged_once_in_a_while(
    seconds: float,
    reasons: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(chat_module, "LOG_AGAIN_SECONDS", seconds)
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        for failure in (store.refuse, store.refuse, store.fail):
            failure("find_accounts")
            assert (await alice.ask("users"))["code"] == "503"
    logged = [r.getMessage() for r in caplog.records if r.name == chat_module.__name__]
    assert [message.split()[-1] for message in logged] == reasons.split()


def test_a_new_failure_of_the_audit_log_is_reported_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, away = tmp_path / "logs", tmp_path / "away"
    folder.mkdir()
    level = log.level
    to_file(folder / "audit.log", logging.Formatter("%(message)s"))
    try:
        for reports in (1, 2):
            folder.rename(away)
            for action in ("lost", "lost"):
                note(action)
            failures = [r for r in caplog.records if r.name == "pychat.server.audit"]
            assert len(failures) == reports
            away.rename(folder)
            note(f"kept {reports}")
    finally:
        log.handlers.pop().close()
        log.setLevel(level)
    assert (folder / "audit.log").read_text() == "kept 1\nkept 2\n"
