"""Files of ChatClient and of the commands: a real server, over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from pychat.client import ChatClient, RequestRefused, ServerUnreachable
from pychat.client.models import ConnectionState, FileInfo
from pychat.client.wire import file_info
from pychat.protocol import FilePayload
from pychat.server import ChatServer
from tests.cli.invoke import invoke, refusal
from tests.client.watcher import Watcher, started
from tests.serving import serving

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 1000


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(max_file_bytes=1_000_000) as server:
        yield server


@pytest.fixture
async def people(server: ChatServer) -> AsyncIterator[tuple[ChatClient, Watcher]]:
    async with AsyncExitStack() as stack:
        alice = ChatClient(server.url, user="alice", password="a password")
        await stack.enter_async_context(alice)
        bob = ChatClient(server.url, user="bob", password="a password")
        watcher = await stack.enter_async_context(started(bob))
        await watcher.state(ConnectionState.ONLINE)
        yield alice, watcher


async def test_send_and_download(people: tuple[ChatClient, Watcher], tmp_path: Path) -> None:
    alice, bob = people
    path = tmp_path / "my cat.png"
    path.write_bytes(PNG)
    sent: list[int] = []
    message = await alice.send("bob", "Look", file=path, progress=sent.append)
    assert sum(sent) == len(PNG)
    file = message.file
    assert file == FileInfo(file.id if file else "", "my cat.png", len(PNG), "image/png")
    assert message.shown_text == "Look\nmy cat.png (256 kB)"
    arrived = await bob.added("Look")
    assert arrived.file == file
    assert (await bob.client.history("alice")).messages[0].file == file
    received: list[int] = []
    folder = tmp_path / "downloads"
    folder.mkdir()
    saved = await bob.client.download(arrived, folder, progress=received.append)
    assert (saved, saved.read_bytes()) == (folder / "my cat.png", PNG)
    assert sum(received) == len(PNG)
    assert await bob.client.download(arrived.id, folder) == folder / "my cat (2).png"
    assert file is not None
    assert await bob.client.download(file, tmp_path / "x") == tmp_path / "x"
    with pytest.raises(FileExistsError):
        await bob.client.download(file.id, tmp_path / "x")
    await alice.remove(message)
    assert (await bob.changed(removed=True)).file is None
    with pytest.raises(RequestRefused, match="there is no such file"):
        await bob.client.download(file, tmp_path / "y")
    assert not (tmp_path / "y").exists()


async def test_what_is_refused(people: tuple[ChatClient, Watcher], tmp_path: Path) -> None:
    alice, _ = people
    path = tmp_path / "large"
    path.write_bytes(b"x" * 1_000_001)
    with pytest.raises(RequestRefused, match=r"a file may have at most 1\.0 MB") as refused:
        await alice.send("bob", file=path)
    assert refused.value.code == "413"
    path.write_bytes(b"")
    with pytest.raises(RequestRefused, match="an empty file cannot be sent"):
        await alice.upload(path)
    with pytest.raises(FileNotFoundError):
        await alice.upload(tmp_path / "missing")
    for wrong in ("1-1", "x", "x-1", "f" * 32):
        with pytest.raises(RequestRefused, match="there is no"):
            await alice.download(wrong, tmp_path / "x")
    path.write_bytes(b"x")
    await alice.close()
    with pytest.raises(ServerUnreachable, match="only be sent and received while online"):
        await alice.upload(path)


def test_files_of_a_hostile_server() -> None:
    id = "0" * 32
    file = file_info(FilePayload(id, "../\u202ea\x1b[2J/.x", -1, "m" * 999, -5, 10**9, "b" * 999))
    assert file == FileInfo(id, "x", 0, "m" * 100, 1, 1_000_000, "b" * 100)
    assert file_info(FilePayload("../x", "x", 1, "x")) is None


@pytest.mark.e2e  # commands beside a server
async def test_the_commands(
    server: ChatServer, people: tuple[ChatClient, Watcher], tmp_path: Path
) -> None:
    _, bob = people
    path = tmp_path / "notes.txt"
    path.write_bytes(b"some text")
    secret = tmp_path / "password"
    secret.write_text("a password")
    login = ("--server", server.url, "--password-file", secret, "--user")

    async def run(*arguments: object) -> str:
        result = await asyncio.to_thread(invoke, *arguments)
        assert result.status == 0, result.stderr
        return result.stdout

    send = ("send", *login, "alice", "--to", "bob", "--file", path)
    await run(*send)
    message = await bob.added("")
    await run(*send, "With text")
    lines = await run("history", *login, "bob", "--with", "alice", "--json")
    line = json.loads(lines.splitlines()[0])
    file = {"name": "notes.txt", "size": 9, "mime": "application/octet-stream"}
    assert line["file"] | file == line["file"]
    shown = await run("history", *login, "bob", "--with", "alice")
    assert shown.splitlines()[0].endswith("alice: notes.txt (9 B)")
    assert shown.splitlines()[1].endswith("alice: With text")
    assert shown.splitlines()[2] == "    notes.txt (9 B)"
    to = tmp_path / "saved.txt"
    get = ("get", *login, "bob", "--output", to)
    assert await run(*get, message.id) == f"{to}\n"
    assert to.read_bytes() == b"some text"
    for arguments, text in (
        ((*get, line["file"]["id"]), f"{to} exists: choose another --output"),
        (("get", *login, "bob", "nothing"), "there is no message or file 'nothing' for you"),
    ):
        assert await asyncio.to_thread(refusal, *arguments) == text
