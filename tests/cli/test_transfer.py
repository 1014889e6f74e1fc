"""``pychat export``, ``import`` and ``store check``."""

import asyncio
import io
import json
import re
import sqlite3
import subprocess
from contextlib import AsyncExitStack, closing, redirect_stdout
from pathlib import Path

import pytest

from pychat.cli.operator.export import export
from pychat.server.store import open_store
from tests.cli.invoke import Result, invoke, refusal
from tests.processes import PYCHAT
from tests.server.store.conftest import Populated
from tests.server.store.test_transfer import fill

COUNTS = "4 accounts, 5 conversations and 10 messages"


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A server's store with something of everything in it."""
    address = f"sqlite:///{tmp_path}/chat.db"

    async def make() -> None:
        store = open_store(address)
        await store.open()
        await fill(store)
        await store.close()

    asyncio.run(make())
    return address


def test_to_a_file_and_back(store: str, tmp_path: Path) -> None:
    file, again = tmp_path / "chat.jsonl", tmp_path / "again.jsonl"
    assert invoke("export", "--store", store, file) == Result(0, "", f"Exported {COUNTS}.\n")
    assert file.stat().st_mode & 0o077 == 0
    copy = f"sqlite:///{tmp_path}/copy.db"
    result = invoke("import", "--store", copy, file)
    assert (result.status, result.stdout) == (0, "")
    made, imported = result.stderr.splitlines()
    assert made == f"Created the store {tmp_path}/copy.db."
    assert imported.startswith(f"Imported {COUNTS} into ")
    assert invoke("export", "--store", copy, again).status == 0
    assert again.read_bytes() == file.read_bytes()


def test_what_somebody_has_prepared_is_not_written_to(store: str, tmp_path: Path) -> None:
    file, theirs = tmp_path / "chat.jsonl", tmp_path / "theirs"
    for suffix in (".part", ".tmp"):
        (tmp_path / f"chat.jsonl{suffix}").symlink_to(theirs)
    assert invoke("export", "--store", store, file).status == 0
    assert not theirs.exists()
    assert file.stat().st_mode & 0o077 == 0
    (tmp_path / "link.jsonl").symlink_to(theirs)
    line = refusal("export", "--store", store, tmp_path / "link.jsonl")
    assert f"{tmp_path}/link.jsonl already exists" in line
    assert not theirs.exists()


