"""When the user's own typing is sent, and how long that of others is shown."""

from __future__ import annotations

import asyncio

import pytest

from pychat.client import ChatClient
from tests.client.state.imitated import ImitatedServer


@pytest.fixture(autouse=True)
async def online(server: ImitatedServer, client: ChatClient) -> None:
    server.stored |= {"carol": [], "#room": []}
    client.start()
    await asyncio.sleep(1)


def sent(server: ImitatedServer) -> list[tuple[str, bool]]:
    """The notices since the last call."""
    notices = [(each["recepient"], each["typing"]) for each in server.payloads("typing")]
    server.asked.clear()
    return notices


# --- one's own


async def test_it_is_sent_once_and_repeated_after_three_seconds(
    server: ImitatedServer, client: ChatClient
) -> None:
    for pause, expected in ((0, 1), (1, 0), (1.5, 0), (0.5, 1), (2.5, 0), (0.5, 1), (4, 1)):
        await asyncio.sleep(pause)
        client.typing("bob", True)
        assert sent(server) == [("bob", True)] * expected


async def test_it_ends_five_seconds_after_the_last_key(
    server: ImitatedServer, client: ChatClient
) -> None:
    for _ in range(3):
        client.typing("bob", True)
        await asyncio.sleep(2)
    client.typing("bob", True)
    sent(server)
    await asyncio.sleep(4.5)
    assert sent(server) == []
    await asyncio.sleep(1)
    assert sent(server) == [("bob", False)]
    await asyncio.sleep(20)
    assert sent(server) == []


async def test_its_end_is_sent_once_and_only_after_its_beginning(
    server: ImitatedServer, client: ChatClient
) -> None:
    client.typing("bob", False)
    assert sent(server) == []
    client.typing("bob", True)
    await asyncio.sleep(1)
    client.typing("bob", False)
    client.typing("bob", False)
    assert sent(server) == [("bob", True), ("bob", False)]
    await asyncio.sleep(1)
    client.typing("bob", True)  # the time of the first key no longer counts
    assert sent(server) == [("bob", True)]
    await asyncio.sleep(4.5)
    assert sent(server) == []
    await asyncio.sleep(1)
    assert sent(server) == [("bob", False)]


async def test_each_conversation_has_its_own(server: ImitatedServer, client: ChatClient) -> None:
    client.typing("bob", True)
    await asyncio.sleep(1)
    client.typing("#room", True)
    assert sent(server) == [("bob", True), ("#room", True)]
    client.post("bob", "said")
    assert sent(server) == [("bob", False)]
    await asyncio.sleep(6)
    assert sent(server) == [("#room", False)]


async def test_a_new_connection_knows_of_no_typing(
    server: ImitatedServer, client: ChatClient
) -> None:
    for name in ("bob", "carol"):
        client.typing(name, True)
    await asyncio.sleep(0.5)
    server.disconnect()
    client.typing("bob", True)
    await asyncio.sleep(1.5)
    sent(server)
    client.typing("bob", True)
    assert sent(server) == [("bob", True)]
    await asyncio.sleep(4.5)  # the timers of the lost connection would have ended
    assert sent(server) == []


# --- that of others


def typing(sender: str, typing: bool = True, to: str = "alice") -> dict[str, object]:
    return {"sender": sender, "recepient": to, "typing": typing}


def shown(client: ChatClient) -> dict[str, tuple[str, ...]]:
    return {each.name: each.typing for each in client.conversations if each.typing}


async def test_it_is_shown_until_it_ends(server: ImitatedServer, client: ChatClient) -> None:
    server.emit("typing", typing("bob"))
    server.emit("typing", typing("carol", to="#room"))
    server.emit("typing", typing("bob", to="#room"))
    assert shown(client) == {"bob": ("bob",), "#room": ("carol", "bob")}
    server.emit("typing", typing("carol", False, to="#room"))
    server.emit("typing", typing("carol", False))
    assert shown(client) == {"bob": ("bob",), "#room": ("bob",)}
    server.tell("said", "#room", "bob")
    assert shown(client) == {"bob": ("bob",)}
    server.tell("said")
    assert shown(client) == {}


async def test_it_is_shown_for_eight_seconds(server: ImitatedServer, client: ChatClient) -> None:
    server.emit("typing", typing("bob"))
    await asyncio.sleep(7.5)
    server.emit("typing", typing("bob"))
    await asyncio.sleep(7.5)
    assert shown(client) == {"bob": ("bob",)}
    await asyncio.sleep(1)
    assert shown(client) == {}
    server.emit("typing", typing("bob"))
    await asyncio.sleep(1)
    server.emit("typing", typing("bob", False))
    server.emit("typing", typing("bob"))
    await asyncio.sleep(7.5)  # the first notice has ended
    assert shown(client) == {"bob": ("bob",)}


async def test_one_s_own_and_that_of_strangers_is_not_shown(
    server: ImitatedServer, client: ChatClient
) -> None:
    for sender, to in (("alice", "bob"), ("alice", "#room"), ("dave", "alice"), ("bob", "#no")):
        server.emit("typing", typing(sender, to=to))
    assert shown(client) == {}
    assert client.conversation("dave") is None


async def test_it_ends_with_the_presence_and_with_the_connection(
    server: ImitatedServer, client: ChatClient
) -> None:
    for name in ("bob", "carol"):
        server.emit("typing", typing(name))
    presence = {"id": "bob", "alias": "Bob", "online": True, "lastSeen": None}
    server.emit("presence", presence)
    assert shown(client) == {"bob": ("bob",), "carol": ("carol",)}
    server.emit("presence", presence | {"online": False, "lastSeen": "2026-01-01T00:00:00Z"})
    assert shown(client) == {"carol": ("carol",)}
    server.disconnect()
    await asyncio.sleep(0.01)
    assert shown(client) == {}


async def test_what_is_typed_before_the_login_ends_with_the_client(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.hold("login")
    server.disconnect()
    await asyncio.sleep(2)
    server.emit("typing", typing("bob"))
    assert shown(client) == {"bob": ("bob",)}
    await client.close()
    assert shown(client) == {}
