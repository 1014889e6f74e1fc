"""Mentions in rooms: of messages, unread ones, and bots that are mentioned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pychat.bot import Bot, BotRequest
from pychat.client import ChatClient
from pychat.client.events import ConversationChanged, ConversationsLoaded
from pychat.server.app import ChatServer
from tests.client.watcher import Watcher, started
from tests.serving import serving


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(accounts="open", limits=False) as server:
        yield server


@pytest.fixture
async def alice(server: ChatServer) -> AsyncIterator[Watcher]:
    """The owner of the room r."""
    async with started(ChatClient(server.url, user="alice", password="")) as watcher:
        await watcher.client.create_room("r", "r")
        yield watcher


@pytest.fixture
async def bob(server: ChatServer, alice: Watcher) -> AsyncIterator[Watcher]:
    async with started(ChatClient(server.url, user="bob", password="")) as watcher:
        await watcher.client.join_room("r")
        yield watcher


def counts(watcher: Watcher) -> tuple[int, int]:
    conversation = watcher.client.conversation("#r")
    return (conversation.unread, conversation.unread_mentions) if conversation else (0, 0)


async def counted(watcher: Watcher, unread: int, mentions: int) -> None:
    async with asyncio.timeout(60):
        while counts(watcher) != (unread, mentions):
            await watcher.next(ConversationChanged | ConversationsLoaded)  # type: ignore[arg-type] # a union matches too


async def test_who_is_mentioned(alice: Watcher, bob: Watcher) -> None:
    sent = await alice.client.send("#r", "hello @BOB")
    assert (sent.mentions, sent.mentioned) == (("bob",), False)
    received = await bob.added("hello @BOB")
    assert (received.mentions, received.mentioned) == (("bob",), True)
    await alice.client.send("#r", "@ALL: lunch")
    received = await bob.added("@ALL: lunch")
    assert (received.mentions, received.mentioned) == (("ALL",), True)
    await bob.client.send("#r", "thanks @alice and @bob")
    received = await alice.added("thanks @alice and @bob")
    assert (received.mentions, received.mentioned) == (("alice", "bob"), True)


async def test_unread_mentions_are_counted_and_read(alice: Watcher, bob: Watcher) -> None:
    for text in ("@bob one", "two", "@bob three"):
        await alice.client.send("#r", text)
    await counted(bob, 3, 2)
    await bob.client.mark_read("#r", 1)
    assert counts(bob) == (2, 1)
    await bob.client.mark_read("#r", 3)
    assert counts(bob) == (0, 0)


async def test_an_edit_changes_the_mentions(alice: Watcher, bob: Watcher) -> None:
    sent = await alice.client.send("#r", "@bob")
    await counted(bob, 1, 1)
    await alice.client.edit(sent, "nobody")
    await counted(bob, 1, 0)
    await alice.client.edit(sent, "@bob again")
    await counted(bob, 1, 1)
    await alice.client.remove(sent)
    await counted(bob, 0, 0)


async def test_mentions_that_were_missed(
    server: ChatServer, alice: Watcher, tmp_path: Path
) -> None:
    async with started(ChatClient(server.url, user="carol", password="")) as carol:
        await carol.client.join_room("r")
    await alice.client.send("#r", "@carol")
    for _ in range(2):  # the second time from the cache
        cache = tmp_path / "cache.db"
        client = ChatClient(server.url, user="carol", password="", cache=cache)
        async with started(client) as carol:
            await counted(carol, 1, 1)
            (message,) = (await carol.client.history("#r")).messages
            assert message.mentioned


async def test_a_bot_uses_the_mentions_of_the_server(server: ChatServer, alice: Watcher) -> None:
    async with ChatClient(server.url, user="ops bot") as client:
        await client.join_room("r")
        bot = Bot(client)

        @bot.mention
        async def anything(request: BotRequest) -> str:
            return f"what is {request.text!r}?"

        task = asyncio.create_task(bot.run())
        try:
            for text in ("@ops", "mail@ops bot", "@ALL", "well, @Ops Bot?"):
                await alice.client.send("#r", text)
            await alice.added("what is 'well, @Ops Bot?'?")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert [text for text in alice.texts if text.startswith("what is")] == [
        "what is 'well, @Ops Bot?'?"
    ]
