"""Posting marks the earlier messages of the conversation as read, but not later ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pychat.client import ChatClient
from pychat.client.events import ConversationChanged, ConversationsLoaded
from pychat.client.models import ConnectionState, DeliveryStatus
from pychat.server.app import ChatServer
from tests.client.watcher import Watcher, started
from tests.proxy import Line, proxying
from tests.serving import serving


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_BASE", 0.02)
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_MAX", 0.1)


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(accounts="open", limits=False) as server:
        yield server


@pytest.fixture
async def bob(server: ChatServer) -> AsyncIterator[ChatClient]:
    async with ChatClient(server.url, user="bob", password="") as client:
        yield client


def place(client: ChatClient, name: str = "bob") -> tuple[int, int]:
    """Return the read cursor and the unread count."""
    conversation = client.conversation(name)
    assert conversation is not None
    return conversation.read_seq, conversation.unread


async def comes_to(watcher: Watcher, read_seq: int, unread: int, name: str = "bob") -> None:
    async with asyncio.timeout(10):
        while place(watcher.client, name) != (read_seq, unread):
            await watcher.next(ConversationChanged | ConversationsLoaded)  # type: ignore[arg-type] # a union matches too


async def listed(server: ChatServer, name: str = "bob") -> tuple[int, int]:
    """Return what the server tells a new device."""
    async with ChatClient(server.url, user="alice", password="") as client:
        return place(client, name)


async def test_posting_marks_earlier_messages_as_read_on_all_devices(
    server: ChatServer, bob: ChatClient
) -> None:
    async with (
        started(ChatClient(server.url, user="alice", password="")) as phone,
        started(ChatClient(server.url, user="alice", password="")) as desk,
    ):
        for device in (phone, desk):
            await device.state(ConnectionState.ONLINE)
        for text in ("1", "2", "3"):
            await bob.send("alice", text)
        for device in (phone, desk):
            await device.added("3")
            assert place(device.client) == (0, 3)
        told = Watcher(bob)
        phone.client.post("bob", "answer")
        assert place(phone.client) == (3, 0)
        await desk.added("answer")
        await comes_to(desk, 3, 0)
        assert await listed(server) == (3, 0)
        await told.next(ConversationChanged, lambda event: event.conversation.peer_read_seq == 3)
        await bob.send("alice", "5")
        await comes_to(desk, 3, 1)
        assert await listed(server) == (3, 1)


@pytest.mark.parametrize("restarted", [False, True])
async def test_messages_that_arrive_while_a_post_is_queued_stay_unread(
    server: ChatServer, bob: ChatClient, tmp_path: Path, restarted: bool
) -> None:
    cache = tmp_path / "cache.db"
    async with proxying(server.port) as line:
        client = ChatClient(line.url, user="alice", password="", cache=cache)
        async with started(client) as alice:
            await alice.state(ConnectionState.ONLINE)
            await bob.send("alice", "1")
            await bob.send("alice", "2")
            await alice.added("2")
            line.line = Line.DOWN
            await alice.state(ConnectionState.OFFLINE)
            client.post("bob", "written offline")
            assert place(client) == (2, 0)
            await bob.send("alice", "3")
            await bob.send("alice", "4")
            if not restarted:
                line.line = Line.OPEN
                await alice.changed(text="written offline", delivery=DeliveryStatus.SENT)
                await comes_to(alice, 2, 2)
        line.line = Line.OPEN
        if restarted:
            client = ChatClient(line.url, user="alice", password="", cache=cache)
            async with started(client) as alice:
                await alice.changed(text="written offline", delivery=DeliveryStatus.SENT)
                await comes_to(alice, 2, 2)
    assert await listed(server) == (2, 2)


async def test_posting_in_a_room_marks_it_as_read(server: ChatServer, bob: ChatClient) -> None:
    async with started(ChatClient(server.url, user="alice", password="")) as alice:
        await alice.state(ConnectionState.ONLINE)
        await bob.create_room("den", "Den")
        await bob.join_room("den")
        await alice.client.join_room("den")
        await bob.send("#den", "1")
        await alice.added("1")
        assert place(alice.client, "#den") == (0, 1)
        await alice.client.send("#den", "2")
        assert place(alice.client, "#den") == (1, 0)
    assert await listed(server, "#den") == (1, 0)


async def test_after_connect_posting_moves_no_cursor(server: ChatServer, bob: ChatClient) -> None:
    async with ChatClient(server.url, user="alice", password="") as alice:
        incoming = alice.messages()
        await bob.send("alice", "1")
        assert (await anext(incoming)).text == "1"
        await alice.send("bob", "handled only when the next one is asked for")
        conversation = alice.conversation("bob")
        assert conversation is not None
        assert (conversation.delivered_seq, *place(alice)) == (0, 0, 1)
