"""The MongoDB store on FerretDB: lease, several writers, failures, queries and indexes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from pymongo import MongoClient, monitoring
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import AutoReconnect, BulkWriteError

from pychat.protocol import canonical_id
from pychat.server.store import (
    AlreadyExists,
    Store,
    StoreError,
    StoreLost,
    StoreUnavailable,
    open_store,
)
from pychat.server.store.mongodb import lease, messages
from pychat.server.store.mongodb import store as mongo_store
from pychat.server.store.mongodb.schema import INDEXES, VERSION
from pychat.server.store.records import (
    CursorMove,
    LoginToken,
    NewEdit,
    NewMessage,
    NewReaction,
    Standing,
)
from tests.attack.wire import connect
from tests.server.store import ferretdb
from tests.server.store.conftest import MONGODB, Populated, removed
from tests.server.store.test_files import attached, stored
from tests.serving import serving

pytestmark = MONGODB


@pytest.fixture
def address(mongodb: ferretdb.Server) -> str:
    return f"{mongodb.url}test_{uuid4().hex}"


@pytest.fixture
async def chat(address: str) -> AsyncIterator[Populated]:
    store = open_store(address)
    await store.open()
    yield Populated(store)
    await store.close()


async def refusal(address: str) -> str:
    with pytest.raises(StoreError) as caught:
        await open_store(address).open()
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.fixture
def meta(address: str) -> Iterator[Any]:
    with MongoClient[dict[str, Any]](address) as client:
        yield client.get_default_database()["meta"]


async def test_a_second_server_is_refused_and_the_first_continues(
    chat: Populated, address: str
) -> None:
    text = await refusal(address)
    assert "in use by another pychat server" in text
    assert str(os.getpid()) in text
    await chat.account("alice")


async def test_the_lease_of_a_killed_server_is_taken_over(address: str) -> None:
    script = (
        "import asyncio, os\nfrom pychat.server.store import open_store\n"
        "async def main():\n"
        f"    await open_store('{address}').open()\n"
        "    os._exit(9)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await process.wait() == 9
    store = open_store(address)
    await store.open()
    await store.close()


async def test_a_process_number_of_another_container_says_nothing(
    chat: Populated, address: str, meta: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.1)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await process.wait()
    meta.update_one(
        {"_id": "lock"}, {"$set": {"process": process.pid, "namespace": "pid:[container]"}}
    )
    assert "in use by another pychat server" in await refusal(address)
    await chat.account("alice")


async def test_a_store_that_lost_its_lease_writes_no_more(chat: Populated, meta: Any) -> None:
    alice, _, pair = await chat.pair()
    meta.update_one({"_id": "lock"}, {"$set": {"holder": "somebody else"}})

    async def go_on() -> None:
        while True:
            await chat.say(pair, alice, "still here")
            await asyncio.sleep(0.1)

    with pytest.raises(StoreLost, match="another pychat server has taken over the database"):
        await asyncio.wait_for(go_on(), 60)
    for ask in (chat.store.account_changes, chat.store.check_ready, chat.store.rooms):
        with pytest.raises(StoreLost):
            await ask()


async def test_a_server_that_lost_its_lease_disconnects_its_clients(
    address: str, meta: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.1)
    async with serving(address) as server, aiohttp.ClientSession() as web:
        alice = await connect(web, server.url)
        await alice.login("alice")
        assert (await web.get(server.url + "/readyz")).status == 200
        meta.update_one({"_id": "lock"}, {"$set": {"holder": "somebody else"}})
        async with asyncio.timeout(60):
            await alice.closed.wait()
            assert isinstance(await server.failure(), StoreLost)
        assert (await web.get(server.url + "/healthz")).status == 503


async def test_commands_to_a_frozen_database_time_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_store, "ANSWERED_BY_MS", 300)
    with ferretdb.running(tmp_path) as server:
        store = open_store(f"{server.url}chat")
        await store.open()
        chat = Populated(store)
        alice, _, pair = await chat.pair()
        server.process.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(os.waitpid, server.process.pid, os.WUNTRACED)
        try:
            async with asyncio.timeout(60):
                with pytest.raises(StoreUnavailable):
                    await chat.say(pair, alice, "frozen")
                with pytest.raises(StoreUnavailable):
                    await store.check_ready()
        finally:
            server.process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(60):
            while True:
                try:
                    await store.check_ready()
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.05)
        await chat.say(pair, alice, "again")
        await store.close()


async def test_closing_does_not_wait_for_a_database_that_does_not_answer(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def never(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    store = open_store(address)
    await store.open()
    monkeypatch.setattr(mongo_store, "CLOSE_SECONDS", 0.01)
    monkeypatch.setattr(AsyncCollection, "delete_one", never)
    async with asyncio.timeout(60):
        await store.close()
    assert "did not answer while closing" in caplog.text


async def test_another_process_may_change_accounts_beside_a_server(
    chat: Populated, address: str
) -> None:
    before = await chat.store.account_changes()
    alice = await chat.account("alice")
    beside = open_store(address, exclusive=False)
    await beside.open()
    await beside.create_account("bob", "", None, 1)
    await beside.update_account(alice.key, disabled=True)
    await beside.close()
    assert await chat.store.account_changes() > before
    assert await chat.store.account("bob") is not None


async def test_two_writers_leave_no_gap_and_no_double(chat: Populated, address: str) -> None:
    alice, bob, pair = await chat.pair()
    other = open_store(address, exclusive=False)
    await other.open()
    shared = [chat.message(pair, alice, f"both {n}", uuid4().bytes) for n in range(6)]

    async def write(store: Any, sender: Any) -> list[int]:
        seqs = []
        for message in shared:
            own = [chat.message(pair, sender, "own", uuid4().bytes) for _ in range(2)]
            answers = await store.append([own[0], message, own[1]])
            seqs += [answer.seq for answer in answers if not answer.duplicate]
        return seqs

    one, two = await asyncio.gather(write(chat.store, alice), write(other, bob))
    await other.close()
    assert sorted(one + two) == list(range(1, 31))
    assert one == sorted(one)
    assert two == sorted(two)
    messages, *_ = await chat.store.history(
        pair.key, first_seq=1, before=None, after=None, limit=100
    )
    assert [m.seq for m in messages] == list(range(1, 31))
    assert len([m for m in messages if m.data.startswith("both")]) == 6


async def test_a_database_of_another_application(address: str, meta: Any) -> None:
    meta.database["recipes"].insert_one({"name": "soup"})
    assert "not a pychat store" in await refusal(address)


async def test_a_newer_schema(address: str, meta: Any) -> None:
    store = open_store(address)
    await store.open()
    await store.close()
    meta.update_one({"_id": "schema"}, {"$set": {"version": 999}})
    assert "newer pychat (schema 999" in await refusal(address)


async def test_an_older_store_is_upgraded(address: str, meta: Any) -> None:
    """Search terms and look-alike forms are updated for existing messages and accounts."""
    store = open_store(address)
    await store.open()
    chat = Populated(store)
    alice, _, pair = await chat.pair("alice", "bob")
    await chat.say(pair, alice, "party ⭐", "party")
    await chat.account("dave", "Dave ⭐")
    await chat.account("old", "old")
    await chat.account("other", "other")
    await store.close()
    database = meta.database
    for document in database["messages"].find():
        plain = [term for term in document["terms"] if term.isascii()]
        database["messages"].update_one({"_id": document["_id"]}, {"$set": {"terms": plain}})
    database["accounts"].update_one({"id": "dave"}, {"$set": {"terms": ["dave"]}})
    for before, id in (("old", "a\ufe0f"), ("other", "bob\u3164")):
        forms = {"id": id, "canonical": canonical_id(id), "lookalike": canonical_id(id)}
        database["accounts"].update_one({"id": before}, {"$set": forms})
    meta.update_one({"_id": "schema"}, {"$set": {"version": 1}})

    await store.open()
    try:
        page, _ = await store.search(alice.key, "⭐", conversation=None, cursor=None, limit=5)
        assert [message.data for message in page] == ["party ⭐"]
        assert [each.id for each in await store.find_accounts("⭐", 5)] == ["dave"]
        for id in ("bob", "bob\u3164", "a\ufe0f"):
            there = await store.account(id)
            assert there is not None
            assert there.id == id
        for id in ("bob\ufe0f", "a", "a\u200b"):
            with pytest.raises(AlreadyExists):
                await chat.account(id)
        assert meta.find_one({"_id": "schema"})["version"] == VERSION
    finally:
        await store.close()


async def test_no_database_at_the_address() -> None:
    assert "no answer from mongodb://127.0.0.1" in await refusal(
        f"mongodb://me:hunter2@127.0.0.1:{ferretdb.free_port()}/chat"
    )


async def test_an_invalid_address() -> None:
    text = await refusal("mongodb://localhost:notaport/chat")
    assert "address" in text


async def test_the_store_recovers_when_the_database_is_back(tmp_path: Path) -> None:
    port = ferretdb.free_port()
    with ferretdb.running(tmp_path / "data", port) as server:
        store = open_store(f"{server.url}chat")
        await store.open()
        chat = Populated(store)
        alice, _, pair = await chat.pair()
        await chat.say(pair, alice, "before")
    with pytest.raises(StoreUnavailable):
        await chat.say(pair, alice, "while away")
    with pytest.raises(StoreUnavailable):
        await store.check_ready()
    with ferretdb.running(tmp_path / "data", port):
        async with asyncio.timeout(60):
            while True:
                try:
                    (after,) = await chat.say(pair, alice, "after")
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.1)
        await store.check_ready()
        assert after.seq == 2
        messages, *_ = await store.history(pair.key, first_seq=1, before=None, after=None, limit=9)
        assert [m.data for m in messages] == ["before", "after"]
        await store.close()


class Recorder(monitoring.CommandListener):
    """Records the commands of the driver."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.commands.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


