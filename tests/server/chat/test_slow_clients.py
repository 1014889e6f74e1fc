"""A client that is too slow is disconnected in the middle of a delivery: all others get theirs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in


class Slow(Direct):
    """The engine ends its connection when one more event is sent to it."""

    full = False

    def send(self, packet: Any) -> None:
        if self.full:
            self.leave()
        super().send(packet)


@pytest.mark.parametrize(
    ("event", "payload", "received"),
    [
        ("message", {"command": "chat", "recepient": "ALL", "data": "hello"}, "message"),
        ("message", {"command": "chat", "recepient": "alice", "data": "hello"}, "message"),
        ("message", {"command": "groupchat", "recepient": "r", "data": "hello"}, "message"),
        ("typing", {"recepient": "ALL", "typing": True}, "typing"),
        ("typing", {"recepient": "alice", "typing": True}, "typing"),
        ("room", {"command": "create", "roomId": "new"}, "room"),
    ],
)
async def test_a_client_that_is_ended_while_it_is_sent_to_does_not_affect_others(
    event: str, payload: dict[str, Any], received: str
) -> None:
    async with chatting(DelayedStore()) as chat:
        bob = await logged_in(chat, "bob")
        slow = [Slow(chat, id) for id in ("dave", "alice")]
        for client in slow:
            await client.login()
        others = [await logged_in(chat, id) for id in ("alice", "alice")]
        await bob.ask("room", command="create", roomId="r")
        await others[0].ask("room", command="join", roomId="r")
        await bob.send_message("alice", "first")
        for client in slow:
            client.full = True
        before = [len(client.of(received)) for client in others]
        if event == "message":
            payload = payload | {"sender": "bob"}
        assert (await bob.ask(event, payload))["code"] == "200"
        for client, count in zip(others, before, strict=True):
            while len(client.of(received)) == count:
                await client.next(received)