def test_an_export_that_fails_leaves_nothing(store: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert "too long" in refusal("export", "--store", store, tmp_path / ("a" * 300))
    assert sorted(tmp_path.iterdir()) == before


def test_through_pipes(store: str, tmp_path: Path) -> None:
    lines = invoke("export", "--store", store, "-").stdout
    copy = f"sqlite:///{tmp_path}/copy.db"
    assert invoke("import", "--store", copy, "-", input=lines).status == 0
    assert invoke("export", "--store", copy, "-").stdout == lines


class Terminal(io.TextIOWrapper):
    """Takes what is shown."""

    def isatty(self) -> bool:
        return True


def test_what_was_said_does_not_drive_the_terminal(tmp_path: Path) -> None:
    address, harm = f"sqlite:///{tmp_path}/chat.db", "\x1b[2J\x9b31m\x7f\u202ered"

    async def make() -> None:
        async with AsyncExitStack() as stack:
            store = open_store(address)
            await store.open()
            stack.push_async_callback(store.close)
            chat = Populated(store)
            alice, _, pair = await chat.pair()
            await chat.say(pair, alice, harm)

    asyncio.run(make())
    shown = Terminal(io.BytesIO(), "utf-8")
    with redirect_stdout(shown):
        export.main(["--store", address, "-"], standalone_mode=False)
    assert isinstance(shown.buffer, io.BytesIO)
    lines = shown.buffer.getvalue().decode().splitlines()
    assert all(line.isprintable() for line in lines)
    assert harm in [json.loads(line).get("data") for line in lines]


def test_what_is_no_export_makes_no_store(tmp_path: Path) -> None:
    copy = f"sqlite:///{tmp_path}/copy.db"
    for garbage in ("garbage\n", "", '{"kind": "account"}\n'):
        refusal("import", "--store", copy, "-", input=garbage)
    assert not (tmp_path / "copy.db").exists()


def test_an_import_that_was_cut_short_goes_on(store: str, tmp_path: Path) -> None:
    lines = invoke("export", "--store", store, "-").stdout
    copy = f"sqlite:///{tmp_path}/copy.db"
    cut = invoke("import", "--store", copy, "-", input=lines[: len(lines) // 2])
    assert cut.status == 1
    made, error = cut.stderr.splitlines()
    assert made.startswith("Created the store ")
    assert "line" in error or "ends too early" in error
    assert invoke("import", "--store", copy, "-", input=lines).status == 0


@pytest.mark.parametrize("other", ["adam", "Alice", "bob", "zoe"])  # the file has Alice to dave
def test_an_import_into_somebody_s_store_changes_nothing(
    store: str, tmp_path: Path, other: str
) -> None:
    lines = invoke("export", "--store", store, "-").stdout
    theirs = f"sqlite:///{tmp_path}/theirs.db"

    async def somebody_else() -> None:
        kept = open_store(theirs)
        await kept.open()
        await kept.create_account(other, "", None, 1_234)
        await kept.close()

    asyncio.run(somebody_else())
    before = invoke("export", "--store", theirs, "-").stdout
    line = refusal("import", "--store", theirs, "-", input=lines)
    assert f"theirs.db is not empty: it has another account {other}. Import into a new" in line
    assert invoke("export", "--store", theirs, "-").stdout == before


@pytest.mark.e2e
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")
def test_to_a_full_disk(store: str, tmp_path: Path) -> None:
    command = [*PYCHAT, "export", "--store", store, "-"]
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=100)
    assert run.returncode == 1
    assert run.stderr == "Error: cannot write to standard output: No space left on device\n"


def test_what_cannot_be(store: str, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("precious")
    assert "already exists" in refusal("export", "--store", store, tmp_path / "there")
    folder = tmp_path / "no" / "folder"
    line = refusal("export", "--store", store, folder)
    assert line == f"cannot write {folder}: No such file or directory"
    line = refusal("import", "--store", store, folder, status=2)
    assert line.startswith(f"FILE: Path '{folder}' does not exist. See 'pychat import")
    missing = f"sqlite:///{tmp_path}/missing.db"
    assert "there is no store" in refusal("export", "--store", missing, "-")
    assert "there is no store" in refusal("store", "check", "--store", missing)
    assert not (tmp_path / "missing.db").exists()
    no_export = invoke("import", "--store", missing, tmp_path / "there")
    assert no_export.status == 1
    assert "not a line of an export" in no_export.stderr
    refusal("import", "--store", "memory:", tmp_path / "there", status=2)
    assert (tmp_path / "there").read_text() == "precious"


def test_check(store: str, tmp_path: Path) -> None:
    result = invoke("store", "check", "--store", store)
    assert (result.status, result.stdout) == (0, "")
    assert result.stderr.endswith("10 messages, no problems.\n")


def test_check_finds_damage(store: str, tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    content = bytearray(path.read_bytes())
    for page in range(8, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
    path.write_bytes(content)
    before = path.read_bytes()
    result = invoke("store", "check", "--store", store)
    assert result.status == 1
    said = result.stdout.splitlines()
    assert said[0] == "SQLite reports:"
    assert "Readable:" in said[2:]
    assert "  accounts: " in result.stdout
    assert result.stderr.startswith(f"Error: {path} is damaged: stop the server, keep a copy")
    assert "restore a backup" in result.stderr
    assert path.read_bytes() == before


def test_a_text_that_is_not_utf8_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"

    async def make() -> None:
        store = open_store(f"sqlite:///{path}")
        await store.open()
        chat = Populated(store)
        alice, _, pair = await chat.pair()
        await chat.say(pair, alice, "one", "two", "three")
        await store.close()

    asyncio.run(make())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE message SET data = CAST(x'1b5b324aff' AS TEXT) WHERE seq = 2")
    result = invoke("export", "--store", f"sqlite:///{path}", tmp_path / "rest.jsonl")
    assert result.status == 1
    assert "unreadable messages (1 in alice and bob) are exported" in result.stderr
    assert "\x1b" not in result.stderr


@pytest.mark.e2e  # it takes too long for the fast part
def test_check_says_how_much_of_a_damaged_store_can_be_read(tmp_path: Path) -> None:
    """20 kB in the middle, as a disk loses them."""
    path = tmp_path / "chat.db"

    async def make() -> None:
        store = open_store(f"sqlite:///{path}")
        await store.open()
        chat = Populated(store)
        alice, _, pair = await chat.pair()
        await chat.say(pair, alice, *("x" * 200 for _ in range(2_000)))
        await store.close()

    asyncio.run(make())
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = b"\xa5" * 20_000
    path.write_bytes(content)
    result = invoke("store", "check", "--store", f"sqlite:///{path}")
    assert result.status == 1
    assert "  accounts: 2, all\n" in result.stdout
    found = re.search(r"  messages: ([0-9,]+), the rest is lost\n", result.stdout)
    assert found
    assert 1_500 < int(found[1].replace(",", "")) < 2_000
    assert len(result.stdout.splitlines()) < 20

    file, copy = tmp_path / "rest.jsonl", f"sqlite:///{tmp_path}/copy.db"
    result = invoke("export", "--store", f"sqlite:///{path}", file)
    assert result.status == 1
    said = re.search(r"unreadable messages \(([0-9]+) in alice and bob\) are export", result.stderr)
    assert said
    lost = int(said[1])
    # The check reads up to the damage from both sides. Some messages in between may be whole.
    assert 0 <= 2_000 - int(found[1].replace(",", "")) - lost < 10
    assert file.read_bytes().count(b'"removed":true') == lost
    assert invoke("import", "--store", copy, file).status == 0
    result = invoke("store", "check", "--store", copy)
    assert (result.status, result.stderr) == (
        0,
        f"{tmp_path}/copy.db: 2,000 messages, no problems.\n",
    )
