"""Reads right after messages of the same connection that the store has not kept yet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import chatting, logged_in

READS: dict[str, dict[str, Any]] = {
    "conversations": {},
    "history": {"with": "bob"},
    "search": {"text": "needle"},
}
TURNS = 50


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("event", READS)
async def test_an_answer_contains_what_the_connection_sent_before(event: str, batches: int) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        await logged_in(chat, "bob")
        sent = []
        holds = []
        for number in range(batches):
            # The second message waits for the batch of the first.
            holds.append(store.hold("append"))
            sent.append(alice.start_send("bob", f"needle {number}"))
            await holds[0].called.wait()
        reading = alice.start(event, READS[event])
        for held in holds:
            await held.called.wait()
            for _ in range(TURNS):
                await asyncio.sleep(0)
            assert not reading.done()
            held.answer()
        answer = await reading
        assert all(message.done() for message in sent)
        assert f"needle {batches - 1}" in str(answer)


async def test_a_read_waits_for_no_message_of_others() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob, _ = [await logged_in(chat, id) for id in ("alice", "bob", "carol")]
        await alice.send_message("bob", "first")
        store.refuse("append")
        for code in ("503", "200"):  # what was refused or stored is waited for no more
            assert (await bob.send_message("carol", "mine"))["code"] == code
        held = store.hold("append")
        sent = alice.start_send("bob", "second")
        await held.called.wait()
        for event in ("conversations", "history", "search"):
            request = {"with": "alice"} if event == "history" else {"text": "first"}
            answer = await bob.ask(event, {} if event == "conversations" else request)
            assert "first" in str(answer)
            assert "second" not in str(answer)
        held.answer()
        assert (await sent)["code"] == "200"
