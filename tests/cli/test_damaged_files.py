"""Whatever a file of the user's own is like, the terminal starts and tells what it cannot use."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from pychat.cli.credentials.accounts import TerminalAccounts
from pychat.cli.credentials.tokens import keep_token
from pychat.cli.settings.files import login_file
from pychat.client.models import ConversationInfo, DeliveryStatus, MessageInfo
from pychat.client.storage.sqlite import SQLiteCache
from pychat.tui.model.saved_state import SavedState

SERVER = "http://127.0.0.1:9"
USER = "alice"
FILES = [".db", ".json", ".token"]


def garbage(path: Path) -> None:
    path.write_bytes(b"\xa5\x00\xff{" * 5_000)


def text(path: Path) -> None:
    path.write_text("notes of mine, all of them\n" * 100)


def truncated(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(
        content[: 100 if path.suffix == ".db" else 0 if path.suffix == ".token" else 9]
    )


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "precious").write_text("something")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("gone") / "file")


def huge(path: Path) -> None:
    os.truncate(path, 50_000_000)


def wrong_type(path: Path) -> None:
    if path.suffix == ".db":
        change(path, "UPDATE conversation SET record = 5")
    else:
        path.write_text('{"muted": "bob"}\n' if path.suffix == ".json" else "a b")


def deep(path: Path) -> None:
    path.write_bytes(b'{"x":' + b"[" * 200_000)


def newer(path: Path) -> None:
    if path.suffix == ".db":
        change(path, "PRAGMA user_version = 9")
    else:
        path.write_text('{"muted": {"bob": "for an hour"}}' if path.suffix == ".json" else "v2 x")


def other_program(path: Path) -> None:
    path.unlink()
    change(path, "CREATE TABLE precious (thing)")


def of_somebody_else(path: Path) -> None:
    change(path, "UPDATE identity SET user = 'eve'")


def without_tables(path: Path) -> None:
    change(path, "DROP TABLE draft")


def without_columns(path: Path) -> None:
    change(path, "ALTER TABLE message RENAME COLUMN seq TO number")


def bad_draft(path: Path) -> None:
    change(path, "UPDATE draft SET text = x'ff'")


def bad_outbox(path: Path) -> None:
    change(path, "UPDATE outgoing SET record = 'x'")


ANY = [garbage, text, truncated, zeros, folder, pipe, wrong_type, newer]
CASES = [(file, damage) for file in FILES for damage in ANY] + [
    (".json", deep),
    (".json", huge),
    (".token", huge),
    *((".db", each) for each in (dangling, other_program, of_somebody_else)),
    *((".db", each) for each in (without_tables, without_columns)),
    *((".db", each) for each in (bad_draft, bad_outbox)),
]


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)


def fill() -> None:
    """What an earlier run has left."""
    cache = SQLiteCache(login_file(SERVER, USER, ".db"))
    cache.open(SERVER, USER)
    cache.save_conversation(ConversationInfo("bob", "Bob"))
    cache.save_draft("bob", "half a line")
    cache.save_outgoing(
        MessageInfo(
            "bob", USER, "unsent", client_id="one", own=True, delivery=DeliveryStatus.SENDING
        )
    )
    cache.close()
    SavedState(login_file(SERVER, USER, ".json")).theme = "nord"
    keep_token(SERVER, USER, "a-token")


@pytest.mark.parametrize(
    ("file", "damage"), CASES, ids=lambda case: getattr(case, "__name__", case)
)
async def test_a_damaged_file_is_set_aside_and_told(
    file: str, damage: Callable[[Path], None]
) -> None:
    fill()
    path = login_file(SERVER, USER, file)
    damage(path)
    await check_started(path)
    # Once is enough: the next time all is well.
    again = TerminalAccounts().open(SERVER, USER)
    assert SavedState(again.state).problems == []
    assert again.start(connect=False) == []
    await again.client.close()


async def check_started(path: Path, *, aside: bool = True) -> None:
    account = TerminalAccounts().open(SERVER, USER)
    told = [*SavedState(account.state).problems, *account.start(connect=False)]
    assert len(told) == 1
    assert str(path) in told[0]
    assert len(told[0].replace(str(path.parent), "")) < 250
    client = account.client
    client.set_draft("eve", "new")
    assert client.draft("eve") == "new"
    if path.suffix != ".db":
        assert client.draft("bob") == "half a line"
        assert [each.text for each in client.cached_messages("bob")] == ["unsent"]
    await client.close()
    names = [each.name for each in path.parent.glob(f"{path.name}.unusable-*")]
    assert bool(names) == aside
    assert not aside or names[0] in told[0]


@pytest.mark.parametrize("damage", [wrong_type, bad_draft, without_tables])
async def test_what_nobody_else_has_is_taken_over_from_a_damaged_cache(
    damage: Callable[[Path], None],
) -> None:
    fill()
    damage(login_file(SERVER, USER, ".db"))
    account = TerminalAccounts().open(SERVER, USER)
    (told,) = account.start(connect=False)
    assert "unsent messages and drafts were recovered" in told
    assert [each.text for each in account.client.cached_messages("bob")] == ["unsent"]
    assert account.client.draft("bob") == ("half a line" if damage is wrong_type else "")
    await account.client.close()


@pytest.mark.parametrize("damage", [of_somebody_else, newer])
async def test_nothing_is_taken_from_somebody_else_or_a_newer_version(
    damage: Callable[[Path], None],
) -> None:
    fill()
    damage(login_file(SERVER, USER, ".db"))
    account = TerminalAccounts().open(SERVER, USER)
    account.start(connect=False)
    assert account.client.draft("bob") == ""
    await account.client.close()


async def test_messages_that_cannot_be_read_are_found_when_they_are_asked_for() -> None:
    fill()
    path = login_file(SERVER, USER, ".db")
    change(path, "INSERT INTO message (conversation, seq, record) VALUES ('bob', 'x', 'y')")
    account = TerminalAccounts().open(SERVER, USER)
    assert account.start(connect=False) == []
    assert [each.text for each in account.client.cached_messages("bob")] == ["unsent"]
    assert account.client.draft("bob") == "half a line"
    await account.client.close()


async def test_many_damaged_ones_do_not_fill_the_folder() -> None:
    for _ in range(12):
        fill()
        path = login_file(SERVER, USER, ".json")
        garbage(path)
        assert len(SavedState(path).problems) == 1
    assert len(list(path.parent.glob("*.unusable-*"))) == 9


@pytest.mark.parametrize("answer", [b"bytes", 5, "", "two words", "\x1b[2J", "x" * 100_000])
def test_a_keyring_may_answer_anything(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    from pychat.cli.credentials import keyring as systemkeyring
    from pychat.cli.credentials.tokens import kept_token

    login_file(SERVER, USER, ".keyring").touch()
    monkeypatch.setattr(systemkeyring, "read", lambda server, user: answer)
    assert kept_token(SERVER, USER) is None


@contextmanager
def as_another_user(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What root may do proves nothing about permissions. A data folder of that user."""
    home = Path(tempfile.mkdtemp())
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    if os.geteuid() != 0:
        yield
        shutil.rmtree(home)
        return
    os.chown(home, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        shutil.rmtree(home)


@pytest.mark.parametrize("file", FILES)
async def test_a_file_that_may_not_be_read_is_set_aside(
    monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    with as_another_user(monkeypatch):
        fill()
        path = login_file(SERVER, USER, file)
        path.chmod(0)
        await check_started(path)


async def test_where_nothing_may_be_written_all_is_kept_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with as_another_user(monkeypatch):
        fill()
        path = login_file(SERVER, USER, ".db")
        garbage(path)
        path.parent.chmod(0o500)
        try:
            await check_started(path, aside=False)
        finally:
            path.parent.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("file", [".json", ".token"])
async def test_a_file_of_another_user_is_set_aside(file: str) -> None:
    fill()
    path = login_file(SERVER, USER, file)
    os.chown(path, 65534, 65534)
    await check_started(path)


def test_what_is_remembered_stays_what_it_was() -> None:
    fill()
    path = login_file(SERVER, USER, ".json")
    assert msgspec.json.decode(path.read_bytes()) == {"theme": "nord"}
    assert SavedState(path).theme == "nord"
