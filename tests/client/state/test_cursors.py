"""When the user's cursors are sent to the server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pychat.client import ChatClient
from pychat.client.models import ConnectionState
from tests.client.state.imitated import ImitatedServer


@pytest.fixture(autouse=True)
async def connected(server: ImitatedServer, client: ChatClient) -> None:
    """The caller moves all cursors."""
    server.fill(9)
    server.fill(9, "carol")
    client.events()  # from now on, messages are fetched
    await client.connect()
    await asyncio.sleep(0.1)


def sent(server: ImitatedServer, event: str = "read") -> list[tuple[str, int]]:
    """The cursors sent since the last call."""
    return [(each["with"], each["seq"]) for each in server.taken(event)]


def refuse(server: ImitatedServer, code: str, **more: Any) -> None:
    server.answers["read"] = lambda _: {"code": code, "message": "refused", **more}


def accept(server: ImitatedServer) -> None:
    server.answers["read"] = lambda request: server.move("readSeq", request)


async def test_each_is_sent_once(server: ImitatedServer, client: ChatClient) -> None:
    await client.mark_read("bob", 3)
    await client.mark_read("bob", 2)
    await client.mark_delivered("bob", 5)
    await client.mark_delivered("bob", 4)
    await client.mark_delivered("carol", 1)
    await asyncio.sleep(0.1)
    await client.mark_read("bob", 3)
    await client.mark_delivered("bob", 5)
    await asyncio.sleep(5)
    assert sent(server) == [("bob", 3)]
    assert sent(server, "delivered") == [("bob", 5), ("carol", 1)]


async def test_while_one_is_unanswered_only_the_furthest_follows(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.hold("read")
    for seq in range(1, 9):
        await client.mark_read("bob", seq)
        await client.mark_read("carol", seq)
        await asyncio.sleep(0.1)
    assert sent(server) == [("bob", 1)]
    server.release("read")
    await asyncio.sleep(0.1)
    assert sent(server) == [("bob", 8), ("carol", 8)]


@pytest.mark.parametrize("code", ["429", "503"])
async def test_a_temporary_refusal_is_repeated_after_the_time_that_it_names(
    server: ImitatedServer, client: ChatClient, code: str
) -> None:
    refuse(server, code, retryAfter=7)
    await client.mark_read("bob", 3)
    await asyncio.sleep(6.5)
    assert sent(server) == [("bob", 3)]
    await client.mark_read("bob", 4)
    refuse(server, code)
    await asyncio.sleep(1)
    assert sent(server) == [("bob", 4)]
    accept(server)
    await asyncio.sleep(0.3)
    assert sent(server) == []
    await asyncio.sleep(0.5)
    assert sent(server) == [("bob", 4)]
    await asyncio.sleep(20)
    assert sent(server) == []


@pytest.mark.parametrize("code", ["400", "403", "404", "500"])
async def test_after_another_refusal_it_is_not_sent_again(
    server: ImitatedServer, client: ChatClient, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    refuse(server, code)
    await client.mark_read("bob", 3)
    await client.mark_read("carol", 3)
    await asyncio.sleep(20)
    assert sent(server) == [("bob", 3), ("carol", 3)]
    assert "cursor refused: read bob" in caplog.text
    accept(server)
    await client.mark_read("bob", 4)
    await asyncio.sleep(1)
    assert sent(server) == [("bob", 4)]


async def test_one_that_is_not_answered_is_sent_with_the_next(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.hold("read")
    await client.mark_read("bob", 3)
    await asyncio.sleep(11)
    assert sent(server) == [("bob", 3)]
    await client.mark_read("carol", 3)
    await asyncio.sleep(11)
    assert sent(server) == [("bob", 3)]
    server.release("read")
    await client.mark_read("carol", 4)
    await asyncio.sleep(1)
    assert sent(server) == [("bob", 3), ("carol", 4)]


async def test_a_new_connection_sends_them_when_its_store_is_known_to_be_the_same(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.hold("read")
    await client.mark_read("bob", 3)
    await asyncio.sleep(0.1)
    server.reachable = False
    server.disconnect()
    await asyncio.sleep(0.1)
    await client.mark_read("carol", 4)
    server.hold("conversations")
    server.reachable = True
    await asyncio.sleep(120)
    assert client.status.state is ConnectionState.ONLINE
    assert sent(server) == [("bob", 3)]
    await client.mark_read("bob", 5)
    await asyncio.sleep(1)
    assert sent(server) == []
    server.release("conversations")
    server.release("read")
    await asyncio.sleep(1)
    assert sorted(sent(server)) == [("bob", 5), ("carol", 4)]


async def test_those_of_a_replaced_conversation_are_dropped(
    server: ImitatedServer, client: ChatClient
) -> None:
    server.reachable = False
    server.disconnect()
    await asyncio.sleep(0.1)
    await client.mark_read("bob", 9)
    await client.mark_read("carol", 9)
    server.stored["bob"].clear()
    server.say("another one")
    server.reachable = True
    await asyncio.sleep(120)
    assert sent(server) == [("carol", 9)]
    await client.mark_read("bob", 1)
    await asyncio.sleep(1)
    assert sent(server) == [("bob", 1)]


async def test_the_last_ones_are_sent_before_the_end(
    server: ImitatedServer, client: ChatClient
) -> None:
    await client.mark_read("bob", 3)
    await client.mark_read("carol", 3)
    await client.close()
    assert sent(server) == [("bob", 3), ("carol", 3)]


async def test_a_lost_connection_ends_the_wait_for_another_attempt(
    server: ImitatedServer, client: ChatClient
) -> None:
    refuse(server, "429", retryAfter=100)
    await client.mark_read("bob", 3)
    await asyncio.sleep(1)
    server.disconnect()
    await asyncio.sleep(250)
    assert sent(server) == [("bob", 3)] * 4  # two over each connection