async def test_every_write_is_acknowledged_by_a_majority_and_its_journal(address: str) -> None:
    recorder = Recorder()
    monitoring.register(recorder)
    store = open_store(address)
    await store.open()
    chat = Populated(store)
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, "one", "two")
    await store.move_cursors([CursorMove(pair.key, alice.key, 1)])
    await removed(store, pair.key, 1)
    await store.close()
    writes = {"insert", "update", "delete", "findAndModify"}
    written = [each for each in recorder.commands if next(iter(each)) in writes]
    assert {each.get(next(iter(each))) for each in written} >= {"messages", "memberships"}
    for each in written:
        assert each["writeConcern"] == {"w": "majority", "j": True}, each
    (kept,) = [each for each in written if each.get("insert") == "messages"]
    # In order, so that the seqs of the stored messages have no gap.
    assert kept["ordered"] is True


async def test_many_changes_cost_few_round_trips(address: str) -> None:
    recorder = Recorder()
    monitoring.register(recorder)
    store = open_store(address)
    await store.open()
    chat = Populated(store)
    alice = await chat.account("alice")
    others = [await chat.account(f"user{n}") for n in range(45)]
    pairs = await store.open_pairs([(alice.key, other.key) for other in others])

    async def commands(work: Coroutine[Any, Any, object]) -> list[str]:
        before = len(recorder.commands)
        await work
        asked = [next(iter(command.items())) for command in recorder.commands[before:]]
        # Leave out renewals of the lease, which happen at any time.
        return [name for name, collection in asked if collection != "meta"]

    def batch() -> list[NewMessage]:
        return [chat.message(pair, alice, "hi", uuid4().bytes) for pair in pairs[:15]]

    await store.append(batch())
    meta_before = sum("findAndModify" in command for command in recorder.commands)
    for _ in range(3):
        assert await commands(store.append(batch())) == ["update", "insert"]
    assert sum("findAndModify" in command for command in recorder.commands) == meta_before
    moves = [CursorMove(pair.key, alice.key, 1, 1) for pair in pairs]
    gone = CursorMove(pairs[0].key, 999, 1)
    assert await commands(store.move_cursors([*moves, gone])) == ["update"] * 3 + ["find"]
    after = await store.move_cursors([*moves[:1], gone, CursorMove(pairs[1].key, alice.key)])
    assert [(m.delivered_seq, m.read_seq, m.first_seq) for m in after] == [
        (1, 1, 1),
        (0, 0, 0),
        (1, 1, 1),
    ]
    sessions = [LoginToken(str(n), alice.key, bytes([n]) * 32, "", 1, 1, 1) for n in range(30)]
    for session in sessions:
        await store.add_login_token(session)
    tokens = [session.token_hash for session in sessions]
    assert await commands(store.login_tokens_by_hash([*tokens, b"unknown"])) == ["find"]
    await store.close()


