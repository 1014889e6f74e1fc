"""The catch-up of an original client: messages that come during it follow it, once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pychat.server.chat import Chat
from pychat.server.chat.notices import cursors, original, proof
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in
from tests.server.chat.peers import WAIT
from tests.turns import turns


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proof counts at once, and what the store refused is soon tried again."""
    monkeypatch.setattr(proof, "ASK_SECONDS", 0)
    monkeypatch.setattr(proof, "STAY_SECONDS", 0)
    monkeypatch.setattr(cursors, "OTHER_SECONDS", 0.01)
    monkeypatch.setattr(original, "RETRY_SECONDS", 0.01)


async def with_two_missed(chat: Chat) -> tuple[Direct, Direct]:
    """Alice, and bob's phone. His page has missed what she wrote."""
    alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "bob")
    for text in ("1", "2"):
        assert (await alice.send_message("bob", text))["code"] == "200"
    return alice, phone


async def texts(page: Direct, number: int) -> list[str]:
    """The next messages that the page is sent. There must be no others."""
    found = [(await page.next("message"))["data"] for _ in range(number)]
    assert page.waiting("message") == []
    return found


async def test_what_both_write_during_the_catch_up_comes_after_it_in_order() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, phone = await with_two_missed(chat)
        held = store.hold("undelivered", done=True)
        page = await logged_in(chat, "bob", modern=False)
        await held.done.wait()
        await phone.send_message("alice", "3")
        await alice.send_message("bob", "4")
        assert page.of("message") == []
        held.answer()
        assert await texts(page, 4) == ["1", "2", "3", "4"]
        store.refuse("append")
        assert (await alice.send_message("bob", "5"))["code"] == "503"
        await turns()  # in which it catches up again
        assert page.waiting("message") == []


async def test_what_is_written_while_the_last_page_is_read_is_sent() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, phone = await with_two_missed(chat)
        first, last = (store.hold("undelivered", done=True) for _ in range(2))
        page = await logged_in(chat, "bob", modern=False)
        first.answer()
        await last.done.wait()
        assert await texts(page, 2) == ["1", "2"]
        await phone.send_message("alice", "3")
        await alice.send_message("bob", "4")
        await phone.send_message("alice", "5")
        assert page.waiting("message") == []
        last.answer()
        assert await texts(page, 3) == ["3", "4", "5"]
        await alice.send_message("bob", "6")
        assert await texts(page, 1) == ["6"]


@pytest.mark.parametrize("after", [0, 1])
async def test_the_catch_up_goes_on_once_the_store_is_back(after: int) -> None:
    """The first page cannot be read, or the one after it."""
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, _ = await with_two_missed(chat)
        pages = [store.hold("undelivered", done=True) for _ in range(after)]
        if not after:
            store.refuse("undelivered")
        page = await logged_in(chat, "bob", modern=False)
        for held in pages:
            await held.done.wait()
            store.refuse("undelivered")
            held.answer()
        assert await texts(page, 2) == ["1", "2"]
        await alice.send_message("bob", "3")
        assert await texts(page, 1) == ["3"]


async def test_a_page_waits_for_the_delivery_of_the_messages_in_it() -> None:
    """Bob's own message was stored before a message in the page, and is not delivered yet."""
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, phone = await with_two_missed(chat)
        first, second = (store.hold("append", done=True) for _ in range(2))
        sending = [alice.start_send("bob", "3")]
        await first.done.wait()
        sending += [phone.start_send("alice", "4"), alice.start_send("bob", "5")]
        first.answer()
        await second.done.wait()
        page = await logged_in(chat, "bob", modern=False)
        await turns()
        assert page.of("message") == []
        second.answer()
        assert [(await answer)["code"] for answer in sending] == ["200"] * 3
        assert await texts(page, 5) == ["1", "2", "3", "4", "5"]


async def test_somebody_who_was_blocked_while_a_page_waits_is_not_in_it() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, phone = await with_two_missed(chat)
        carol = await logged_in(chat, "carol")
        await carol.send_message("bob", "3")
        held = store.hold("append", done=True)
        alice.start_send("ALL", "hello")
        await held.done.wait()
        read = store.hold("undelivered")
        page = await logged_in(chat, "bob", modern=False)
        read.answer()
        await read.done.wait()
        assert (await phone.ask("block", id="alice"))["code"] == "200"
        await turns()
        assert page.of("message") == []
        held.answer()
        assert await texts(page, 1) == ["3"]


async def test_a_message_of_a_failed_write_is_sent_and_not_sent_again() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        page = await logged_in(chat, "bob", modern=False)
        await alice.send_message("bob", "1")
        assert await texts(page, 1) == ["1"]
        message = {
            "sender": "alice",
            "recepient": "bob",
            "data": "2",
            "clientId": "00000000-0000-4000-8000-000000000000",
        }
        store.fail("append")
        assert (await alice.ask("message", message))["code"] == "503"
        assert await texts(page, 1) == ["2"]
        await turns()
        assert (await alice.ask("message", message))["seq"] == 2
        await alice.send_message("bob", "3")
        assert await texts(page, 1) == ["3"]


