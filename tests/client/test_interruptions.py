"""Client operations during lost connections, late answers and replaced stores."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest

from pychat.client import ChatClient, ChatClientError
from pychat.client.events import ConversationsLoaded, MessageAdded, MessagesReset
from pychat.client.models import ConnectionState
from tests.client.scripted import DONE, LOGIN, ScriptedServer, message, scripted
from tests.client.watcher import Watcher, started
from tests.proxy import Proxy, proxying


@pytest.fixture(autouse=True)
def soon_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client reconnect at once."""
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_BASE", 0.01)
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_MAX", 0.01)
    # python-socketio waits this long for a connection that is lost during the handshake.
    monkeypatch.setattr("pychat.client.connection.socket.CONNECT_TIMEOUT", 0.5)
    monkeypatch.setattr("pychat.client.state.sync._RETRY_AFTER", 0.01)
    monkeypatch.setattr("pychat.client.state.transcripts._RETRY_AFTER", 0.01)
    monkeypatch.setattr("pychat.client.state.cursors._RETRY_AFTER", 0.01)


class World:
    """A server with one conversation, between alice and bob. Its store can be replaced."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.name = 0
        self.blocked = False
        self.shown = 0
        """The last seq of this store that alice has received."""
        self._sid = ""
        """Alice's connection since the store was replaced."""
        self.wrong: list[tuple[str, Any]] = []
        """Cursors that cannot refer to messages of this store."""
        server.answers |= {
            "login": self._login,
            "conversations": self._list,
            "history": self._history,
            "message": self._store,
            "delivered": lambda request: self._cursor("delivered", request),
            "read": lambda request: self._cursor("read", request),
            "block": lambda _: self._block(True),
            "unblock": lambda _: self._block(False),
        }

    def exchange(self, messages: int) -> None:
        """Replace the store. Message ids stay the same; only texts and times differ."""
        self.name += 1
        self._sid = ""
        self.server.stored.clear()
        self.shown = 0
        self.blocked = False
        for _ in range(messages):
            self.add("bob")

    def add(self, sender: str, **more: Any) -> dict[str, Any]:
        seq = len(self.server.stored) + 1
        stamp = f"2026-01-01T00:00:{self.name:02}.{seq:03}Z"
        stored = message(seq, f"{self.name}.{seq}", sender, sentAt=stamp) | more
        self.server.stored.append(stored)
        return stored

    async def deliver(self, stored: dict[str, Any]) -> None:
        """Send it to alice, if she is logged in and has not blocked bob."""
        if self._sid and not self.blocked:
            self.shown = max(self.shown, stored["seq"])
            await self.server.sio.emit("message", stored, to=self._sid)

    def told(self) -> list[tuple[int, str]]:
        """Return seq and text of all messages, as alice may see them."""
        return [
            (each["seq"], "" if self.blocked and each["sender"] == "bob" else each["data"])
            for each in self.server.stored
        ]

    def _login(self, _request: Any) -> dict[str, Any]:
        self._sid = self.server.sid
        return LOGIN

    def _show(self, seq: int) -> None:
        if self.server.sid == self._sid:
            self.shown = max(self.shown, seq)

    def _list(self, _request: Any) -> dict[str, Any]:
        listed = self.server.conversation()
        if self.blocked:
            listed |= {"blocked": True, "unread": 0}
        if listed["last"] is not None:
            listed["last"] = self._visible(listed["last"])
        return {**DONE, "conversations": [listed]}

    def _visible(self, stored: dict[str, Any]) -> dict[str, Any]:
        if self.blocked and stored["sender"] == "bob":
            return {"id": stored["id"], "seq": stored["seq"], "removed": True}
        return stored

    def _history(self, request: dict[str, Any]) -> dict[str, Any]:
        after = request.get("after")
        rest = [each for each in self.server.stored if after is None or each["seq"] > after]
        page = rest[: request["limit"]] if after is not None else rest[-request["limit"] :]
        if page:
            self._show(page[-1]["seq"])
        return {**DONE, "messages": [self._visible(each) for each in page], "hasMore": False}

    def _store(self, request: dict[str, Any]) -> dict[str, Any]:
        known = [each for each in self.server.stored if each.get("clientId") == request["clientId"]]
        stored = (
            known[0]
            if known
            else self.add("alice", **{key: request[key] for key in ("data", "clientId")})
        )
        self._show(stored["seq"])
        return {"code": "202", "message": "stored"} | {
            key: stored[key] for key in ("id", "seq", "sentAt")
        }

    def _cursor(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        if self.server.sid == self._sid and request["seq"] > self.shown:
            self.wrong.append((kind, request))
        return DONE

    def _block(self, on: bool) -> dict[str, Any]:
        self.blocked = on
        return DONE


@pytest.mark.parametrize("telling", [True, False], ids=["events", "no events"])
async def test_no_cursor_is_sent_before_the_store_is_confirmed(
    telling: bool,
) -> None:
    """The new store has more messages than the client knows, so its list proves nothing."""
    async with scripted() as server, proxying(int(server.url.rpartition(":")[2])) as proxy:
        world = World(server)
        world.exchange(3)
        client = ChatClient(proxy.url, user="alice", password="")
        async with started(client) as alice:
            await alice.next(MessageAdded, lambda event: event.message.text == "1.3")
            if not telling:
                client._core.transcripts._publishing = False  # as with ``connect`` and a cache file
            history = asyncio.Event()
            server.late["history"] = history.wait
            world.exchange(5)
            proxy.cut()
            await alice.state(ConnectionState.OFFLINE)
            await client.mark_read("bob", 3)
            await alice.next(ConversationsLoaded)
            await server.until(lambda: bool(server.payloads("history")[1:]))
            with suppress(ChatClientError):
                await client.users()  # everything sent with the list has been sent
            await asyncio.sleep(0.1)  # and everything sent shortly after
            assert server.payloads("read") == []
            history.set()
            await alice.next(MessagesReset)
            await client.mark_read("bob", 1)
            await server.until(lambda: bool(server.payloads("read")))
            assert [each["seq"] for each in server.payloads("read")] == [1]
            assert world.wrong == []


async def test_a_handler_that_ends_after_a_store_change_moves_no_cursor() -> None:
    async with scripted() as server, proxying(int(server.url.rpartition(":")[2])) as proxy:
        world = World(server)
        world.exchange(3)
        async with ChatClient(proxy.url, user="alice", password="") as client:
            watcher = Watcher(client)
            messages = client.messages()
            assert [(await anext(messages)).text for _ in range(3)] == ["1.1", "1.2", "1.3"]
            world.exchange(2)
            proxy.cut()
            await watcher.next(MessagesReset)
            assert (await anext(messages)).text == "2.1"
            before = len(server.payloads("delivered"))
            assert (await anext(messages)).text == "2.2"
            await server.until(lambda: bool(server.payloads("delivered")[before:]))
            assert [each["seq"] for each in server.payloads("delivered")[before:]] == [1]
        assert world.wrong == []


@pytest.mark.parametrize("after", [True, False], ids=["done", "not done"])
async def test_a_connection_lost_during_block_leaves_a_consistent_view(after: bool) -> None:
    """``after``: the server has carried out the block, but its answer is lost."""
    async with scripted() as server, proxying(int(server.url.rpartition(":")[2])) as proxy:
        world = World(server)
        world.exchange(3)
        async with started(ChatClient(proxy.url, user="alice", password="")) as alice:
            await alice.next(MessageAdded, lambda event: event.message.text == "1.3")
            server.late["block"] = server.never
            world.blocked = after
            blocking = asyncio.ensure_future(alice.client.block("bob"))
            await server.until(lambda: bool(server.payloads("block")))
            proxy.cut()
            with pytest.raises(ChatClientError):
                await blocking
            await alice.next(MessagesReset)
            await alice.next(MessageAdded, lambda event: event.message.seq == 3)
            kept = alice.client.cached_messages("bob")
            assert [(each.seq, each.text) for each in kept] == world.told()


async def test_a_connection_lost_during_the_list_after_block() -> None:
    """The block was answered, so the messages are hidden."""
    async with scripted() as server, proxying(int(server.url.rpartition(":")[2])) as proxy:
        world = World(server)
        world.exchange(3)
        async with started(ChatClient(proxy.url, user="alice", password="")) as alice:
            await alice.next(MessageAdded, lambda event: event.message.text == "1.3")
            server.late["conversations"] = server.never
            blocking = asyncio.ensure_future(alice.client.block("bob"))
            await server.until(lambda: bool(server.payloads("conversations")[1:]))
            del server.late["conversations"]
            proxy.cut()
            await blocking
            await alice.next(MessagesReset)
            await alice.next(MessageAdded, lambda event: event.message.seq == 3)
            kept = alice.client.cached_messages("bob")
            assert [(each.seq, each.text) for each in kept] == [(1, ""), (2, ""), (3, "")]


@pytest.mark.parametrize("listed", [False, True])
async def test_what_arrived_before_a_store_change_is_not_shown_after_it(listed: bool) -> None:
    async with scripted() as server, proxying(int(server.url.rpartition(":")[2])) as proxy:
        world = World(server)
        world.exchange(1)
        server.late["history" if listed else "conversations"] = server.never
        async with started(ChatClient(proxy.url, user="alice", password="")) as alice:
            if listed:
                await alice.next(ConversationsLoaded)
            await server.until(lambda: bool(server.payloads("conversations")))
            for _ in range(5):
                await world.deliver(world.add("bob"))
            with suppress(ChatClientError):
                await alice.client.users()  # the messages come before its answer
            world.exchange(4)
            server.late.clear()
            server.end_sessions()
            proxy.cut()
            await alice.added("2.4")
            await world.deliver(world.add("bob"))
            await alice.added("2.5")
            assert is_as_the_server_has_it(alice.client, world)


async def one_of(
    random_: random.Random, world: World, alice: ChatClient, proxy: Proxy, exchanges: bool
) -> None:
    """Do one random thing.

    Replaces stores or blocks users, not both: without its text, a hidden message does not show
    that the store is another one.
    """
    match random_.randrange(10):
        case 0 | 1 if exchanges:
            world.exchange(random_.randrange(8))
            world.server.end_sessions()
            proxy.cut()
        case 2:
            proxy.cut()
        case 3 | 4:
            await world.deliver(world.add("bob"))
        case 5:
            alice.post("bob", f"posted {random_.random()}")
        case 6:
            if seen := [each.seq for each in alice.cached_messages("bob") if each.seq]:
                await alice.mark_read("bob", random_.choice(seen))
        case 7 if not exchanges:
            await random_.choice((alice.block, alice.unblock))("bob")
        case 8:
            await alice.history("bob", limit=random_.randint(1, 5))
        case _:
            await random_.choice((alice.rooms, alice.users, alice.devices))()


@pytest.mark.parametrize("seed", range(12))
async def test_after_random_events_the_view_equals_the_servers(seed: int) -> None:
    random_ = random.Random(seed)
    async with scripted() as server, proxying(int(server.url.rpartition(":")[2])) as proxy:
        world = World(server)
        world.exchange(3)

        async def late() -> None:
            await asyncio.sleep(random_.random() ** 3 * 0.05)

        for event in ("login", "conversations", "history", "message", "block", "unblock", "read"):
            server.late[event] = late
        async with started(ChatClient(proxy.url, user="alice", password="")) as alice:
            doing = []
            for _ in range(30):
                doing.append(
                    asyncio.ensure_future(
                        one_of(random_, world, alice.client, proxy, seed % 2 == 0)
                    )
                )
                await asyncio.sleep(random_.random() ** 3 * 0.05)
            with suppress(ChatClientError):
                for each in doing:
                    await asyncio.wait((each,))
            for each in doing:
                if each.exception() is not None:
                    assert isinstance(each.exception(), ChatClientError), each.exception()
            server.late.clear()
            server.end_sessions()
            proxy.cut()
            async with asyncio.timeout(60):
                while not is_as_the_server_has_it(alice.client, world):
                    await alice.next(object)  # any event
            assert world.wrong == []


def is_as_the_server_has_it(client: ChatClient, world: World) -> bool:
    kept = [(each.seq, each.text) for each in client.cached_messages("bob")]
    known = client.conversation("bob")
    return (
        kept == world.told()
        and known is not None
        and known.last_seq == len(kept)
        and known.blocked is world.blocked
    )
