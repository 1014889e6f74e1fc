"""MongoDB store: a process is killed after any of its writes; the next one finds no half state."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pychat.server.store import Store, open_store
from pychat.server.store.records import NewEdit, NewReaction, NewRemoval, Standing
from pychat.server.store.transfer.exporting import read_store
from pychat.server.store.transfer.lines import ConversationLine
from tests.server.store import ferretdb
from tests.server.store.conftest import MONGODB, Populated, changed, removed
from tests.server.store.test_transfer import exported, imported, problems

pytestmark = MONGODB

KILLED = """
import asyncio, os, sys
from pymongo import monitoring
from pychat.server.store import open_store
from tests.server.store import test_mongodb_killed

class Killer(monitoring.CommandListener):
    left = -1

    def started(self, event): ...
    def failed(self, event): ...

    def succeeded(self, event):
        self.left -= event.command_name in ("insert", "update", "delete", "findAndModify")
        if self.left == 0:
            os._exit(9)

async def main():
    address, action, writes, *arguments = sys.argv[1:]
    killer = Killer()
    monitoring.register(killer)
    store = open_store(address, exclusive=False)
    await store.open()
    killer.left = int(writes)
    await getattr(test_mongodb_killed, action)(store, *arguments)

asyncio.run(main())
"""

Act = Callable[..., Coroutine[Any, Any, None]]


async def alice_of(store: Store) -> int:
    account = await store.account("alice")
    assert account is not None
    return account.key


async def make_a_pair(store: Store, other: str) -> None:
    await store.open_pair(await alice_of(store), int(other))


async def make_a_room(store: Store) -> None:
    await store.create_room("town", "Town", await alice_of(store))


async def delete_the_room(store: Store) -> None:
    room = await store.room("town")
    assert room is not None
    await store.delete_room(room.conversation)


async def remove_bob(store: Store) -> None:
    room, bob = await store.room("town"), await store.account("bob")
    assert room is not None
    assert bob is not None
    await store.leave_room(room.conversation, bob.key, barred=True)


async def change_messages(store: Store, pair: str) -> None:
    alice, key = await alice_of(store), int(pair)
    await changed(
        store,
        NewEdit(key, 1, alice, "ONE", 5),
        NewReaction(key, 1, alice, "👍", True),
        NewRemoval(key, 2, alice),
    )
    await changed(store, NewEdit(key, 1, alice, "one", 6))


async def import_a_file(store: Store, file: str) -> None:
    exported_bytes = await asyncio.to_thread(Path(file).read_bytes)
    await imported(store, exported_bytes.splitlines(keepends=True))


class Killing:
    """Prepares a database and kills an action after its first, second … last write."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.writes = 0

    @asynccontextmanager
    async def opened(self, address: str) -> AsyncIterator[Populated]:
        store = open_store(address)
        await store.open()
        yield Populated(store)
        await store.close()

    async def rounds(
        self, act: Act, prepare: Callable[[Populated], Coroutine[Any, Any, list[str]]]
    ) -> AsyncIterator[Populated]:
        """Yield the store after each kill, opened by the next server, and last after the complete
        action. ``prepare`` returns the arguments of the action."""
        while True:
            address = f"{self._url}test_{uuid4().hex}"
            async with self.opened(address) as chat:
                arguments = await prepare(chat)
            self.writes += 1
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", KILLED, address, act.__name__, str(self.writes)),
                *arguments,
            )
            status = await process.wait()
            assert status in (0, 9)
            async with self.opened(address) as chat:
                yield chat
            if status == 0:
                return


@pytest.fixture
def killing(mongodb: ferretdb.Server) -> Killing:
    return Killing(mongodb.url)


async def rooms_listed(store: Store) -> set[str]:
    """Return the conversations in alice's list."""
    summaries, _ = await store.conversations(await alice_of(store), cursor=None, limit=10)
    return {summary.conversation.room_id for summary in summaries} - {""}


async def test_a_pair_is_complete_or_created_again(killing: Killing) -> None:
    async def prepare(chat: Populated) -> list[str]:
        await chat.account("alice")
        return [str((await chat.account("bob")).key)]

    async for chat in killing.rounds(make_a_pair, prepare):
        alice, bob = [account async for account in chat.store.all_accounts()]
        # Like a server, open only pairs that were not found.
        pair = await chat.store.pair(alice.key, bob.key)
        pair = pair or await chat.store.open_pair(bob.key, alice.key)
        await chat.say(pair, alice, "hi")
        assert len(await chat.store.undelivered(bob.key, 10, {})) == 1, killing.writes
        lines = [line async for line in read_store(chat.store)]
        pairs = [line for line in lines if isinstance(line, ConversationLine) and line.between]
        assert [{member.id for member in line.members} for line in pairs] == [{"alice", "bob"}]
    assert killing.writes > 4