async def test_no_proof_is_lost_when_a_catch_up_begins_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A message is sent while proof of an earlier one is outstanding, then a write fails."""
    waiting: list[Callable[[], None]] = []

    def when_received(self: Direct, callback: Callable[[], None]) -> None:
        waiting[:] = [callback]

    monkeypatch.setattr(Direct, "when_received", when_received)
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        page = await logged_in(chat, "bob", modern=False)
        await alice.send_message("bob", "1")
        await alice.send_message("bob", "2")
        store.fail("append")
        assert (await alice.send_message("bob", "3"))["code"] == "503"
        await turns()
        while waiting:
            waiting.pop()()
            await turns()
        assert await texts(page, 3) == ["1", "2", "3"]
        receipts = [(await alice.next("receipt"))["seq"]]
        while receipts[-1] < 3:
            receipts.append((await alice.next("receipt"))["seq"])


async def test_a_catch_up_whose_client_does_not_read_holds_few_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(original, "MAX_HELD", 10)
    monkeypatch.setattr(original, "PAGE", 1)
    monkeypatch.setattr(Direct, "when_received", lambda self, callback: None)
    store = DelayedStore()
    async with chatting(store) as chat:
        _, phone = await with_two_missed(chat)
        page = await logged_in(chat, "bob", modern=False)
        await page.next("message")
        for n in range(10):
            await phone.send_message("alice", str(n))
        assert not page.gone.is_set()
        assert (await phone.send_message("alice", "too many"))["code"] == "200"
        assert page.gone.is_set()
        monkeypatch.undo()
        again = await logged_in(chat, "bob", modern=False)
        assert await texts(again, 2) == ["1", "2"]


async def test_what_another_page_has_just_proven_is_not_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cursors, "PAIR_SECONDS", 60)
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        first = await logged_in(chat, "bob", modern=False)
        await alice.send_message("bob", "1")
        await turns()
        assert await texts(first, 1) == ["1"]
        second = await logged_in(chat, "bob", modern=False)
        await turns()
        assert second.of("message") == []


async def test_the_catch_up_ends_with_the_server() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        await with_two_missed(chat)
        held = store.hold("undelivered", done=True)
        page = await logged_in(chat, "bob", modern=False)
        await held.done.wait()
    held.answer()
    await turns()
    assert page.of("message") == []


async def test_a_page_is_sent_what_its_user_writes_elsewhere() -> None:
    async with chatting(DelayedStore()) as chat:
        await logged_in(chat, "alice")
        phone, page = await logged_in(chat, "bob"), await logged_in(chat, "bob", modern=False)
        await turns()
        assert (await phone.send_message("alice", "1"))["code"] == "200"
        assert await texts(page, 1) == ["1"]


async def test_the_catch_up_ends_when_somebody_else_logs_in_on_the_connection() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        await with_two_missed(chat)
        held = store.hold("undelivered", done=True)
        page = await logged_in(chat, "bob", modern=False)
        await held.done.wait()
        assert (await page.login(id="carol"))["code"] == "200"
        held.answer()
        await turns()
        assert page.of("message") == []


async def test_a_catch_up_that_failed_waits_before_it_asks_the_store_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(original, "RETRY_SECONDS", 60)
    store = DelayedStore()
    async with chatting(store) as chat:
        await with_two_missed(chat)
        store.refuse("undelivered")
        page = await logged_in(chat, "bob", modern=False)
        await turns()
        assert page.of("message") == []


@pytest.mark.parametrize("seconds", [0, 0.05, 60])
async def test_proof_is_requested_once_in_a_while(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "ASK_SECONDS", seconds)
    requests: asyncio.Queue[Callable[[], None]] = asyncio.Queue()
    monkeypatch.setattr(Direct, "when_received", lambda _, callback: requests.put_nowait(callback))
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        await logged_in(chat, "bob", modern=False)
        await alice.send_message("bob", "1")
        requests.get_nowait()()
        if seconds < 1:
            for text in ("2", "3"):
                await alice.send_message("bob", text)
                (await asyncio.wait_for(requests.get(), WAIT))()
        else:
            await alice.send_message("bob", "2")
        await turns()
        assert requests.empty()


@pytest.mark.parametrize("proven", ["before", "after"])
async def test_proof_does_not_count_when_the_login_ends_right_then(
    proven: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "STAY_SECONDS", 0.01)
    requests: list[Callable[[], None]] = []
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        page = await logged_in(chat, "bob", modern=False)
        with monkeypatch.context() as patched:
            patched.setattr(Direct, "when_received", lambda _, callback: requests.append(callback))
            await alice.send_message("bob", "1")
        (received,) = requests
        if proven == "before":
            received()
            page.leave()
        else:
            assert (await page.login(id="carol"))["code"] == "200"
            received()
        await turns()
        again = await logged_in(chat, "bob", modern=False)
        assert await texts(again, 1) == ["1"]


async def test_proof_that_was_due_is_not_requested_again_after_that_of_a_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second request would replace the first one, which would never be answered."""
    monkeypatch.setattr(proof, "ASK_SECONDS", 0.01)
    requests: list[Callable[[], None]] = []
    monkeypatch.setattr(Direct, "when_received", lambda _, callback: requests.append(callback))
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        page = await logged_in(chat, "bob", modern=False)
        await alice.send_message("bob", "1")
        requests.pop()()
        await alice.send_message("bob", "2")  # proof of it is due
        receipts = page.context.original.proof
        receipts.ask()
        asked = len(requests)
        await turns()
        assert len(requests) == asked


async def test_proven_receipt_is_stored_once_the_store_is_back() -> None:
    """The page will not prove it again."""
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        page = await logged_in(chat, "bob", modern=False)
        store.refuse("move_cursors")
        assert (await alice.send_message("bob", "hello"))["code"] == "200"
        assert await texts(page, 1) == ["hello"]
        receipt = await alice.next("receipt")
        assert (receipt["kind"], receipt["seq"]) == ("delivered", 1)
        page.leave()
        again = await logged_in(chat, "bob", modern=False)
        await alice.send_message("bob", "next")
        assert await texts(again, 1) == ["next"]
