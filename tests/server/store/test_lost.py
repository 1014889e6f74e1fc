"""A SQLite store is lost while in use: nothing is acknowledged, and no caller waits."""

# ruff: noqa: ASYNC240 - a test may wait for the disk

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pychat.server.store import StoreError, StoreLost, StoreUnavailable, open_store
from pychat.server.store.sqlite import SQLiteStore
from tests.server.store.conftest import Populated


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "chat.db"


@pytest.fixture
async def chat(path: Path) -> AsyncIterator[Populated]:
    store = open_store(f"sqlite:///{path}")
    await store.open()
    yield Populated(store)
    await asyncio.wait_for(store.close(), 60)


def replace_by_copy(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.replace(path)


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


WAYS: dict[str, Callable[[Path], Any]] = {
    "database removed": lambda path: path.unlink(),
    "database moved": lambda path: path.rename(path.with_name("moved.db")),
    "database replaced": replace_by_copy,
    "wal removed": lambda path: path.with_name("chat.db-wal").unlink(),
    "wal replaced": lambda path: replace_by_copy(path.with_name("chat.db-wal")),
    "shm removed": lambda path: path.with_name("chat.db-shm").unlink(),
    "lock removed": lambda path: path.with_name("chat.db-lock").unlink(),
    "folder moved": move_folder,
    "folder removed": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_acknowledged_once_a_file_is_missing(
    chat: Populated, path: Path, way: str
) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, "kept")
    WAYS[way](path)
    with pytest.raises(StoreLost) as caught:
        await chat.say(pair, alice, "into nothing")
    assert str(path.parent) in str(caught.value)
    assert "while it was in use" in str(caught.value)
    for ask in (chat.store.account_changes, chat.store.check_ready, chat.store.rooms):
        with pytest.raises(StoreLost):
            await ask()


@pytest.mark.parametrize("idle", [True, False])
async def test_a_database_that_is_put_back_has_everything(path: Path, idle: bool) -> None:
    store = SQLiteStore(path)
    await store.open()
    await store.create_account("alice", "", None, 1)
    moved = path.with_name("moved.db")
    path.rename(moved)
    with pytest.raises(StoreLost):
        await (store.account_changes() if idle else store.create_account("bob", "", None, 1))
    await store.close()
    # No new store is created beside the log of the old one.
    with pytest.raises(StoreError, match="put it back"):
        await SQLiteStore(path).open()
    moved.rename(path)
    store = SQLiteStore(path)
    await store.open()
    assert await store.account("alice") is not None
    await store.close()


@pytest.mark.parametrize("way", WAYS)
async def test_an_idle_server_notices(chat: Populated, path: Path, way: str) -> None:
    await chat.account("alice")
    WAYS[way](path)
    with pytest.raises(StoreLost):
        await chat.store.account_changes()


async def test_a_symbolic_link_that_was_changed(tmp_path: Path, path: Path) -> None:
    for name in ("one.db", "two.db"):
        made = SQLiteStore(tmp_path / name)
        await made.open()
        await made.close()
    path.symlink_to(tmp_path / "one.db")
    store = SQLiteStore(path)
    await store.open()
    await store.create_account("alice", "", None, 1)
    path.unlink()
    path.symlink_to(tmp_path / "two.db")
    with pytest.raises(StoreLost, match="replaced"):
        await store.create_account("bob", "", None, 1)
    await store.close()


async def test_a_checkpoint_is_no_loss(chat: Populated, path: Path) -> None:
    alice, _, pair = await chat.pair()
    other = sqlite3.connect(path)
    for _ in range(3):
        await chat.say(pair, alice, *("x" * 3000 for _ in range(50)))
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        await chat.store.account_changes()
        assert path.stat().st_ctime_ns <= path.with_name("chat.db-wal").stat().st_ctime_ns
    other.close()


class Connection:
    """A SQLite connection on which some statements fail."""

    def __init__(self, real: sqlite3.Connection, failing: dict[str, BaseException]) -> None:
        self._real = real
        self._failing = failing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql in self._failing:
            raise self._failing[sql]
        return self._real.execute(sql, *parameters)


def let_fail(chat: Populated, **failing: BaseException) -> None:
    writer = chat.store._writer  # type: ignore[attr-defined]  # no public way to a broken disk
    writer._connection = Connection(writer._connection, failing)


async def all_refused(chat: Populated) -> list[BaseException]:
    """Submit several writes and return the exception of each."""
    async with asyncio.timeout(60):
        answers = await asyncio.gather(
            *(chat.account(f"user{n}") for n in range(5)), return_exceptions=True
        )
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    return [answer for answer in answers if isinstance(answer, BaseException)]


async def test_a_rollback_that_fails_ends_the_writer_and_no_caller_waits(chat: Populated) -> None:
    let_fail(
        chat,
        COMMIT=sqlite3.OperationalError("disk I/O error"),
        ROLLBACK=sqlite3.OperationalError("disk I/O error"),
    )
    assert all(isinstance(answer, StoreLost) for answer in await all_refused(chat))
    assert all(isinstance(answer, StoreLost) for answer in await all_refused(chat))
    with pytest.raises(StoreLost):
        await chat.store.check_ready()


@pytest.mark.parametrize("error", [MemoryError(), SystemExit(3), RuntimeError("a fault")])
async def test_a_writer_thread_that_fails_answers_all_callers(
    chat: Populated, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def die(connection: Any) -> None:
        raise error

    writer = chat.store._writer  # type: ignore[attr-defined]  # nothing public kills a thread
    writer._files.check = lambda: die(None)
    await all_refused(chat)
    assert all(isinstance(answer, StoreLost) for answer in await all_refused(chat))
    assert "writer thread failed" in caplog.text


async def test_ready_means_that_a_write_would_succeed(chat: Populated) -> None:
    await chat.account("alice")
    await chat.store.check_ready()
    let_fail(chat, COMMIT=sqlite3.OperationalError("database or disk is full"))
    with pytest.raises(StoreUnavailable):
        await chat.account("bob")
    with pytest.raises(StoreUnavailable):
        await chat.store.check_ready()
    let_fail(chat)
    chat.store._writer._connection = chat.store._connection  # type: ignore[attr-defined]  # room again
    await chat.store.check_ready()


async def test_a_failed_read_leaves_a_reader_that_works(chat: Populated) -> None:
    alice = await chat.account("alice")
    assert await chat.store.account("alice") == alice
    readers = chat.store._readers  # type: ignore[attr-defined]  # no public way to a broken disk
    failing: dict[str, BaseException] = {"COMMIT": sqlite3.OperationalError("disk I/O error")}
    readers._free = [Connection(connection, failing) for connection in readers._free]
    with pytest.raises(StoreUnavailable):
        await chat.store.account("alice")
    assert await chat.store.account("alice") == alice
