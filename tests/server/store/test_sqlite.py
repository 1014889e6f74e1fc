"""The SQLite store: the file, its lock, durability, migrations and errors."""

# ruff: noqa: ASYNC240, ASYNC110 - a test may wait for the disk, and idle work sends no event

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from uuid import uuid4

import pytest

from pychat.protocol import canonical_id
from pychat.server.store import AlreadyExists, Store, StoreError, StoreUnavailable, open_store
from pychat.server.store.records import NewEdit, NewRemoval, Outcome
from pychat.server.store.sqlite import SQLiteStore
from pychat.server.store.sqlite import appender as client_ids
from pychat.server.store.sqlite.schema import APPLICATION_ID, MIGRATIONS
from tests.server.store.conftest import Populated


def address(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
async def chat(path: Path) -> AsyncIterator[Populated]:
    store = open_store(address(path))
    await store.open()
    yield Populated(store)
    await store.close()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Populated]:
    store = open_store(address(path))
    await store.open()
    try:
        yield Populated(store)
    finally:
        await store.close()


async def refusal(path: Path, *, exclusive: bool = True) -> str:
    store = open_store(address(path), exclusive=exclusive)
    with pytest.raises(StoreError) as caught:
        await store.open()
    text = str(caught.value)
    assert "\n" not in text
    return text


async def reopened(path: Path) -> Store:
    store = open_store(address(path))
    await store.open()
    return store


async def test_everything_survives_a_restart(path: Path) -> None:
    store = await reopened(path)
    chat = Populated(store)
    alice, bob, pair = await chat.pair()
    await chat.say(pair, alice, "one", "two")
    await store.close()

    store = await reopened(path)
    assert await store.pair(alice.key, bob.key) == pair
    messages, *_ = await store.history(pair.key, first_seq=1, before=None, after=None, limit=9)
    assert [(m.seq, m.data) for m in messages] == [(1, "one"), (2, "two")]
    assert await store.last_seq(pair.key) == 2
    (kept,) = await store.append([chat.message(pair, bob, "three")])
    assert kept.seq == 3
    found, _ = await store.search(alice.key, "t", conversation=None, cursor=None, limit=9)
    assert [m.data for m in found] == ["three", "two"]
    await store.close()


async def test_a_client_id_stays_taken(path: Path) -> None:
    store = await reopened(path)
    chat = Populated(store)
    alice, _, pair = await chat.pair()
    batch = [chat.message(pair, alice, str(n), uuid4().bytes) for n in range(3)]
    await store.append(batch)
    await store.close()

    store = await reopened(path)
    expected = [(1, True), (2, True), (3, True)]
    assert [(a.seq, a.duplicate) for a in await store.append(batch)] == expected
    connection = sqlite3.connect(path)
    async with asyncio.timeout(60):
        # Idle work writes them to their table.
        while connection.execute("SELECT count(*) FROM client_id").fetchone() != (3,):
            await asyncio.sleep(0.02)
    connection.close()
    assert [(a.seq, a.duplicate) for a in await store.append(batch)] == expected
    await store.close()


async def test_client_ids_of_a_busy_server_are_written_in_large_batches(
    chat: Populated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_ids, "MAX_UNSETTLED", 10)
    monkeypatch.setattr(client_ids, "SETTLE_AT_ONCE", 200)
    alice, _, pair = await chat.pair()
    batch = [chat.message(pair, alice, str(n), uuid4().bytes) for n in range(150)]
    first = await chat.store.append(batch)
    again = await chat.store.append(batch)
    assert [a.seq for a in again] == [a.seq for a in first]
    assert all(a.duplicate for a in again)


