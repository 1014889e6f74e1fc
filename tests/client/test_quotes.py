"""Quotes on a real server: who edits, removes or blocks, and what the answers show then."""

from __future__ import annotations

import asyncio

from pychat.client import ChatClient
from pychat.client.events import MessageChanged
from pychat.client.models import ConnectionState, QuoteInfo
from tests.client.watcher import Watcher, started
from tests.serving import serving

ROOM = "#r"


def person(url: str, id: str) -> ChatClient:
    return ChatClient(url, user=id, password="")


def quotes(client: ChatClient) -> list[QuoteInfo | None]:
    return [each.reply_to for each in client.cached_messages(ROOM) if each.text == "answer"]


async def until(watcher: Watcher, quote: QuoteInfo) -> None:
    """Wait until the answer is shown with this quote."""
    while quotes(watcher.client) != [quote]:
        await watcher.next(MessageChanged)


async def read(client: ChatClient) -> list[QuoteInfo | None]:
    page = await client.history(ROOM)
    return [each.reply_to for each in page.messages if each.text == "answer"]


async def test_quotes_follow_their_origin() -> None:
    async with (
        serving(accounts="open") as server,
        person(server.url, "bob") as bob,
        person(server.url, "carol") as carol,
    ):
        await bob.create_room("r", "Room")
        await carol.join_room("r")
        async with started(person(server.url, "alice")) as alice:
            await alice.state(ConnectionState.ONLINE)
            await alice.client.join_room("r")
            origin = await bob.send(ROOM, "origin")
            await carol.send(ROOM, "answer", reply_to=origin.seq)
            await alice.added("answer")
            assert quotes(alice.client) == [QuoteInfo(1, "bob", "origin")]

            await bob.edit(origin.id, "edited")
            edited = QuoteInfo(1, "bob", "edited")
            await until(alice, edited)

            await alice.client.block("bob")
            assert await read(alice.client) == [QuoteInfo(1)]
            await alice.client.unblock("bob")
            assert await read(alice.client) == [edited]

            await bob.remove(origin.id)
            await until(alice, QuoteInfo(1))
            assert await read(alice.client) == [QuoteInfo(1)]


async def test_a_client_that_was_away_shows_no_removed_text() -> None:
    async with serving(accounts="open") as server, person(server.url, "bob") as bob:
        await bob.create_room("r", "Room")
        alice = person(server.url, "alice")
        async with started(alice) as watcher:
            await watcher.state(ConnectionState.ONLINE)
            await alice.join_room("r")
            origin = await bob.send(ROOM, "origin")
            await bob.send(ROOM, "answer", reply_to=origin.seq)
            await watcher.added("answer")
            connection = alice._core.reconnector.connection
            assert connection is not None
            connection.abort("away")
            await bob.remove(origin.id)
            async with asyncio.timeout(60):
                await until(watcher, QuoteInfo(1))
