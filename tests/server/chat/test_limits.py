"""Requests beyond a limit are answered 429 with the seconds to wait."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pychat.server.chat import Limits, Rate
from pychat.server.chat.state import session
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import chatting, logged_in
from tests.server.chat.peers import Peer
from tests.serving import serving

ONE_EVERY_MINUTE = Rate(1 / 60, 3)


@pytest.mark.parametrize(
    ("kind", "event", "payload"),
    [
        (
            "messages",
            "message",
            {"sender": "alice", "recepient": "ALL", "command": "chat", "type": "text", "data": "x"},
        ),
        ("messages", "edit", {"id": "1-1", "data": "x"}),
        ("messages", "remove", {"id": "1-1"}),
        ("messages", "react", {"id": "1-1", "emoji": "👍", "on": True}),
        ("queries", "reactions", {"id": "1-1"}),
        ("queries", "conversations", {}),
        ("queries", "history", {"with": "ALL"}),
        ("queries", "room", {"command": "list"}),
        ("queries", "room", {"command": "members", "roomId": "nowhere"}),
        ("queries", "fileLink", {"id": "0" * 32}),
        ("searches", "search", {"text": "x"}),
        ("searches", "users", {"query": "x"}),
        ("typing", "typing", {"recepient": "ALL", "typing": True}),
        ("cursors", "read", {"with": "ALL", "seq": 0}),
        ("changes", "room", {"command": "join", "roomId": "nowhere"}),
        ("changes", "block", {"id": "nobody"}),
        ("changes", "unblock", {"id": "nobody"}),
        ("changes", "sessions", {}),
        ("changes", "profile", {"alias": "x"}),
        ("changes", "notify", {"with": "ALL", "level": "all"}),
    ],
)
async def test_a_rate_counts_for_all_connections_of_a_user(
    kind: str, event: str, payload: dict[str, Any]
) -> None:
    limits = Limits(**{kind: ONE_EVERY_MINUTE})
    async with (
        serving(accounts="open", limits=limits) as server,
        Peer(server, "alice") as phone,
        Peer(server, "alice") as desk,
        Peer(server, "bob") as bob,
    ):
        codes = [(await peer.ask(event, payload))["code"] for peer in (phone, desk, phone)]
        assert "429" not in codes
        refused = await desk.ask(event, payload)
        assert refused["code"] == "429"
        assert 0 < refused["retryAfter"] <= 60
        assert refused["retryAfter"] == round(refused["retryAfter"], 3)  # milliseconds
        payload = payload | ({"sender": "bob"} if event == "message" else {})
        assert (await bob.ask(event, payload))["code"] != "429"


async def test_without_acknowledgement_too_fast_is_a_response() -> None:
    async with (
        serving(accounts="open", limits=Limits(typing=ONE_EVERY_MINUTE)) as server,
        Peer(server, "alice") as alice,
    ):
        for _ in range(4):
            await alice.tell("typing", {"recepient": "ALL", "typing": True})
        response = await alice.next("response")
        assert (response["command"], response["code"]) == ("typing", "429")
        assert response["retryAfter"] > 0


async def test_logins_are_counted_by_address() -> None:
    async with (
        serving(accounts="open", limits=Limits(logins=ONE_EVERY_MINUTE)) as server,
        Peer(server) as peer,
    ):
        codes = [(await peer.login(f"user{n}"))["code"] for n in range(4)]
        assert codes == ["200", "200", "200", "429"]


async def test_the_number_of_rooms_of_an_owner_is_limited() -> None:
    async with (
        serving(accounts="open", limits=Limits(rooms_per_user=2)) as server,
        Peer(server, "alice") as alice,
    ):
        codes = [
            (await alice.ask("room", command="create", roomId=f"r{n}", roomName="r"))["code"]
            for n in range(3)
        ]
        assert codes == ["200", "200", "403"]
        await alice.ask("room", command="delete", roomId="r0")
        assert (await alice.ask("room", command="create", roomId="r3"))["code"] == "200"


async def test_without_limits_nothing_is_too_fast() -> None:
    async with serving(accounts="open", limits=False) as server, Peer(server, "alice") as alice:
        for n in range(600):
            await alice.tell("message", alice.message("alice", str(n)))
        for _ in range(600):
            assert (await alice.next("response"))["code"] == "200"


@pytest.mark.parametrize("limited", ["events", "bytes"])
async def test_a_connection_s_events_that_wait_are_limited(
    monkeypatch: pytest.MonkeyPatch, limited: str
) -> None:
    body = {"query": "alice"}
    if limited == "events":
        monkeypatch.setattr(session, "MAX_EVENTS_WAITING", 3)
    else:
        monkeypatch.setattr(session, "MAX_BYTES_WAITING", 3 * len(json.dumps(body)))
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        for _ in range(2):
            held = store.hold("conversations")
            slow = alice.start("conversations")
            await held.called.wait()
            waiting = [alice.start("users", body) for _ in range(3)]
            refused = await alice.ask("users", body)
            assert refused["code"] == "429"
            assert not any(answer.done() for answer in waiting)
            held.answer()
            assert [(await answer)["code"] for answer in (slow, *waiting)] == ["200"] * 4