async def test_a_failed_write_does_not_take_client_ids(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    message = chat.message(pair, alice, "kept", uuid4().bytes)
    wrong = chat.message(pair, alice, "\ud800", uuid4().bytes)  # nothing that SQLite can keep
    with pytest.raises(UnicodeEncodeError):
        await chat.store.append([message, wrong])
    (answer,) = await chat.store.append([message])
    assert (answer.seq, answer.duplicate) == (1, False)


async def test_only_the_owner_can_read_the_file(chat: Populated, path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0


async def test_a_second_server_is_refused_and_the_first_continues(
    chat: Populated, path: Path
) -> None:
    text = await refusal(path)
    assert "in use by another pychat server" in text
    assert str(os.getpid()) in text
    await chat.account("alice")


@pytest.mark.e2e
async def test_another_process_may_change_accounts_beside_a_server(
    chat: Populated, path: Path
) -> None:
    before = await chat.store.account_changes()
    script = f"""
import asyncio
from pychat.server.store import open_store

async def main():
    store = open_store("{address(path)}", exclusive=False)
    await store.open()
    await store.create_account("bob", "Bob", "hash", 1)
    alice = await store.account("alice")
    await store.update_account(alice.key, disabled=True)
    await store.close()

asyncio.run(main())
"""
    alice = await chat.account("alice")
    everyone = await chat.store.everyone()
    await chat.say(everyone, alice, "before bob")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await process.wait() == 0
    assert await chat.store.account_changes() > before
    disabled = await chat.store.account("alice")
    assert disabled is not None
    assert disabled.disabled
    bob = await chat.store.account("bob")
    assert bob is not None
    membership = await chat.store.membership(everyone.key, bob.key)
    assert membership is not None
    assert membership.first_seq == 2


async def test_reads_do_not_wait_for_a_writer(chat: Populated, path: Path) -> None:
    alice = await chat.account("alice")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    written = asyncio.ensure_future(chat.account("bob"))
    assert await chat.store.account("alice") == alice
    assert not written.done()
    other.execute("ROLLBACK")
    other.close()
    await written


async def test_writes_of_one_batch_fail_separately(chat: Populated) -> None:
    answers = await asyncio.gather(
        chat.account("alice"), chat.account("Alice"), chat.account("bob"), return_exceptions=True
    )
    assert [type(answer).__name__ for answer in answers] == ["Account", "AlreadyExists", "Account"]
    assert [a.id async for a in chat.store.all_accounts()] == ["alice", "bob"]


async def test_a_failed_write_does_not_affect_others(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    wrong = chat.message(pair, alice, "\ud800", uuid4().bytes)
    answers = await asyncio.gather(
        chat.say(pair, alice, "one"),
        chat.store.append([wrong]),
        chat.account("carol"),
        chat.say(pair, alice, "two"),
        return_exceptions=True,
    )
    assert isinstance(answers[1], UnicodeEncodeError)
    assert not any(isinstance(answers[n], BaseException) for n in (0, 2, 3))
    messages, *_ = await chat.store.history(pair.key, first_seq=1, before=None, after=None, limit=9)
    assert [(m.seq, m.data) for m in messages] == [(1, "one"), (2, "two")]


async def test_closing_waits_for_pending_writes(path: Path) -> None:
    store = await reopened(path)
    writes = [asyncio.ensure_future(store.create_account(f"u{n}", "", None, 1)) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writes)
    store = await reopened(path)
    assert len([a async for a in store.all_accounts()]) == 50
    await store.close()


async def test_a_deleted_room_is_purged_from_the_file(path: Path) -> None:
    store = await reopened(path)
    chat = Populated(store)
    alice = await chat.account("alice")
    room = await store.create_room("lounge", "", alice.key)
    await chat.say(room.conversation, alice, *(f"secret {n}" for n in range(450)))
    await store.delete_room(room.conversation)
    connection = sqlite3.connect(path)
    for _ in range(200):
        (left,) = connection.execute("SELECT count(*) FROM message").fetchone()
        if not left:
            break
        await asyncio.sleep(0.05)
    assert left == 0
    connection.close()
    await store.close()


async def test_a_missing_folder(tmp_path: Path) -> None:
    assert "no such folder" in await refusal(tmp_path / "missing" / "chat.db")
    assert not (tmp_path / "missing").exists()


async def test_the_default_folder_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    path = tmp_path / "share" / "pychat" / "chat.db"
    store = await reopened(path)
    await store.close()
    assert path.exists()


async def test_a_path_that_is_a_folder(tmp_path: Path) -> None:
    assert "is not a file" in await refusal(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
async def test_a_file_that_is_not_writable(path: Path) -> None:
    await (await reopened(path)).close()
    path.chmod(0o400)
    assert "Permission denied" in await refusal(path)


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs a folder that takes no files")
async def test_a_folder_that_is_not_writable() -> None:
    assert "cannot write /proc/chat.db" in await refusal(Path("/proc/chat.db"))


async def test_a_file_that_is_not_a_database(path: Path) -> None:
    path.write_text("Dear diary, this is not a database.")
    assert "not a SQLite database" in await refusal(path)
    assert path.read_text().startswith("Dear diary")


async def test_a_database_of_another_application(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipe (name)")
    connection.close()
    assert "not a pychat store" in await refusal(path)


async def test_a_newer_schema(path: Path) -> None:
    await (await reopened(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    for exclusive in (True, False):
        assert "newer pychat (schema 999" in await refusal(path, exclusive=exclusive)


async def test_a_file_of_the_first_schema_is_migrated(path: Path) -> None:
    connection = sqlite3.connect(path)
    for statement in MIGRATIONS[0]:
        connection.execute(statement)
    connection.executescript(
        f"""
        PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;
        INSERT INTO account (key, id, canonical, lookalike, alias, created_at, last_seen_at)
            VALUES (1, 'alice', 'alice', 'alice', 'Al', 5, 7), (2, 'bob', 'bob', 'bob', '', 5, 7),
                (3, 'carol', 'carol', 'carol', '', 5, NULL);
        INSERT INTO block VALUES (1, 2), (3, 2);
        """
    )
    connection.close()
    store = await reopened(path)
    blocks = [(b.account.id, b.alias, b.since) for b in await store.blockers(2)]
    await store.close()
    assert sorted(blocks) == [("alice", "Al", 7), ("carol", "", 5)]


BACK_TO_3 = """
    DROP TABLE change; DROP TABLE reaction; DROP TABLE property; DROP TABLE hook;
    DROP TABLE mention; DROP TABLE standing;
    ALTER TABLE room DROP COLUMN topic; ALTER TABLE room DROP COLUMN private;
    DROP TABLE file;
    ALTER TABLE message DROP COLUMN reply_to; ALTER TABLE membership DROP COLUMN notify;
    ALTER TABLE account DROP COLUMN status; ALTER TABLE account DROP COLUMN status_text;
    PRAGMA user_version = 3;
"""


async def test_a_file_without_changes_is_migrated(path: Path) -> None:
    async with opened(path) as chat:
        alice, _, pair = await chat.pair("alice", "bob")
        await chat.say(pair, alice, "one", "two")
        before = await chat.store.history(pair.key, first_seq=1, before=None, after=None, limit=9)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(BACK_TO_3)
        (size,) = connection.execute("PRAGMA page_count").fetchone()
    async with opened(path) as chat:
        after = await chat.store.history(pair.key, first_seq=1, before=None, after=None, limit=9)
        assert after == before
        assert await chat.store.epoch()
        (changed,) = await chat.change(NewRemoval(pair.key, 2, alice.key))
        assert changed.outcome is Outcome.DONE
        assert await chat.store.check() == []
    with closing(sqlite3.connect(path)) as connection:
        # Empty tables: the messages are not rewritten.
        assert connection.execute("PRAGMA page_count").fetchone()[0] <= size + 8


async def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    schema = "SELECT sql, user_version FROM sqlite_schema, pragma_user_version"
    async with opened(path) as chat:
        await chat.pair("alice", "bob")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"{BACK_TO_3} CREATE TABLE property (x)")
        before = connection.execute(schema).fetchall()
    assert "already exists" in await refusal(path, exclusive=True)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(schema).fetchall() == before


async def test_a_removed_text_is_not_in_the_file(path: Path) -> None:
    # Longer than a page: the text fills overflow pages.
    long = "recognizable words " * 1000
    async with opened(path) as chat:
        alice, _, pair = await chat.pair("alice", "bob")
        await chat.say(pair, alice, f"{long} one", "a recognizable one", f"{long} two", "next")
        await chat.change(
            NewRemoval(pair.key, 1, alice.key),
            NewRemoval(pair.key, 2, alice.key),
            NewEdit(pair.key, 3, alice.key, "short", 5),
        )
    content = path.read_bytes()
    assert b"next" in content
    # Single words may stay in the search index (docs/explanation/security.md), if that was fast.
    assert b"recognizable words" not in content
    assert b"recognizable one" not in content


async def test_an_older_file_is_migrated(path: Path) -> None:
    """Search terms and look-alike forms are updated for existing messages and accounts."""
    async with opened(path) as chat:
        alice, bob, pair = await chat.pair("alice", "bob")
        await chat.say(pair, alice, "party ⭐", "party")
        assert isinstance(chat.store, SQLiteStore)
        await chat.store.index()
        await chat.account("dave", "Dave ⭐")
    with closing(sqlite3.connect(path)) as connection, connection:
        # As in version 2: one account looks like another one.
        connection.executemany(
            "INSERT INTO account (id, canonical, lookalike, alias, created_at)"
            " VALUES (?1, ?2, ?2, '', 0)",
            [(id, canonical_id(id)) for id in ("bob\u3164", "a\ufe0f")],
        )
        connection.execute("INSERT INTO terms (terms) VALUES ('delete-all')")
        scope = f"_c{pair.key} _a{alice.key} _a{bob.key}"
        connection.execute("INSERT INTO terms (rowid, text) VALUES (1, ?)", (f"{scope} party",))
        connection.execute("INSERT INTO terms (rowid, text) VALUES (2, ?)", (f"{scope} party",))
        connection.execute("DELETE FROM account_term WHERE term > 'z'")
        connection.executescript(f"{BACK_TO_3} PRAGMA user_version = 2")
    async with opened(path) as chat:
        for indexed in (False, True):
            if indexed:
                assert isinstance(chat.store, SQLiteStore)
                await chat.store.index()
            page, _ = await chat.store.search(
                alice.key, "⭐", conversation=None, cursor=None, limit=5
            )
            assert [message.data for message in page] == ["party ⭐"]
        assert [each.id for each in await chat.store.find_accounts("⭐", 5)] == ["dave"]
        for id in ("bob", "bob\u3164", "a\ufe0f"):
            there = await chat.store.account(id)
            assert there is not None
            assert there.id == id
        for id in ("bob\ufe0f", "a", "a\u200b"):
            with pytest.raises(AlreadyExists):
                await chat.account(id)


async def test_a_refused_open_leaves_no_lock(path: Path) -> None:
    path.write_text("no database")
    await refusal(path)
    path.unlink()
    await (await reopened(path)).close()


async def test_a_damaged_file(path: Path) -> None:
    store = await reopened(path)
    chat = Populated(store)
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, *("x" * 500 for _ in range(500)))
    await store.close()
    content = bytearray(path.read_bytes())
    # Damage the end of the file, where the messages are: the schema must stay readable.
    for page in range(len(content) // 4096 // 2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xa5" * 200
    path.write_bytes(content)

    store = await reopened(path)
    with pytest.raises(StoreUnavailable, match="damaged"):
        await store.history(pair.key, first_seq=1, before=None, after=None, limit=9)
    await store.close()
    path.write_bytes(content[:100] + b"\xa5" * 4096)
    assert "damaged" in await refusal(path)


async def test_a_full_disk_refuses_whole_batches_and_recovers(chat: Populated, path: Path) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, "kept")
    # SQLite reports a full disk if the file may not grow.
    writer = chat.store._connection  # type: ignore[attr-defined]  # no public way to a full disk
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match="disk is full"):
        await chat.say(pair, alice, *("x" * 5000 for _ in range(20)))
    assert await chat.store.last_seq(pair.key) == 1
    writer.execute("PRAGMA max_page_count = 1000000")
    assert [a.seq for a in await chat.say(pair, alice, "again")] == [2]
    messages, *_ = await chat.store.history(
        pair.key, first_seq=1, before=None, after=None, limit=99
    )
    assert [m.data for m in messages] == ["kept", "again"]


def test_the_package_imports_sqlite_only_on_demand() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from pychat.server.store import open_store; open_store('memory:');"
            " print('sqlite3' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "False"
