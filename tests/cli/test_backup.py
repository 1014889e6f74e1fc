"""``pychat store backup`` and ``restore``: a restored store wins, whatever a crash has left."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pychat.server.store import open_store
from pychat.server.store.sqlite.file import backup
from tests.cli.invoke import invoke, refusal
from tests.processes import Serving, create_account


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
def store(path: Path) -> str:
    return f"sqlite:///{path}"


def serve_and_stop(store: str) -> None:
    async def run() -> None:
        running = open_store(store)
        await running.open()
        await running.close()

    asyncio.run(run())


def crash(store: str, *ids: str) -> None:
    """What is left of a server that makes these accounts and is killed: also its log."""
    path = Path(store.removeprefix("sqlite:///"))
    left = [path, log_of(path)]

    async def run() -> None:
        running = open_store(store)
        await running.open()
        for id in ids:
            await running.create_account(id, "", None, 1)
        for file in left:
            shutil.copy(file, file.with_name(f"left-{file.name}"))
        await running.close()

    asyncio.run(run())
    for file in left:
        file.with_name(f"left-{file.name}").replace(file)


def users(store: str) -> list[str]:
    done = invoke("user", "list", "--store", store)
    assert done.status == 0, done.stderr
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def test_a_backup_is_put_back_after_a_crash(store: str, path: Path, tmp_path: Path) -> None:
    crash(store, "alice")
    backup = tmp_path / "backup.db"
    done = invoke("store", "backup", "--store", store, backup)
    assert done.stderr == f"Backed up {path} to {backup}; verified.\n"
    assert backup.stat().st_mode & 0o077 == 0
    crash(store, "bob", "carol")
    assert log_of(path).stat().st_size
    done = invoke("store", "restore", "--store", store, backup)
    assert (done.status, done.stdout) == (0, "")
    assert users(store) == ["alice"]
    assert invoke("store", "check", "--store", store).status == 0
    # What was there can be looked at, its log included.
    (kept,) = [
        f for f in tmp_path.glob("chat.db.replaced-*") if not f.name.endswith(("wal", "shm"))
    ]
    assert str(kept) in done.stderr
    assert users(f"sqlite:///{kept}") == ["alice", "bob", "carol"]
    assert users(f"sqlite:///{backup}") == ["alice"]
    assert not list(tmp_path.glob("*.part*"))


def by_command(path: Path, backup: Path) -> None:
    assert invoke("store", "backup", "--store", f"sqlite:///{path}", backup).status == 0


def by_vacuum(path: Path, backup: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"VACUUM INTO '{backup}'")
    connection.close()


def by_copy_at_rest(path: Path, backup: Path) -> None:
    serve_and_stop(f"sqlite:///{path}")
    shutil.copy(path, backup)


WAYS_OF_COPYING = [by_command, by_vacuum, by_copy_at_rest]
WAYS_OF_PUTTING = [shutil.copy, shutil.copy2, shutil.move]


@pytest.mark.parametrize("copying", WAYS_OF_COPYING)
@pytest.mark.parametrize("putting", WAYS_OF_PUTTING)
def test_a_backup_that_was_only_copied_there_wins(
    store: str,
    path: Path,
    tmp_path: Path,
    copying: Callable[[Path, Path], None],
    putting: Callable[[Path, Path], object],
) -> None:
    crash(store, "alice")
    copying(path, tmp_path / "backup.db")
    crash(store, "bob")
    putting(tmp_path / "backup.db", path)
    text = refusal("user", "list", "--store", store)
    assert "start the server once" in text
    assert log_of(path).exists()
    crash(store)
    assert path.with_name("chat.db-wal.stale").exists()
    assert users(store) == ["alice"]
    assert invoke("store", "check", "--store", store).status == 0


def test_a_log_that_was_set_aside_earlier_is_kept(store: str, path: Path, tmp_path: Path) -> None:
    crash(store, "alice")
    by_command(path, tmp_path / "backup.db")
    crash(store, "bob")
    earlier = path.with_name("chat.db-wal.stale")
    earlier.write_bytes(b"an earlier log")
    shutil.copy(tmp_path / "backup.db", path)
    crash(store)
    assert earlier.read_bytes() == b"an earlier log"
    assert path.with_name("chat.db-wal.stale-2").exists()
    assert users(store) == ["alice"]


def test_without_links_a_file_that_appears_during_a_backup_is_kept(
    store: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash(store, "alice")

    def link(_: Path, target: Path) -> None:
        if target.name == "taken.db":
            target.write_text("of somebody else")
        raise PermissionError(errno.EPERM, "no links on this file system")

    monkeypatch.setattr(os, "link", link)
    text = refusal("store", "backup", "--store", store, tmp_path / "taken.db")
    assert "already exists: choose another name" in text
    assert (tmp_path / "taken.db").read_text() == "of somebody else"
    assert invoke("store", "backup", "--store", store, tmp_path / "free.db").status == 0
    assert invoke("store", "restore", "--store", store, tmp_path / "free.db").status == 0
    assert users(store) == ["alice"]


def test_a_restore_that_is_killed_leaves_no_journal_beside_the_new_store(
    store: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_copy_at_rest(path, tmp_path / "backup.db")
    in_the_middle_of_a_change(tmp_path / "backup.db", path)
    assert path.with_name("chat.db-journal").stat().st_size

    class Killed(BaseException):
        pass

    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        replace(source, target)
        raise Killed

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(Killed):
        backup.restore(tmp_path / "backup.db", path, lambda _: None)
    monkeypatch.undo()
    assert not path.with_name("chat.db-journal").exists()


def test_a_copy_that_may_be_the_logs_own_database_is_refused(
    store: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash(store, "alice")
    live, other = sqlite3.connect(path), sqlite3.connect(tmp_path / "backup.db")
    live.backup(other)
    other.close()
    live.close()
    crash(store, "bob")
    before = log_of(path).read_bytes()
    a_minute_ago = time.time() - 60
    os.utime(log_of(path), (a_minute_ago, a_minute_ago))
    monkeypatch.setattr(backup, "SLACK_SECONDS", 0.0)
    # Only the system sets the time of change: wait until it tells the two apart.
    time.sleep(0.05)
    shutil.copy2(tmp_path / "backup.db", path)
    for command in (["serve", "--port", "0"], ["user", "list"], ["store", "check"]):
        text = refusal(*command, "--store", store)
        assert "pychat store restore" in text
        assert f"touch {log_of(path)}" in text
    assert log_of(path).read_bytes() == before
    assert invoke("store", "restore", "--store", store, tmp_path / "backup.db").status == 0
    assert users(store) == ["alice"]


def test_after_a_crash_alone_everything_is_there(store: str) -> None:
    crash(store, "alice")
    crash(store, "bob")
    assert users(store) == ["alice", "bob"]


@pytest.mark.parametrize("empty", [False, True])
def test_a_database_that_is_gone_is_not_made_anew_beside_its_log(
    store: str, path: Path, empty: bool
) -> None:
    crash(store, "alice")
    before = log_of(path).read_bytes()
    path.unlink()
    if empty:
        path.touch()
    text = refusal("serve", "--port", "0", "--store", store)
    assert "pychat store restore" in text
    assert log_of(path).read_bytes() == before
    assert path.exists() == empty


def test_what_is_no_sound_backup_changes_nothing(store: str, path: Path, tmp_path: Path) -> None:
    crash(store, "alice")
    good, bad = tmp_path / "good.db", tmp_path / "bad.db"
    by_command(path, good)
    refused = {"missing.db": "there is no backup", "chat.db": "is the store itself"}
    (tmp_path / "text.db").write_text("Dear diary")
    refused["text.db"] = "damaged"
    (tmp_path / "empty.db").touch()
    refused["empty.db"] = "empty"
    recipes = sqlite3.connect(tmp_path / "recipes.db")
    recipes.execute("CREATE TABLE recipe (name)")
    recipes.close()
    refused["recipes.db"] = "not a pychat store"
    content = bytearray(good.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xa5" * 200
    bad.write_bytes(content)
    refused["bad.db"] = "damaged"
    for name, reason in refused.items():
        assert reason in refusal("store", "restore", "--store", store, tmp_path / name), name
    assert not list(tmp_path.glob("*.replaced*"))
    assert not list(tmp_path.glob("*.part*"))
    assert not list(tmp_path.glob(".*"))
    assert users(store) == ["alice"]


def in_the_middle_of_a_change(source: Path, copied: Path) -> None:
    """Copy a store and its journal while a transaction is half written."""
    used = source.with_name("used.db")
    shutil.copy(source, used)
    connection = sqlite3.connect(used, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN")
    connection.execute("UPDATE counter SET value = value + 1")
    connection.execute("CREATE TABLE filler (x)")
    connection.executemany("INSERT INTO filler VALUES (?)", [("x" * 3000,)] * 20)
    for suffix in ("", "-journal"):
        shutil.copy(f"{used}{suffix}", f"{copied}{suffix}")
    connection.close()


def test_a_copy_made_in_the_middle_of_a_change_is_refused(
    store: str, path: Path, tmp_path: Path
) -> None:
    by_copy_at_rest(path, tmp_path / "at rest.db")
    copied = tmp_path / "copied.db"
    in_the_middle_of_a_change(tmp_path / "at rest.db", copied)
    assert "in the middle of a change" in refusal("store", "restore", "--store", store, copied)
    # As the message says.
    sqlite3.connect(copied).execute("SELECT count(*) FROM sqlite_schema").fetchall()
    assert invoke("store", "restore", "--store", store, copied).status == 0
    assert invoke("store", "check", "--store", store).status == 0


@pytest.mark.parametrize("links", [True, False])
def test_a_restore_that_cannot_replace_the_store_leaves_it(
    store: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    crash(store, "alice")
    by_command(path, tmp_path / "backup.db")
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if str(source).endswith(".part"):
            raise OSError(13, "Permission denied")
        replace(source, target)

    def no_link(source: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", refuse)
        if not links:
            patched.setattr(os, "link", no_link)
        text = refusal("store", "restore", "--store", store, tmp_path / "backup.db")
        assert "Permission denied" in text
    assert not list(tmp_path.glob("*.replaced*"))
    assert users(store) == ["alice"]


def test_a_backup_is_never_written_over_a_file(store: str, tmp_path: Path) -> None:
    crash(store, "alice")
    there = tmp_path / "there"
    there.write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    for name in (there, link):
        assert "already exists" in refusal("store", "backup", "--store", store, name)
    assert there.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    assert "cannot write" in refusal("store", "backup", "--store", store, tmp_path / "no" / "b.db")
    missing = f"sqlite:///{tmp_path}/missing.db"
    assert "there is no store" in refusal("store", "backup", "--store", missing, tmp_path / "x")


def test_another_kind_of_store_is_refused_with_what_helps(tmp_path: Path) -> None:
    for command in ("backup", "restore"):
        for address in ("memory:", "mongodb://localhost/chat", "sqlite://chat.db"):
            done = invoke("store", command, "--store", address, tmp_path / "file")
            assert done.status == 2, done
            assert "--store" in done.stderr


@pytest.mark.e2e
def test_beside_a_running_server(store: str, path: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("a good password")
    backup = tmp_path / "backup.db"
    with Serving("--store", store, "--no-limits") as server:
        create_account(server.url, "alice")
        who = ("--server", server.url, "--password-file", password)
        assert invoke("send", *who, "--user", "alice", "--to", "ALL", "kept").status == 0
        assert invoke("store", "backup", "--store", store, backup).status == 0
        create_account(server.url, "bob")
        assert invoke("send", *who, "--user", "bob", "--to", "ALL", "after").status == 0
        text = refusal("store", "restore", "--store", store, backup)
        assert f"in use by another pychat server (process {server.pid}): stop it first" in text
        server.stop(signal.SIGKILL)
    assert invoke("store", "restore", "--store", store, backup).status == 0
    with Serving("--store", store) as server:
        assert users(store) == ["alice"]
        assert server.stop() == 0
    assert users(store) == ["alice"]
