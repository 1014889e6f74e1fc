"""Recovery after restarts, lost connections, lost answers and gaps: no loss, no duplicates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pychat import protocol
from pychat.client import CacheUnusable, ChatClient, RequestRefused, ServerUnreachable
from pychat.client.events import (
    ConversationChanged,
    ConversationsLoaded,
    MessagesReset,
    StatusChanged,
)
from pychat.client.models import ConnectionState, DeliveryStatus
from pychat.server.app import ChatServer
from pychat.server.chat import Limits, Rate
from tests.client.watcher import Watcher, started
from tests.proxy import Line, Proxy, proxying
from tests.serving import serving


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_BASE", 0.02)
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_MAX", 0.1)


@pytest.fixture
def quick_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("storage.sendqueue", "connection.reconnect", "connection.login"):
        monkeypatch.setattr(f"pychat.client.{module}.ANSWER_TIMEOUT", 0.3)


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(accounts="open", limits=False) as server:
        yield server


@pytest.fixture
async def line(server: ChatServer) -> AsyncIterator[Proxy]:
    """The proxy between alice and the server. Bob connects directly."""
    async with proxying(server.port) as proxy:
        yield proxy


@pytest.fixture
async def alice(line: Proxy) -> AsyncIterator[Watcher]:
    async with started(ChatClient(line.url, user="alice", password="")) as one:
        await one.state(ConnectionState.ONLINE)
        yield one


@pytest.fixture
async def bob(server: ChatServer) -> AsyncIterator[Watcher]:
    async with started(ChatClient(server.url, user="bob", password="")) as one:
        await one.state(ConnectionState.ONLINE)
        yield one


async def test_a_name_that_another_device_chose_meanwhile_stays(
    server: ChatServer, line: Proxy, alice: Watcher
) -> None:
    async with started(ChatClient(server.url, user="alice", password="")) as phone:
        await phone.state(ConnectionState.ONLINE)
        line.line = Line.DOWN
        await alice.state(ConnectionState.OFFLINE)
        await phone.client.set_alias("Alice L.")
        line.line = Line.OPEN
        await alice.state(ConnectionState.ONLINE)
        assert alice.client.alias == phone.client.alias == "Alice L."


async def test_a_restart_of_the_server_loses_nothing(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'chat.db'}"
    async with serving(store) as server:
        address, port = server.url, server.port
        alice = ChatClient(address, user="alice", password="a password")
        bob = ChatClient(address, user="bob", password="b password")
        await alice.connect()
        await bob.connect()
        a, b = Watcher(alice), Watcher(bob)
        await alice.send("bob", "before")
        await b.added("before")
    await a.state(ConnectionState.OFFLINE)
    assert a.client.status.reason
    posted = alice.post("bob", "while it was down")
    assert alice.status.waiting == 1
    async with serving(store, port=port):
        await a.changed(client_id=posted.client_id, delivery=DeliveryStatus.SENT)
        await b.added("while it was down")
        await b.state(ConnectionState.ONLINE)
        await bob.send("alice", "after")
        await a.added("after")
        await b.added("after")
        assert b.texts == ["before", "while it was down", "after"]
        stored = await alice.history("bob")
        assert [each.text for each in stored.messages] == ["before", "while it was down", "after"]
        await alice.close()
        await bob.close()


@pytest.mark.e2e
async def test_missed_messages_are_published_once_in_order(
    line: Proxy, alice: Watcher, bob: Watcher
) -> None:
    await bob.client.send("alice", "0")
    await alice.added("0")
    line.line = Line.DOWN
    await alice.state(ConnectionState.OFFLINE)
    for i in range(1, 251):
        await bob.client.send("alice", f"{i}")
    line.line = Line.OPEN
    await alice.state(ConnectionState.ONLINE)
    await bob.client.send("alice", "end")
    await alice.added("end")
    assert alice.texts == [*map(str, range(251)), "end"]
    conversation = alice.client.conversation("bob")
    assert conversation is not None
    assert (conversation.unread, conversation.last_seq) == (252, 252)


async def test_messages_posted_offline_are_sent_once_in_order(
    line: Proxy, alice: Watcher, bob: Watcher
) -> None:
    await alice.client.send("bob", "first")
    line.line = Line.DOWN
    await alice.state(ConnectionState.OFFLINE)
    for i in range(30):
        alice.client.post("bob", f"{i}")
    assert alice.client.status.waiting == 30
    line.line = Line.OPEN
    await bob.added("29")
    assert bob.texts == ["first", *map(str, range(30))]
    await alice.changed(text="29", delivery=DeliveryStatus.SENT)
    assert [each.text for each in alice.client.cached_messages("bob")] == bob.texts
    assert alice.client.status.waiting == 0


async def test_a_lost_answer_does_not_duplicate_the_message(
    line: Proxy, alice: Watcher, bob: Watcher
) -> None:
    await alice.client.send("bob", "first")
    # The proxy takes the message, and the connection is lost before the answer.
    line.line = Line.STALLED
    posted = alice.client.post("bob", "second")
    await asyncio.sleep(0)
    line.line = Line.OPEN
    await bob.added("second")
    line.cut()
    await alice.changed(client_id=posted.client_id, delivery=DeliveryStatus.SENT)
    await alice.client.send("bob", "third")
    await bob.added("third")
    assert bob.texts == ["first", "second", "third"]
    await alice.changed(text="third", delivery=DeliveryStatus.SENT)
    cached = [(each.seq, each.text) for each in alice.client.cached_messages("bob")]
    assert cached == [(1, "first"), (2, "second"), (3, "third")]


@pytest.mark.usefixtures("quick_answers")
async def test_a_silent_connection_is_replaced_and_the_message_sent_again(
    line: Proxy, alice: Watcher, bob: Watcher
) -> None:
    line.line = Line.SILENT
    alice.client.post("bob", "anybody?")
    lost = await alice.state(ConnectionState.OFFLINE)
    assert "has not answered" in lost.status.reason
    line.line = Line.OPEN
    await bob.added("anybody?")
    await alice.changed(text="anybody?", delivery=DeliveryStatus.SENT)


@pytest.mark.usefixtures("quick_answers")
async def test_a_request_on_a_silent_connection_times_out(line: Proxy, alice: Watcher) -> None:
    line.line = Line.SILENT
    with pytest.raises(ServerUnreachable, match="has not answered"):
        await alice.client.users()


async def test_a_gap_is_filled_before_later_messages(
    alice: Watcher, bob: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bob.client.send("alice", "1")
    await alice.added("1")
    # The event of seq 2 is lost, as it could be on a bus between servers.
    dispatch = alice.client._core.reconnector._on_event

    def without_the_second(name: str, data: dict[str, object]) -> None:
        if not (name == protocol.Event.MESSAGE and data.get("seq") == 2):
            dispatch(name, data)

    assert alice.client._core.reconnector.connection is not None
    monkeypatch.setattr(alice.client._core.reconnector.connection, "_on_event", without_the_second)
    await bob.client.send("alice", "2")
    await bob.client.send("alice", "3")
    await alice.added("3")
    assert alice.texts == ["1", "2", "3"]


async def test_send_waits_for_the_connection_and_close_ends_the_wait(
    line: Proxy, alice: Watcher, bob: Watcher
) -> None:
    line.line = Line.DOWN
    await alice.state(ConnectionState.OFFLINE)
    first = asyncio.ensure_future(alice.client.send("bob", "patience"))
    await asyncio.sleep(0)
    line.line = Line.OPEN
    assert (await first).seq == 1
    line.line = Line.DOWN
    await alice.state(ConnectionState.OFFLINE)
    second = asyncio.ensure_future(alice.client.send("bob", "never"))
    await asyncio.sleep(0)
    await alice.client.close()
    with pytest.raises(RequestRefused, match="closed"):
        await second


async def test_a_cancelled_send_is_not_sent_later(
    line: Proxy, alice: Watcher, bob: Watcher
) -> None:
    line.line = Line.DOWN
    await alice.state(ConnectionState.OFFLINE)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await alice.client.send("bob", "too late")
    line.line = Line.OPEN
    await alice.client.send("bob", "in time")
    await bob.added("in time")
    assert bob.texts == ["in time"]


async def test_after_429_the_outbox_waits_and_retries() -> None:
    limits = Limits(messages=Rate(per_second=20, burst=3))
    async with (
        serving(accounts="open", limits=limits) as server,
        started(ChatClient(server.url, user="alice", password="")) as alice,
        started(ChatClient(server.url, user="bob", password="")) as bob,
    ):
        await bob.state(ConnectionState.ONLINE)
        for i in range(12):
            alice.client.post("bob", f"{i}")
        await bob.added("11")
        assert bob.texts == [str(i) for i in range(12)]
        await alice.next(StatusChanged, lambda event: event.status.waiting == 0)
        assert not [
            e for e in alice.client.cached_messages("bob") if e.delivery is DeliveryStatus.FAILED
        ]


async def test_a_read_cursor_moved_offline_is_sent_later(
    server: ChatServer, line: Proxy, alice: Watcher, bob: Watcher
) -> None:
    for i in range(3):
        await bob.client.send("alice", f"{i}")
    await alice.added("2")
    line.line = Line.DOWN
    await alice.state(ConnectionState.OFFLINE)
    await alice.client.mark_read("bob", 2)
    conversation = alice.client.conversation("bob")
    assert conversation is not None
    assert conversation.unread == 1
    with pytest.raises(RequestRefused, match="has 3 messages, not 4"):
        await alice.client.mark_read("bob", 4)
    with pytest.raises(RequestRefused, match="no conversation carol"):
        await alice.client.mark_read("carol", 1)
    line.line = Line.OPEN
    await bob.next(ConversationChanged, lambda e: e.conversation.peer_read_seq == 2)


async def test_messages_start_at_the_delivered_cursor_and_move_it(
    server: ChatServer, bob: Watcher
) -> None:
    async with ChatClient(server.url, user="bot"):
        pass
    for i in range(4):
        await bob.client.send("bot", f"{i}")

    async def run(count: int) -> list[str]:
        """Run a bot that ends while it handles its last message."""
        texts: list[str] = []
        async with ChatClient(server.url, user="bot") as bot:
            async for message in bot.messages():
                texts.append(message.text)
                if len(texts) == count:
                    return texts
        raise AssertionError

    assert await run(2) == ["0", "1"]
    assert await run(2) == ["1", "2"]
    await bob.client.send("bot", "4")
    assert await run(3) == ["2", "3", "4"]


async def test_messages_includes_those_that_events_has_published(
    server: ChatServer, bob: Watcher
) -> None:
    async with ChatClient(server.url, user="bot") as bot:
        watcher = Watcher(bot)
        for text in ("one", "two"):
            await bob.client.send("bot", text)
        await watcher.added("two")
        messages = bot.messages()
        texts = [(await anext(messages)).text for _ in range(2)]
        await bob.client.send("bot", "three")
        assert [*texts, (await anext(messages)).text] == ["one", "two", "three"]


class TestTheCacheFile:
    async def test_the_last_state_is_available_without_the_network(
        self, tmp_path: Path, line: Proxy, bob: Watcher
    ) -> None:
        path = tmp_path / "alice.db"
        async with started(ChatClient(line.url, user="alice", password="", cache=path)) as alice:
            await alice.state(ConnectionState.ONLINE)
            for i in range(3):
                await bob.client.send("alice", f"{i}")
            await alice.added("2")
            alice.client.set_draft("bob", "half a")
        line.line = Line.DOWN
        again = ChatClient(line.url, user="alice", password="", cache=path)
        async with started(again) as alice:
            assert [each.name for each in again.conversations] == ["bob", "ALL"]
            assert [each.text for each in again.cached_messages("bob")] == ["0", "1", "2"]
            assert again.draft("bob") == "half a"
            await alice.state(ConnectionState.OFFLINE)
            page = await again.history("bob", before=3)
            assert [each.text for each in page.messages] == ["0", "1"]

            await bob.client.send("alice", "3")
            line.line = Line.OPEN
            await alice.added("3")
            assert alice.texts == ["3"]

    async def test_the_outbox_is_sent_in_the_next_run(
        self, tmp_path: Path, line: Proxy, bob: Watcher
    ) -> None:
        path = tmp_path / "alice.db"
        line.line = Line.DOWN
        async with started(ChatClient(line.url, user="alice", password="", cache=path)) as alice:
            for text in ("one", "two"):
                alice.client.post("bob", text)
        line.line = Line.OPEN
        async with started(ChatClient(line.url, user="alice", password="", cache=path)) as alice:
            assert [each.text for each in alice.client.cached_messages("bob")] == ["one", "two"]
            await bob.added("two")
            await alice.next(StatusChanged, lambda event: event.status.waiting == 0)
        assert bob.texts == ["one", "two"]

    async def test_a_second_client_uses_memory_or_is_refused(
        self, tmp_path: Path, line: Proxy, bob: Watcher
    ) -> None:
        path = tmp_path / "alice.db"
        async with started(ChatClient(line.url, user="alice", password="", cache=path)) as first:
            assert not first.client.cache_locked
            with pytest.raises(CacheUnusable, match="in use by another pychat"):
                await ChatClient(line.url, user="alice", password="", cache=path).connect()
            second = ChatClient(line.url, user="alice", password="", cache=path)
            async with started(second) as beside:
                second.start()  # has no effect the second time
                assert second.cache_locked
                second.post("bob", "from beside")
                await bob.added("from beside")
                await bob.client.send("alice", "for both")
                await first.added("for both")
                await beside.added("for both")

    async def test_a_long_absence_resets_the_conversation(
        self, tmp_path: Path, server: ChatServer, bob: Watcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pychat.client.state.transcripts.CATCH_UP_LIMIT", 120)
        path = tmp_path / "alice.db"
        async with started(ChatClient(server.url, user="alice", password="", cache=path)) as alice:
            await alice.state(ConnectionState.ONLINE)
            await bob.client.send("alice", "long ago")
            await alice.added("long ago")
        for i in range(150):
            await bob.client.send("alice", f"{i}")
        async with started(ChatClient(server.url, user="alice", password="", cache=path)) as alice:
            await alice.next(MessagesReset, lambda event: event.conversation == "bob")
            await alice.added("149")
            cached = alice.client.cached_messages("bob")
            assert [each.seq for each in cached] == list(range(52, 152))
            older = await alice.client.history("bob", before=52, limit=100)
            assert [each.seq for each in older.messages] == list(range(1, 52))[-100:]
            assert alice.client.cached_messages("bob")[0].seq == 1

    async def test_a_lost_store_resets_the_conversation(self, tmp_path: Path) -> None:
        async def run(texts: list[str], port: int = 0) -> int:
            """Start a server with an empty store and return its port."""
            async with (
                serving(accounts="open", port=port) as server,
                started(ChatClient(server.url, user="bob", password="")) as bob,
                started(
                    ChatClient(server.url, user="alice", password="", cache=tmp_path / "alice.db")
                ) as alice,
            ):
                await bob.state(ConnectionState.ONLINE)
                await alice.next(ConversationsLoaded)
                for text in texts:
                    await bob.client.send("alice", text)
                await alice.added(texts[-1])
                assert [each.text for each in alice.client.cached_messages("bob")] == texts
                return server.port

        port = await run(["one", "two", "three"])
        await run(["uno", "dos"], port)


async def test_after_sleep_the_client_reconnects_at_once(
    monkeypatch: pytest.MonkeyPatch, line: Proxy
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr("pychat.client.connection.reconnect.SLEEP_CHECK_INTERVAL", 0.02)
    monkeypatch.setattr("pychat.client.connection.reconnect.wall_clock", lambda: clock[0])
    async with started(ChatClient(line.url, user="carol", password="")) as carol:
        await carol.state(ConnectionState.ONLINE)
        clock[0] += 30.0
        await asyncio.sleep(0.1)  # longer than the check takes
        assert carol.client.status.state is ConnectionState.ONLINE
        clock[0] += 3600.0
        await carol.next(
            StatusChanged, lambda event: event.status.state is ConnectionState.CONNECTING
        )
        await carol.state(ConnectionState.ONLINE)
        assert all(
            event.status.state is not ConnectionState.OFFLINE
            for event in carol.seen
            if isinstance(event, StatusChanged)
        )


@pytest.mark.parametrize("there", [2, 5, 7])
async def test_another_store_at_the_same_address_replaces_the_messages(
    tmp_path: Path, there: int
) -> None:
    """The other store has fewer messages than alice knows (five), as many, or more."""
    cache = tmp_path / "cache.db"
    async with serving(accounts="open") as server, signed_in(server, "bob") as bob:
        port = server.port
        async with started(ChatClient(server.url, user="alice", password="", cache=cache)) as alice:
            await alice.state(ConnectionState.ONLINE)
            for number in range(5):
                await bob.send("alice", f"old {number}")
            await alice.added("old 4")
            alice.client.set_draft("bob", "half a sentence")
    async with serving(accounts="open", port=port) as server, signed_in(server, "bob") as bob:
        async with signed_in(server, "alice"):
            pass
        for number in range(there):
            await bob.send("alice", f"new {number}")
        async with started(ChatClient(server.url, user="alice", password="", cache=cache)) as alice:
            await alice.next(MessagesReset, lambda event: event.conversation == "bob")
            await alice.added(f"new {there - 1}")
            kept = alice.client.cached_messages("bob")
            assert [each.text for each in kept] == [f"new {number}" for number in range(there)]
            known = alice.client.conversation("bob")
            assert known is not None
            assert (known.last_seq, known.unread) == (there, there)
            assert alice.client.draft("bob") == "half a sentence"


async def test_an_empty_store_leaves_only_the_outbox_and_drafts() -> None:
    async with serving(accounts="open") as server, signed_in(server, "bob") as bob:
        port = server.port
        alice = await alice_who_was_told_old(server, bob)
        await bob.send("ALL", "old to all")
        await alice.added("old to all")
    await alice.state(ConnectionState.OFFLINE)
    alice.client.set_draft("bob", "half a sentence")
    alice.client.post("bob", "written offline")
    async with serving(accounts="open", port=port) as server:
        try:
            async with signed_in(server, "bob") as bob:
                await alice.client.login("")
                reset = {(await alice.next(MessagesReset)).conversation for _ in range(2)}
                assert reset == {"bob", "ALL"}
                await bob.send("alice", "new")
                await alice.added("new")
                kept = [each.text for each in alice.client.cached_messages("bob")]
                assert sorted(kept) == ["new", "written offline"]
                assert alice.client.cached_messages("ALL") == []
                assert alice.client.draft("bob") == "half a sentence"
        finally:
            await alice.client.close()


@pytest.mark.parametrize("kept", [True, False])
async def test_another_store_is_noticed_when_the_last_message_is_unsent(
    tmp_path: Path, kept: bool
) -> None:
    """No message of the conversation is in the cache, because another device has received it."""
    cache = tmp_path / "cache.db" if kept else None

    def client(url: str) -> ChatClient:
        return ChatClient(url, user="alice", password="", cache=cache)

    async with serving(accounts="open") as server, signed_in(server, "bob") as bob:
        port = server.port
        async with started(ChatClient(server.url, user="alice", password="")) as other:
            await other.state(ConnectionState.ONLINE)
            await bob.send("alice", "old")
            await other.added("old")
            await other.client.mark_read("bob", 1)
        alice = Watcher(client(server.url))
        alice.client.start()
        await alice.next(ConversationsLoaded)
    try:
        await alice.state(ConnectionState.OFFLINE)
        alice.client.post("bob", "written offline")
        if kept:
            await alice.client.close()
            alice = Watcher(client(alice.client.server))
        async with serving(accounts="open", port=port) as server, signed_in(server, "bob") as bob:
            async with signed_in(server, "alice"):
                await bob.send("alice", "new")
            if kept:
                alice.client.start()
            else:
                await alice.client.login("")
            await alice.next(MessagesReset, lambda event: event.conversation == "bob")
            await alice.added("new")
    finally:
        await alice.client.close()


async def test_cursors_are_not_sent_to_another_store() -> None:
    async with serving(accounts="open") as server, signed_in(server, "bob") as bob:
        port = server.port
        alice = await alice_who_was_told_old(server, bob)
    await alice.state(ConnectionState.OFFLINE)
    await alice.client.mark_read("bob", 1)
    async with serving(accounts="open", port=port) as server:
        try:
            async with signed_in(server, "bob") as bob, signed_in(server, "alice"):
                await bob.send("alice", "new")
            await alice.client.login("")
            await alice.added("new")
            await alice.client.send("alice", "asked after them")
            async with started(ChatClient(server.url, user="alice", password="")) as other:
                await other.next(ConversationsLoaded)
                known = other.client.conversation("bob")
                assert known is not None
                assert (known.read_seq, known.unread) == (0, 1)
        finally:
            await alice.client.close()


async def alice_who_was_told_old(server: ChatServer, bob: ChatClient) -> Watcher:
    """Return alice, online, with one message from bob."""
    alice = Watcher(ChatClient(server.url, user="alice", password=""))
    alice.client.start()
    await alice.state(ConnectionState.ONLINE)
    await bob.send("alice", "old")
    await alice.added("old")
    return alice


def signed_in(server: ChatServer, user: str) -> ChatClient:
    return ChatClient(server.url, user=user, password="")
