"""Unread counts, also beyond the limits that client and server count to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pychat.client import ChatClient
from pychat.client.events import ConversationChanged, ConversationsLoaded
from pychat.client.models import ConnectionState, ConversationInfo
from pychat.server.app import ChatServer
from pychat.server.chat.accounts.passwords import hash_password
from tests.client.watcher import Watcher, started
from tests.many import say_many
from tests.proxy import Line, proxying
from tests.serving import serving


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_BASE", 0.02)
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_MAX", 0.1)
    monkeypatch.setattr("pychat.client.core.RECOUNT_DELAY", 0.1)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ChatServer]:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with serving(store, accounts="open", limits=False) as server:
        yield server


def bob_of(client: ChatClient) -> ConversationInfo:
    conversation = client.conversation("bob")
    assert conversation is not None
    return conversation


async def counted(watcher: Watcher, unread: int) -> None:
    """Wait until the unread count has this value."""
    async with asyncio.timeout(60):
        while bob_of(watcher.client).unread != unread:
            await watcher.next(ConversationChanged | ConversationsLoaded)  # type: ignore[arg-type] # a union matches too


@pytest.mark.e2e
async def test_reading_counts_down_from_three_thousand_unread(server: ChatServer) -> None:
    async with started(ChatClient(server.url, user="alice", password="")) as alice:
        await alice.state(ConnectionState.ONLINE)
    await say_many(server.url, "bob", "alice", [str(each) for each in range(1, 3001)])
    async with started(ChatClient(server.url, user="alice", password="")) as alice:
        await alice.added("3000")
        client = alice.client
        assert (bob_of(client).unread, bob_of(client).last_seq) == (1000, 3000)
        for seq, unread in ((1, 1000), (1500, 1000), (2400, 600), (2500, 500), (2990, 10)):
            await client.mark_read("bob", seq)
            assert bob_of(client).unread == unread
        await client.mark_read("bob", 3000)
        assert bob_of(client).unread == 0


@pytest.mark.e2e  # too slow for the fast part
async def test_own_messages_are_not_counted_as_unread(server: ChatServer) -> None:
    async with started(ChatClient(server.url, user="alice", password="")) as alice:
        await alice.state(ConnectionState.ONLINE)
    for number in range(30):  # ten of bob, then forty of alice: 300 of 1,500
        await say_many(server.url, "bob", "alice", [str(each) for each in range(10)])
        await say_many(server.url, "alice", "bob", [f"{number}-{each}" for each in range(40)])
    async with started(ChatClient(server.url, user="alice", password="")) as alice:
        await alice.added("29-39")
        assert (bob_of(alice.client).unread, bob_of(alice.client).last_seq) == (300, 1500)
        await alice.client.mark_read("bob", 500)
        await counted(alice, 200)


async def test_messages_that_arrive_after_an_offline_read_are_unread(server: ChatServer) -> None:
    async with (
        proxying(server.port) as line,
        started(ChatClient(line.url, user="alice", password="")) as alice,
    ):
        await alice.state(ConnectionState.ONLINE)
        await say_many(server.url, "bob", "alice", [str(each) for each in range(1, 11)])
        await alice.added("10")
        line.line = Line.DOWN
        await alice.state(ConnectionState.OFFLINE)
        await alice.client.mark_read("bob", 10)
        await say_many(server.url, "bob", "alice", [str(each) for each in range(11, 31)])
        line.line = Line.OPEN
        await alice.next(ConversationsLoaded)
        assert (bob_of(alice.client).read_seq, bob_of(alice.client).unread) == (10, 20)


@pytest.mark.e2e
async def test_reading_during_catch_up_counts_the_rest(server: ChatServer) -> None:
    async with started(ChatClient(server.url, user="alice", password="")) as alice:
        await alice.state(ConnectionState.ONLINE)
    await say_many(server.url, "bob", "alice", [str(each) for each in range(1, 901)])
    async with started(ChatClient(server.url, user="alice", password="")) as alice:
        await alice.added("50")
        await alice.client.mark_read("bob", 50)
        assert bob_of(alice.client).unread == 850
        await alice.added("900")
        assert bob_of(alice.client).unread == 850


@pytest.mark.parametrize("cached", [True, False])
async def test_removed_messages_are_not_unread(cached: bool) -> None:
    async with serving(admins=["root"], limits=False) as server:
        await server.store.create_account("root", "root", hash_password("root's own"), 0)
        async with (
            ChatClient(server.url, user="root", password="root's own") as root,
            ChatClient(server.url, user="bob", password="bob's own") as bob,
            started(ChatClient(server.url, user="alice", password="alice's own")) as alice,
        ):
            await alice.state(ConnectionState.ONLINE)
            sent = [await bob.send("alice", str(each)) for each in range(6)]
            await alice.added("5")
            assert bob_of(alice.client).unread == 6
            if not cached:
                alice.client._core.cache.clear_messages("bob")  # as if the page had been evicted
            await alice.client.mark_read("bob", 2)
            await root.remove(sent[0].id)
            await root.remove(sent[3].id)
            await root.remove(sent[5].id)
            await counted(alice, 2)
            await alice.client.mark_read("bob", 6)
            assert bob_of(alice.client).unread == 0
