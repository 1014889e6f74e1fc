"""The catch-up of an original client: messages that come during it follow it, once, in order."""

from __future__ import annotations

import asyncio

import pytest

from pychat.server.chat import Chat
from pychat.server.chat.notices import cursors, original, proof
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in

TURNS = 50


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


async def test_what_the_catch_up_has_sent_is_not_sent_again() -> None:
    """A message was stored before a page was read, and is delivered after the last page."""
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, _ = await with_two_missed(chat)
        held = store.hold("append", done=True)
        sent = alice.start_send("bob", "3")
        await held.done.wait()
        page = await logged_in(chat, "bob", modern=False)
        assert await texts(page, 3) == ["1", "2", "3"]
        for _ in range(TURNS):
            await asyncio.sleep(0)
        held.answer()
        assert (await sent)["code"] == "200"
        await alice.send_message("bob", "4")
        assert await texts(page, 1) == ["4"]


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