async def test_numbers_ascend_across_blocks_and_restarts(
    address: str, meta: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "NUMBERS_AT_ONCE", 5)
    for _ in range(2):
        store = open_store(address)
        await store.open()
        chat = Populated(store)
        alice = await store.account("alice") or await chat.account("alice")
        pair = await store.open_pair(alice.key, alice.key)
        for size in (1, 3, 3, 7, 1):
            await chat.say(pair, alice, *("x" for _ in range(size)))
        await store.close()
    numbers = [m["number"] for m in meta.database["messages"].find({}).sort("_id")]
    assert len(numbers) == 30
    assert numbers == sorted(set(numbers))


async def test_a_reopened_store_does_not_use_stale_caches(address: str, meta: Any) -> None:
    stores = [open_store(address), open_store(address)]
    for turn in range(4):
        store = stores[turn % 2]
        await store.open()
        chat = Populated(store)
        alice = await store.account("alice") or await chat.account("alice")
        pair = await store.open_pair(alice.key, alice.key)
        (appended,) = await chat.say(pair, alice, "x")
        assert appended.seq == turn + 1
        await store.close()
    numbers = [m["number"] for m in meta.database["messages"].find({}).sort("_id")]
    assert numbers == sorted(set(numbers))


async def fail_a_command(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(AsyncCollection, "find_one", failing(AutoReconnect("gone")))
        with pytest.raises(StoreUnavailable):
            await store.account("alice")


async def test_a_stored_message_proves_that_the_store_is_ready(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a busy database, a probe may time out although messages are stored."""
    monkeypatch.setattr(lease, "RENEW_SECONDS", 3600.0)
    monkeypatch.setattr(lease, "FRESH_SECONDS", 3600.0)
    recorder = Recorder()
    monitoring.register(recorder)
    store = open_store(address)
    await store.open()
    chat = Populated(store)
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, "stored")
    before = len(recorder.commands)
    await store.check_ready()
    assert len(recorder.commands) == before
    await fail_a_command(store, monkeypatch)
    await store.check_ready()
    (probe,) = recorder.commands[before:]
    assert probe["update"] == "meta"
    await fail_a_command(store, monkeypatch)

    async def time_out(*_: Any, **__: Any) -> None:
        if stored_meanwhile:
            await chat.say(pair, alice, "stored meanwhile")
        raise TimeoutError

    monkeypatch.setattr(AsyncCollection, "update_one", time_out)
    stored_meanwhile = False
    with pytest.raises(StoreUnavailable, match="nothing could be written"):
        await store.check_ready()
    stored_meanwhile = True
    await store.check_ready()
    monkeypatch.undo()
    await store.close()


def failing(error: Exception) -> Any:
    async def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("details", "text"),
    [
        ({"writeErrors": [], "writeConcernErrors": [{"errmsg": "not replicated"}]}, "batch"),
        (
            {
                "writeErrors": [{"code": 14031, "errmsg": "disk full", "index": 0}],
                "writeConcernErrors": [],
            },
            "disk full$",
        ),
        (
            {
                "writeErrors": [{"code": 11000, "errmsg": "duplicate", "index": 1}],
                "writeConcernErrors": [{"errmsg": "not replicated"}],
            },
            "duplicate$",
        ),
    ],
)
async def test_an_unconfirmed_batch_is_refused(
    chat: Populated, monkeypatch: pytest.MonkeyPatch, details: dict[str, Any], text: str
) -> None:
    alice, _, pair = await chat.pair()
    with monkeypatch.context() as broken:
        broken.setattr(AsyncCollection, "insert_many", failing(BulkWriteError(details)))
        with pytest.raises(StoreUnavailable, match=text):
            await chat.say(pair, alice, "a", "b")
    assert [each.seq for each in await chat.say(pair, alice, "a", "b")] == [1, 2]


def conditions(command: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield collection, filter and sort order of each query of a command."""
    name, collection = next(iter(command.items()))
    match name:
        case "find":
            yield collection, command.get("filter", {}), dict(command.get("sort", {}))
        case "aggregate":
            yield collection, command["pipeline"][0]["$match"], {}
        case "findAndModify":
            yield collection, command["query"], {}
        case "update" | "delete":
            for one in command[f"{name}s"]:
                yield collection, one["q"], {}


def indexed_by(collection: str, condition: dict[str, Any]) -> list[list[str]]:
    """Return the keys of each index whose first field is in the condition."""
    names = set(condition)
    for part in condition.get("$and", []):
        names |= set(part)
    indexes = [["_id"]]
    indexes += [list(index.document["key"]) for index in INDEXES.get(collection, [])]
    return [keys for keys in indexes if keys[0] in names]


async def test_every_query_is_covered_by_an_index(address: str) -> None:
    recorder = Recorder()
    monitoring.register(recorder)
    store = open_store(address)
    await store.open()
    chat = Populated(store)
    alice, bob, pair = await chat.pair()
    session = LoginToken("s", alice.key, b"t" * 32, "", 1, 1, 1)
    await store.account("alice")
    await store.accounts([alice.key])
    await store.find_accounts("", 5)
    await store.find_accounts("al", 5)
    _ = [account async for account in store.all_accounts()]
    await store.update_account(alice.key, alias="A", disabled=False)
    await store.account_changes()
    await store.add_login_token(session)
    await store.login_token(session.token_hash)
    await store.login_tokens_by_hash([session.token_hash])
    await store.login_tokens(alice.key)
    await store.touch_login_token(session.token_hash, 2, 2)
    await store.revoke_login_tokens(alice.key, ["s"])
    await store.block(alice.key, bob.key)
    await store.blocked(alice.key)
    await store.blockers(bob.key)
    await store.unblock(alice.key, bob.key)
    await store.open_pairs([(alice.key, bob.key), (bob.key, bob.key)])
    await store.pairs(alice.key)
    await store.membership(pair.key, alice.key)
    await store.memberships([pair.key])
    await store.last_seqs([pair.key])
    await store.conversations_by_key([pair.key])
    message = chat.message(pair, alice, "tea 한국", uuid4().bytes)
    await store.append([message, message])
    await store.conversations(bob.key, cursor=None, limit=5)
    await store.move_cursors([CursorMove(pair.key, alice.key, 1)])
    await store.last_seq(pair.key)
    await store.history(pair.key, first_seq=1, before=5, after=None, limit=5)
    await store.undelivered(bob.key, 5, {})
    await store.search(alice.key, "te 한국", conversation=None, cursor=None, limit=5)
    await chat.change(
        NewEdit(pair.key, 1, alice.key, "coffee", 5),
        NewReaction(pair.key, 1, bob.key, "👍", True),
    )
    await store.changed(pair.key, first_seq=1, after=0, limit=5)
    await store.put_changes(await store.messages([(pair.key, 1)]))
    await removed(store, pair.key, 1)
    await attached(chat, pair, alice, await stored(store, 1, alice), b"1" * 16)
    await store.file_bytes(alice.key)
    await store.has_files()
    await store.expire_files(1)
    await removed(store, pair.key, 2)
    room = await store.create_room("lounge", "", alice.key)
    await store.room("lounge")
    await store.rooms()
    await store.update_room(room.conversation, name="x")
    await store.join_room(room.conversation, bob.key)
    await store.members(room.conversation)
    await store.leave_room(room.conversation, bob.key, barred=True)
    await store.set_standing(room.conversation, bob.key, Standing.INVITED)
    await store.standings()
    await store.delete_room(room.conversation)
    await store.close()

    seen = 0
    for command in recorder.commands:
        for collection, condition, sort in conditions(command):
            seen += 1
            indexes = indexed_by(collection, condition)
            assert indexes, f"{collection}: no index for {condition}"
            # A page of messages must come in the order of an index, without sorting.
            if collection == "messages" and sort:
                (by,) = sort
                assert any(by in keys for keys in indexes), f"{condition} sorted by {by}"
    assert seen > 60
