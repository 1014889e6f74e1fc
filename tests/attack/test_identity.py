"""Being somebody else: forged senders, other people's conversations, rooms and sessions."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from pychat.server.app import ChatServer
from tests.attack.report import Tell
from tests.attack.wire import Client, connect

FORGED = [
    "alice",
    "ALICE",
    "alice ",
    " alice",
    "\u0430lice",
    "ａｌｉｃｅ",
    "ALL",
    "",
    "#room",
    "al\u200bice",
]

EVERY_EVENT: dict[str, dict[str, Any]] = {
    "message": {
        "sender": "alice",
        "recepient": "bob",
        "command": "chat",
        "type": "text",
        "data": "x",
    },
    "room": {"command": "create", "roomId": "den", "roomName": "Den", "roomOwner": "alice"},
    "conversations": {},
    "history": {"with": "bob"},
    "delivered": {"with": "bob", "seq": 1},
    "read": {"with": "bob", "seq": 1},
    "typing": {"recepient": "bob", "typing": True},
    "users": {"query": ""},
    "search": {"text": "secret"},
    "block": {"id": "bob"},
    "unblock": {"id": "bob"},
    "sessions": {"revoke": "all"},
    "profile": {"alias": "somebody else"},
    "logout": {},
}


@pytest.mark.parametrize("recepient", ["bob", "ALL", "alice"])
async def test_nobody_sends_as_somebody_else(
    alice: Client, bob: Client, mallory: Client, tell: Tell, recepient: str
) -> None:
    for sender in FORGED:
        message = {"sender": sender, "recepient": recepient, "command": "chat", "data": "forged"}
        assert (await mallory.ask("message", message))["code"] in ("400", "403")
        await mallory.emit("message", message)
    # Once this has arrived, whatever was before it would have arrived too.
    await mallory.ask(
        "message", {"sender": "mallory", "recepient": "bob", "command": "chat", "data": "honest"}
    )
    assert (await bob.event("message"))["sender"] == "mallory"
    assert not [e for e in alice.events if e[0] == "message"]
    tell(f"a message to {recepient} with a forged sender", 2 * len(FORGED), "refused, 403")


async def test_extra_fields_do_not_make_one_somebody_else(
    alice: Client, bob: Client, mallory: Client, tell: Tell
) -> None:
    claims = {"sender": "alice", "by": "alice", "id": "alice", "user": "alice", "account": 1}
    await mallory.ask(
        "message", {"sender": "mallory", "recepient": "bob", "data": "hi", "command": "chat"}
    )
    await bob.event("message")
    bob.events.clear()
    typing = {"recepient": "bob", "typing": True, **claims}
    assert (await mallory.ask("typing", typing))["code"] == "200"
    assert (await bob.event("typing"))["sender"] == "mallory"
    cursor = {"with": "bob", "seq": 1, **claims}
    assert (await mallory.ask("read", cursor))["code"] == "200"
    assert (await bob.event("receipt"))["by"] == "mallory"
    assert not alice.events
    tell("typing and receipts that claim to be another's", 2, "sent as the attacker's own")


async def test_before_a_login_nothing_is_done(
    server: ChatServer, web: aiohttp.ClientSession, alice: Client, bob: Client, tell: Tell
) -> None:
    stranger = await connect(web, server.url)
    for event, payload in EVERY_EVENT.items():
        assert (await stranger.ask(event, payload))["code"] == "401", event
    for event, payload in EVERY_EVENT.items():
        await stranger.emit(event, payload)
    assert (await stranger.ask("users", {"query": ""}))["code"] == "401"
    assert (await alice.ask("room", {"command": "list"}))["rooms"] == []
    assert not [e for e in bob.events if e[0] in ("message", "typing", "room", "receipt")]
    tell("every event without a login", 2 * len(EVERY_EVENT), "refused, 401")


async def test_another_s_conversation_cannot_be_read(
    alice: Client, bob: Client, mallory: Client, tell: Tell
) -> None:
    sent = await alice.ask(
        "message",
        {"sender": "alice", "recepient": "bob", "command": "chat", "data": "the secret word"},
    )
    names = [
        "alice",
        "bob",
        sent["id"],
        sent["id"].split("-")[0],
        "alice bob",
        "bob,alice",
        "0",
        "1",
    ]
    for name in names:
        history = await mallory.ask("history", {"with": name})
        assert history["code"] in ("400", "403", "404") or history["messages"] == [], name
        found = await mallory.ask("search", {"text": "secret", "with": name})
        assert found["code"] in ("400", "403", "404") or found["messages"] == [], name
    assert (await mallory.ask("search", {"text": "secret"}))["messages"] == []
    listed = (await mallory.ask("conversations", {}))["conversations"]
    assert [c["with"] for c in listed] == ["ALL"]
    # A cursor that came from somebody else's answers opens nothing either.
    for request in ("conversations", "search"):
        theirs = await alice.ask(request, {"text": "secret", "limit": 1})
        cursor = theirs.get("next", "1")
        mine = await mallory.ask(request, {"text": "secret", "cursor": cursor})
        assert "the secret word" not in str(mine)
    tell("reading another's conversation by name, number and cursor", 2 * len(names) + 4, "nothing")


async def test_receipts_in_another_s_conversation_do_nothing(
    alice: Client, bob: Client, mallory: Client, tell: Tell
) -> None:
    message = {"sender": "alice", "recepient": "bob", "command": "chat", "data": "unread"}
    await alice.ask("message", message)
    times = 0
    for with_ in ("alice", "bob"):
        for event in ("delivered", "read"):
            for seq in (0, 1, 2, 2**53):
                answer = await mallory.ask(event, {"with": with_, "seq": seq})
                assert answer["code"] in ("200", "400"), answer
                times += 1
    mine = (await alice.ask("conversations", {}))["conversations"]
    pair = next(c for c in mine if c["with"] == "bob")
    assert (pair["peerDeliveredSeq"], pair["peerReadSeq"]) == (0, 0)
    assert not [e for e in alice.events + bob.events if e[0] == "receipt"]
    tell("receipts in another's conversation", times, "no cursor moved, nobody told")


async def test_another_s_room_is_closed(
    alice: Client, bob: Client, mallory: Client, tell: Tell
) -> None:
    assert (await alice.ask("room", {"command": "create", "roomId": "den"}))["code"] == "200"
    said = {"sender": "alice", "recepient": "den", "command": "groupchat", "data": "among us"}
    await alice.ask("message", said)
    tries: list[tuple[str, dict[str, Any]]] = [
        ("message", {**said, "sender": "mallory"}),
        ("message", {**said, "sender": "mallory", "recepient": "#den"}),
        ("history", {"with": "#den"}),
        ("search", {"text": "among", "with": "#den"}),
        ("delivered", {"with": "#den", "seq": 1}),
        ("read", {"with": "#den", "seq": 1}),
        ("typing", {"recepient": "#den", "typing": True}),
        ("room", {"command": "update", "roomId": "den", "roomName": "Mine"}),
        ("room", {"command": "update", "roomId": "den", "roomName": "Mine", "roomOwner": "alice"}),
        ("room", {"command": "delete", "roomId": "den"}),
        ("room", {"command": "delete", "roomId": "DEN", "roomOwner": "mallory"}),
        ("room", {"command": "create", "roomId": "den", "roomName": "Mine"}),
        ("room", {"command": "create", "roomId": "DEN", "roomName": "Mine"}),
        ("room", {"command": "leave", "roomId": "den"}),
    ]
    for event, payload in tries:
        answer = await mallory.ask(event, payload)
        assert answer["code"] in ("400", "403", "404", "409"), (event, payload, answer)
    rooms = (await alice.ask("room", {"command": "list"}))["rooms"]
    assert rooms == [{"id": "den", "name": "den", "owner": "alice", "member": True}] or (
        rooms[0]["owner"] == "alice" and rooms[0]["name"] != "Mine"
    )
    # Joining is open to all, but shows nothing of what was said before.
    assert (await mallory.ask("room", {"command": "join", "roomId": "den"}))["code"] == "200"
    assert (await mallory.ask("history", {"with": "#den"}))["messages"] == []
    assert (await mallory.ask("history", {"with": "#den", "after": 0}))["messages"] == []
    assert (await mallory.ask("search", {"text": "among"}))["messages"] == []
    tell("writing, reading, renaming, deleting another's room", len(tries) + 4, "refused, 403")


async def test_another_s_sessions_cannot_be_listed_or_revoked(
    server: ChatServer, web: aiohttp.ClientSession, alice: Client, mallory: Client, tell: Tell
) -> None:
    theirs = (await alice.ask("sessions", {}))["sessions"]
    mine = (await mallory.ask("sessions", {}))["sessions"]
    assert {s["id"] for s in theirs}.isdisjoint(s["id"] for s in mine)
    for session in theirs:
        answer = await mallory.ask("sessions", {"revoke": session["id"]})
        assert answer["code"] == "404"
    await mallory.ask("sessions", {"revoke": "others"})
    assert len((await alice.ask("sessions", {}))["sessions"]) == 1
    tell("listing and revoking another's sessions", 3, "refused, 404")


@pytest.mark.parametrize("name", ["connect", "disconnect", "disconnecting", "newListener"])
async def test_reserved_event_names_run_nothing(
    server: ChatServer, web: aiohttp.ClientSession, alice: Client, tell: Tell, name: str
) -> None:
    attacker = await connect(web, server.url)
    await attacker.emit(name, {"id": "alice"})
    await attacker.closed.wait()
    assert (await alice.ask("users", {"query": ""}))["code"] == "200"
    tell(f"the event {name}, which is Socket.IO's own", 1, "the connection is closed")
