"""Cursors are sent one at a time, and only to a server that has the messages."""

from __future__ import annotations

import asyncio
from typing import Any

from pychat import protocol
from pychat.client.state.cursors import CursorSender
from pychat.protocol import Event


class Server:
    """Answers requests for cursors when the test says so."""

    def __init__(self) -> None:
        self.requests: list[tuple[Event, str, int]] = []
        self.answering = asyncio.Event()

    async def request(self, event: Event, request: Any, answer: Any) -> Any:
        self.requests.append((event, request.with_, request.seq))
        await self.answering.wait()
        return protocol.Answer(protocol.Code.DONE, "done")


async def started() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_cursor_waits_until_its_conversation_is_confirmed() -> None:
    server = Server()
    sender = CursorSender(server.request)
    sender.move(Event.READ, "bob", 3)
    assert sender.send() is None
    sender.confirm("carol")
    assert sender.send() is None
    sender.confirm("bob")
    assert sender.send() is not None
    await started()
    assert server.requests == [(Event.READ, "bob", 3)]


async def test_only_the_furthest_position_is_sent_and_once() -> None:
    server = Server()
    sender = CursorSender(server.request)
    sender.confirm("bob")
    for seq in (2, 5, 4):
        sender.move(Event.READ, "bob", seq)
    task = sender.send()
    assert task is not None
    await started()
    sender.move(Event.READ, "bob", 7)
    sender.move(Event.DELIVERED, "bob", 7)
    assert sender.send() is task
    server.answering.set()
    await task
    assert server.requests[0] == (Event.READ, "bob", 5)
    assert sorted(server.requests[1:]) == [(Event.DELIVERED, "bob", 7), (Event.READ, "bob", 7)]
    sender.send()
    await started()
    assert len(server.requests) == 3


async def test_after_a_disconnect_the_cursor_is_sent_again_at_once() -> None:
    server = Server()
    sender = CursorSender(server.request)
    sender.confirm("bob")
    sender.move(Event.READ, "bob", 3)
    lost = sender.send()
    await started()
    sender.disconnected()
    assert sender.send() is None
    sender.confirm("bob")
    again = sender.send()
    assert again is not lost
    server.answering.set()
    assert again is not None
    await again
    assert server.requests == [(Event.READ, "bob", 3)] * 2


async def test_cursors_of_a_replaced_conversation_are_dropped() -> None:
    server = Server()
    sender = CursorSender(server.request)
    for name in ("bob", "carol"):
        sender.confirm(name)
        sender.move(Event.READ, name, 3)
    sender.reset("bob")
    sender.move(Event.READ, "bob", 1)
    sender.reset("carol")
    assert sender.send() is None
    sender.reset("bob")
    sender.confirm("bob")
    sender.confirm("carol")
    sender.move(Event.READ, "carol", 3)
    task = sender.send()
    server.answering.set()
    assert task is not None
    await task
    assert server.requests == [(Event.READ, "carol", 3)]
