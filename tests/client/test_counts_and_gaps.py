"""What the list of conversations shows after gaps, refusals, removals and a changed store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pychat.client import ChatClient
from pychat.client.events import ConversationChanged, ConversationsLoaded
from pychat.client.models import ConnectionState, ConversationInfo, DeliveryStatus
from tests.client.scripted import DONE, ScriptedServer, message, scripted
from tests.client.watcher import Watcher, started
from tests.turns import turns


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_BASE", 0.01)
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_MAX", 0.02)
    monkeypatch.setattr("pychat.client.core.RECOUNT_DELAY", 0)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted() as server:
        server.answers["history"] = lambda request: history(server, request)
        server.answers["users"] = lambda _: {**DONE, "users": []}
        yield server


def history(server: ScriptedServer, request: dict[str, Any]) -> dict[str, Any]:
    after = request.get("after", max(0, len(server.stored) - request["limit"]))
    page = server.stored[after : after + request["limit"]]
    return {**DONE, "messages": page, "hasMore": after + len(page) < len(server.stored)}


def bob_of(client: ChatClient) -> ConversationInfo:
    conversation = client.conversation("bob")
    assert conversation is not None
    return conversation


async def reconnected(server: ScriptedServer, alice: Watcher) -> None:
    await server.sio.disconnect(server.sid)
    await alice.state(ConnectionState.OFFLINE)
    await alice.next(ConversationsLoaded)


async def until_listed(server: ScriptedServer, client: ChatClient, unread: int) -> None:
    """Reconnect, and wait until the list shows that bob has this many unread messages."""
    await server.sio.disconnect(server.sid)
    async with asyncio.timeout(5):
        while bob_of(client).unread != unread:
            await turns()


async def test_another_store_with_as_many_messages_is_noticed_without_cached_ones(
    server: ScriptedServer,
) -> None:
    server.stored = [message(1, "one"), message(2, "two")]
    # Without events() nothing is fetched: only the last message of the list is known.
    async with ChatClient(server.url, user="alice", password="x password") as client:
        await client.mark_read("bob", 2)
        assert (bob_of(client).unread, client.cached_messages("bob")) == (0, [])
        await server.until(lambda: len(server.payloads("read")) == 1)
        server.stored = [message(1, "uno"), message(2, "dos")]
        await until_listed(server, client, unread=2)
        assert bob_of(client).read_seq == 0
        assert len(server.payloads("read")) == 1


@pytest.mark.parametrize("unsent", [False, True])
async def test_a_shorter_store_is_noticed_without_cached_messages(
    server: ScriptedServer, unsent: bool
) -> None:
    server.late["message"] = server.never
    server.stored = [message(seq, str(seq)) for seq in (1, 2, 3)]
    async with ChatClient(server.url, user="alice", password="x password") as client:
        assert bob_of(client).last_seq == 3
        if unsent:
            client.post("bob", "waiting")
        del server.stored[2:]
        await until_listed(server, client, unread=2)
        assert bob_of(client).last_seq == 2


async def test_the_same_store_after_a_long_absence_is_confirmed_by_one_message(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pychat.client.state.transcripts.CATCH_UP_LIMIT", 3)
    server.stored = [message(1, "1"), message(2, "2")]
    async with started(ChatClient(server.url, user="alice", password="x password")) as alice:
        await alice.added("2")
        server.stored += [message(seq, str(seq)) for seq in range(3, 9)]
        await reconnected(server, alice)
        await alice.added("8")
        lists = len(server.payloads("conversations"))
        # Had the store been taken for another one, the list would have been asked for again.
        await server.emit("message", message(9, "9"))
        await alice.added("9")
        await alice.client.users()
        assert len(server.payloads("conversations")) == lists == 2


async def test_a_refused_message_changes_the_last_one_only_if_it_is_that(
    server: ScriptedServer,
) -> None:
    answers: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def held(_sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        answers[payload["data"]] = asyncio.get_running_loop().create_future()
        await server.note("message", payload)
        return await answers[payload["data"]]

    server.sio.on("message", held)
    async with started(ChatClient(server.url, user="alice", password="x password")) as alice:
        await alice.next(ConversationsLoaded)
        for text in ("one", "two"):
            alice.client.post("bob", text)
        for text in ("one", "two"):
            await server.until(lambda text=text: text in answers)  # type: ignore[misc] # bound at once
            answers[text].set_result({"code": "413", "message": "too large"})
            await alice.changed(text=text, delivery=DeliveryStatus.FAILED)
            last = bob_of(alice.client).last
            assert last is not None
            assert last.text == "two"
            assert (last.delivery is DeliveryStatus.FAILED) is (text == "two")


async def test_a_message_of_a_gap_that_arrives_twice_is_counted_once(
    server: ScriptedServer,
) -> None:
    async with started(ChatClient(server.url, user="alice", password="x password")) as alice:
        await alice.next(ConversationsLoaded)
        server.late["history"] = server.never
        for seq in (3, 2, 2, 2):
            await server.emit("message", message(seq, str(seq)))
        await server.emit("typing", {"sender": "bob", "recepient": "alice", "typing": True})
        await alice.next(ConversationChanged, lambda event: bool(event.conversation.typing))
        assert bob_of(alice.client).unread == 2


@pytest.mark.parametrize("gone", ["read", "own", "unread"])
async def test_only_the_removal_of_an_unread_message_asks_for_the_count(
    server: ScriptedServer, gone: str
) -> None:
    async with started(ChatClient(server.url, user="alice", password="x password")) as alice:
        await alice.next(ConversationsLoaded)
        for seq, sender in ((1, "bob"), (2, "alice"), (3, "bob")):
            await server.emit("message", message(seq, str(seq), sender))
        await alice.added("3")
        await alice.client.mark_read("bob", 1)
        server.late["history"] = server.never
        await server.emit("message", message(6, "6"))
        await alice.next(ConversationChanged, lambda event: event.conversation.last_seq == 6)
        lists = len(server.payloads("conversations"))
        seq = {"read": 1, "own": 2, "unread": 3}[gone]
        await server.emit("changed", {"with": "bob", "seq": seq, "rev": 1, "removed": True})
        await alice.changed(seq=seq, removed=True)
        await alice.client.users()
        asked = len(server.payloads("conversations")) - lists
        assert asked == (gone == "unread")
