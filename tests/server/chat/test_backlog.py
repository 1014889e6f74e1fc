"""Messages that wait for a slow store: how many, and in which batches they are stored."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from pychat.server.chat import delivery
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import chatting, logged_in
from tests.server.chat.peers import WAIT
from tests.turns import turns


@pytest.mark.parametrize("limited", ["messages", "characters"])
async def test_only_so_much_waits_for_the_store(
    limited: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limited == "messages":
        monkeypatch.setattr(delivery, "MAX_MESSAGES_WAITING", 2)
    else:
        monkeypatch.setattr(delivery, "MAX_CHARACTERS_WAITING", 9)
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        for _ in range(2):  # what was stored makes room
            held = store.hold("append")
            written = alice.start_send("ALL", "12345")
            await held.called.wait()
            waiting = [alice.start_send("ALL", "12345") for _ in range(2)]
            assert chat.figures()["messages_waiting"] == 2
            refused = await alice.send_message("ALL", "6")
            assert (refused["code"], refused["retryAfter"]) == ("503", 1.0)
            assert (await alice.ask("edit", id="1-1", data="x"))["code"] in ("503", "404")
            held.answer()
            assert [(await each)["code"] for each in (written, *waiting)] == ["200"] * 3


async def test_a_long_queue_is_stored_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "MAX_BATCH", 2)
    monkeypatch.setattr(delivery, "MAX_CHARACTERS_WAITING", 4)
    store = DelayedStore()
    sizes: list[int] = []
    append = store.inner.append

    async def noting(new: list[object]) -> object:
        sizes.append(len(new))
        return await append(new)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(store.inner, "append", noting)
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        held = store.hold("append")
        first = alice.start_send("ALL", "0")
        await held.called.wait()
        rest = [alice.start_send("ALL", text) for text in "12345"]
        second = store.hold("append")
        listed = alice.start("history", {"with": "ALL"})
        held.answer()
        await second.called.wait()
        # Two of five are being written: three characters are left, so that one more may wait.
        bob = await logged_in(chat, "bob")
        more = [bob.start_send("ALL", text) for text in "678"]
        await turns()
        assert [each.done() for each in more] == [False, False, True]
        assert not listed.done()
        second.answer()
        answers = [await each for each in (first, *rest, *more)]
        assert [answer["code"] for answer in answers] == ["200"] * 8 + ["503"]
        assert [answer["seq"] for answer in answers[:8]] == list(range(1, 9))
        assert sizes == [1, 2, 2, 2, 1]
        messages = (await listed)["messages"]
        assert [message["data"] for message in messages][:6] == list("012345")


def message(to: str, text: str) -> dict[str, str]:
    """A message of alice that is the same one when it is sent again."""
    client_id = str(uuid4())
    return {"sender": "alice", "recepient": to, "data": text, "clientId": client_id}


async def test_a_read_waits_for_a_batch_that_is_just_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "MAX_BATCH", 2)
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        sent = [alice.start_send("ALL", text) for text in "12"]
        listed = await alice.ask("history", {"with": "ALL"})
        assert [each["data"] for each in listed["messages"]] == ["1", "2"]
        assert all(each.done() for each in sent)


async def test_only_batches_with_changes_or_replies_cost_what_these_cost() -> None:
    """``append`` is faster than ``commit``."""
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        message = {"sender": "alice", "recepient": "ALL", "data": "text"}
        for method in ("append", "commit", "append"):
            stored = store.hold(method)
            answer = alice.start(
                "message", message | ({"replyTo": 1} if method == "commit" else {})
            )
            await asyncio.wait_for(stored.called.wait(), WAIT)
            stored.answer()
            assert (await answer)["code"] == "200"


async def test_too_few_answers_of_the_store_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message may be stored all the same, so it is delivered when it is sent again."""
    store = DelayedStore()
    append = store.inner.append

    async def broken(batch: Any) -> Any:
        await append(batch)
        return []

    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        again = message("bob", "hello")
        with monkeypatch.context() as patched:
            patched.setattr(store.inner, "append", broken)
            assert (await alice.ask("message", again))["code"] == "500"
        assert (await alice.ask("message", again))["seq"] == 1
        assert [each["data"] for each in bob.of("message")] == ["hello"]


async def test_a_message_to_oneself_whose_writer_has_left_is_not_delivered() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        held = store.hold("append", done=True)
        alice.start_send("alice", "note")
        await held.done.wait()
        alice.leave()
        held.answer()
        page = await logged_in(chat, "alice", modern=False)
        assert (await page.next("message"))["data"] == "note"


async def test_what_was_delivered_is_not_delivered_again_while_others_are_in_doubt() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        store.refuse("append")
        assert (await alice.ask("message", message("bob", "lost")))["code"] == "503"
        stored = message("bob", "stored")
        for _ in range(2):
            assert (await alice.ask("message", stored))["seq"] == 1
        assert [each["data"] for each in bob.of("message")] == ["stored"]


async def test_only_the_last_messages_in_doubt_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "MAX_IN_DOUBT", 1)
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        failed = [message("bob", text) for text in ("one", "two")]
        for each in failed:
            store.fail("append")
            assert (await alice.ask("message", each))["code"] == "503"
        for each in failed:
            assert (await alice.ask("message", each))["code"] == "200"
        assert [each["data"] for each in bob.of("message")] == ["two"]


async def test_the_log_says_how_many_were_refused(caplog: pytest.LogCaptureFixture) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        for refused in (2, 1):
            for _ in range(refused):
                store.refuse("append")
                assert (await alice.send_message("ALL", "lost"))["code"] == "503"
            assert (await alice.send_message("ALL", "stored"))["code"] == "200"
    logged = [r.getMessage() for r in caplog.records if r.name == delivery.__name__]
    failed = "messages cannot be stored: the store is away"
    assert logged == [
        failed,
        "messages are stored again: 2 were refused",
        failed,
        "messages are stored again: 1 were refused",
    ]


@pytest.mark.parametrize("written", [False, True])
async def test_a_failed_change_does_not_affect_the_messages_after_it(written: bool) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        carol = await logged_in(chat, "carol")
        id = (await alice.send_message("ALL", "one"))["id"]
        held = store.hold("append")
        first = carol.start_send("ALL", "two")
        await held.called.wait()
        edited = alice.start("edit", id=id, data="ONE")
        await turns()
        message = {"sender": "bob", "recepient": "ALL", "command": "chat", "data": "three"}
        message["clientId"] = str(uuid4())
        sent = bob.start("message", message)
        assert chat.figures()["messages_waiting"] == 2
        if written:
            store.fail("commit")
        else:
            store.refuse("commit")
        held.answer()
        async with asyncio.timeout(WAIT):
            answers = [await each for each in (first, edited, sent)]
        assert [answer["code"] for answer in answers] == ["200", "503", "503"]
        assert (await bob.ask("message", message))["code"] == "200"
        assert [each["data"] for each in carol.of("message")].count("three") == 1