async def test_a_room_is_created_completely_or_not_at_all(killing: Killing) -> None:
    async def prepare(chat: Populated) -> list[str]:
        await chat.account("alice")
        return []

    async for chat in killing.rounds(make_a_room, prepare):
        rooms = await chat.store.rooms()
        assert await rooms_listed(chat.store) <= {room.id for room in rooms}, killing.writes
        for room in rooms:
            await chat.store.join_room(room.conversation, await alice_of(chat.store))
        assert await rooms_listed(chat.store) == {room.id for room in rooms}, killing.writes
    assert killing.writes > 4


async def test_a_room_is_deleted_completely_or_not_at_all(killing: Killing) -> None:
    async def prepare(chat: Populated) -> list[str]:
        alice = await chat.account("alice")
        town = await chat.store.create_room("town", "Town", alice.key)
        await chat.say(town.conversation, alice, "a word")
        return []

    whole = set()
    async for chat in killing.rounds(delete_the_room, prepare):
        rooms = {room.id for room in await chat.store.rooms()}
        alice = await alice_of(chat.store)
        found, _ = await chat.store.search(alice, "word", conversation=None, cursor=None, limit=10)
        assert await rooms_listed(chat.store) == rooms, killing.writes
        assert [message.data for message in found] == ["a word"] * len(rooms), killing.writes
        whole.add(len(rooms))
    assert whole == {0, 1}


async def test_a_member_is_removed_completely_or_not_at_all(killing: Killing) -> None:
    async def prepare(chat: Populated) -> list[str]:
        alice, bob = await chat.account("alice"), await chat.account("bob")
        town = await chat.store.create_room("town", "Town", alice.key)
        await chat.store.join_room(town.conversation, bob.key)
        return []

    seen = set()
    async for chat in killing.rounds(remove_bob, prepare):
        town = await chat.store.room("town")
        assert town is not None
        barred = [each.standing for each in await chat.store.standings()] == [Standing.BARRED]
        assert barred == (len(await chat.store.members(town.conversation)) == 1), killing.writes
        seen.add(barred)
    assert True in seen


async def test_changes_are_finished_or_not_made(killing: Killing) -> None:
    async def prepare(chat: Populated) -> list[str]:
        alice, _, pair = await chat.pair()
        await chat.say(pair, alice, "first", "second")
        return [str(pair.key)]

    seen = set()
    async for chat in killing.rounds(change_messages, prepare):
        alice = await alice_of(chat.store)
        (pair,) = await chat.store.pairs(alice)
        page = await chat.store.history(pair.key, first_seq=1, before=None, after=None, limit=9)
        listed = await chat.store.changed(pair.key, first_seq=1, after=0, limit=9)
        # Revs in the order of the changes, without a gap, and each message has its change.
        assert listed.rev == page.rev, killing.writes
        assert {(m.rev, m.data) for m in page.messages} in (
            {(0, "first"), (0, "second")},
            {(2, "ONE"), (3, "")},
            {(4, "one"), (3, "")},
        ), killing.writes
        assert [m.rev for m in listed.messages] == sorted(m.rev for m in page.messages if m.rev)
        assert await problems(chat.store) == [], killing.writes
        (again,) = await changed(chat.store, NewEdit(pair.key, 1, alice, "last", 7))
        assert again.message is not None
        assert again.message.rev == page.rev + 1, killing.writes
        seen.add(page.rev)
    assert seen == {0, 3, 4}


async def test_an_interrupted_import_can_be_repeated(killing: Killing, tmp_path: Path) -> None:
    source = open_store("memory:")
    chat = Populated(source)
    alice, bob, pair = await chat.pair()
    await chat.say(pair, alice, "one", "two")
    await removed(source, pair.key, 1)
    await chat.change(NewReaction(pair.key, 2, bob.key, "👍", True))
    town = await source.create_room("town", "Town", bob.key)
    await source.leave_room(town.conversation, bob.key)
    await source.block(alice.key, bob.key)
    lines = await exported(source)
    file = tmp_path / "chat.jsonl"
    file.write_bytes(b"".join(lines))

    async def prepare(chat: Populated) -> list[str]:
        return [str(file)]

    async for chat in killing.rounds(import_a_file, prepare):
        assert await problems(chat.store) == [], killing.writes
        await imported(chat.store, lines)
        assert await exported(chat.store) == lines, killing.writes
    assert killing.writes > 15
