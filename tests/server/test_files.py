"""Files: uploads and downloads over real HTTP, and the messages that they are attached to."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from pychat.server import ChatServer
from pychat.server.chat.events import files as file_access
from pychat.server.files import routes
from pychat.server.files.sniffing import sniffed
from pychat.server.store import StoreError
from pychat.server.store.sqlite import blobs
from pychat.server.store.sqlite.file.backup import back_up, restore
from pychat.server.store.transfer.lines import decode_lines
from pychat.visible import file_name, file_size
from tests.cli.invoke import invoke, refusal
from tests.server.chat.peers import OriginalPage, Peer
from tests.serving import serving

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


class Uploader:
    """Two people who are logged in, and requests with their tokens."""

    def __init__(self, server: ChatServer, http: aiohttp.ClientSession, folder: Path) -> None:
        self.server = server
        self.http = http
        self.folder = folder / "chat.db-files"
        self.alice, self.bob = Peer(server), Peer(server)
        self.tokens: dict[str, str] = {}

    async def log_in(self, peer: Peer, id: str) -> None:
        peer.id = id
        self.tokens[id] = (await peer.login())["token"]

    def bearer(self, id: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[id]}"}

    async def upload(
        self, data: Any = PNG, name: str = "cat.png", by: str = "alice", **query: Any
    ) -> tuple[int, Any]:
        async with self.http.post(
            f"{self.server.url}/files",
            params={"name": name, **query},
            data=data,
            headers=self.bearer(by),
        ) as response:
            if response.status == 201:
                return 201, await response.json()
            return response.status, await response.text()

    async def get(self, file: str, by: str = "bob", **headers: str) -> aiohttp.ClientResponse:
        url = f"{self.server.url}/files/{file}/x"
        response = await self.http.get(url, headers=self.bearer(by) | headers)
        await response.read()
        return response

    def stored(self) -> list[str]:
        """The files on disk."""
        return sorted(os.listdir(self.folder)) if self.folder.exists() else []


@pytest.fixture
async def chat(tmp_path: Path, http: aiohttp.ClientSession) -> AsyncIterator[Uploader]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            serving(
                f"sqlite:///{tmp_path}/chat.db",
                public_url="https://chat.example/app/",
                max_file_bytes=1_000_000,
                file_quota=2_000_000,
            )
        )
        chat = Uploader(server, http, tmp_path)
        for peer, id in ((chat.alice, "alice"), (chat.bob, "bob")):
            await stack.enter_async_context(peer)
            await chat.log_in(peer, id)
        yield chat


async def test_from_upload_to_removal(chat: Uploader) -> None:
    status, file = await chat.upload(width=640, height=480, blurhash="LEHV6nWB2yk8")
    assert status == 201
    assert file == {
        "id": file["id"],
        "name": "cat.png",
        "size": len(PNG),
        "mime": "image/png",
        "width": 640,
        "height": 480,
        "blurhash": "LEHV6nWB2yk8",
    }
    assert chat.stored() == [file["id"]]
    assert (chat.folder / file["id"]).stat().st_mode & 0o777 == 0o600
    # Only the uploader can read it, or attach it, and only once.
    assert (await chat.get(file["id"])).status == 404
    assert (await chat.bob.send("alice", "mine", file=file["id"]))["code"] == "404"
    sent = chat.alice.message("bob", "", file=file["id"])
    answer = await chat.alice.ask("message", sent)
    assert answer["code"] == "200", answer
    assert (await chat.bob.next("message"))["file"] == file
    assert (await chat.alice.ask("message", sent))["id"] == answer["id"]
    assert (await chat.alice.send("bob", "again", file=file["id"]))["code"] == "404"
    for reader in (chat.alice, chat.bob):
        name = "bob" if reader is chat.alice else "alice"
        (message,) = (await reader.ask("history", {"with": name}))["messages"]
        assert (message["data"], message["file"]) == ("", file)
    response = await chat.get(file["id"])
    assert (response.status, await response.read()) == (200, PNG)
    expected = {
        "Content-Type": "image/png",
        "Content-Disposition": "inline; filename=\"cat.png\"; filename*=UTF-8''cat.png",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "private, no-cache",
    }
    assert expected.items() <= response.headers.items()
    assert "sandbox" in response.headers["Content-Security-Policy"]
    await chat.bob.ask("remove", {"id": answer["id"]})  # not allowed
    assert (await chat.get(file["id"])).status == 200
    assert (await chat.alice.ask("remove", {"id": answer["id"]}))["code"] == "200"
    assert chat.stored() == []
    assert (await chat.get(file["id"])).status == 404
    (message,) = (await chat.bob.ask("history", {"with": "alice"}))["messages"]
    assert message == {"id": answer["id"], "seq": 1, "removed": True, "rev": 1}


async def test_ranges_and_what_has_not_changed(chat: Uploader) -> None:
    _, file = await chat.upload()
    id = file["id"]
    for asked, range, content in (
        ("bytes=0-9", f"bytes 0-9/{len(PNG)}", PNG[:10]),
        ("bytes=100-", f"bytes 100-{len(PNG) - 1}/{len(PNG)}", PNG[100:]),
        ("bytes=-7", f"bytes {len(PNG) - 7}-{len(PNG) - 1}/{len(PNG)}", PNG[-7:]),
    ):
        part = await chat.get(id, "alice", Range=asked)
        assert (part.status, part.headers["Content-Range"]) == (206, range)
        assert await part.read() == content
    beyond = await chat.get(id, "alice", Range=f"bytes={len(PNG)}-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{len(PNG)}")
    for ignored in ("bytes=0-1,5-6", "lines=1-2", "bytes=x"):
        assert (await chat.get(id, "alice", Range=ignored)).status == 200
    tag = {"If-Range": '"other"', "Range": "bytes=0-9"}
    assert (await chat.get(id, "alice", **tag)).status == 200
    assert (await chat.get(id, "alice", **{"If-None-Match": f'"{id}"'})).status == 304
    async with chat.http.head(
        f"{chat.server.url}/files/{id}", headers=chat.bearer("alice")
    ) as response:
        assert (response.status, response.content_length) == (200, len(PNG))


async def test_links(chat: Uploader) -> None:
    """A link is one account's, and is worth no more than the account."""
    await chat.alice.ask("room", {"command": "create", "roomId": "art", "roomName": "Art"})
    await chat.bob.ask("room", {"command": "join", "roomId": "art"})
    _, file = await chat.upload(name="한국어 100%.txt", data=b"text")
    await chat.alice.send("art", "look", "groupchat", file=file["id"])
    link = (await chat.bob.ask("fileLink", {"id": file["id"]}))["url"]
    assert link.startswith(f"files/{file['id']}/%ED%95%9C%EA%B5%AD%EC%96%B4%20100%25.txt?")

    async def status(link: str) -> int:
        async with chat.http.get(f"{chat.server.url}/{link}") as response:
            return response.status

    assert await status(link) == 200
    async with chat.http.get(f"{chat.server.url}/{link}") as response:
        assert response.headers["Content-Disposition"] == (
            'attachment; filename="___ 100_.txt";'
            " filename*=UTF-8''%ED%95%9C%EA%B5%AD%EC%96%B4%20100%25.txt"
        )
        assert response.content_type == "application/octet-stream"
    path, _, query = link.partition("?")
    fields = dict(field.split("=") for field in query.split("&"))
    for changed in (
        {"by": "1"},
        {"until": str(int(fields["until"]) + 1)},
        {"until": "1"},
        {"sign": fields["sign"][:-2]},
        {"sign": "é"},
    ):
        wrong = "&".join(f"{name}={value}" for name, value in (fields | changed).items())
        assert await status(f"{path}?{wrong}") == 403
    assert await status(f"{path}?by=x&until=1&sign=1") == 400
    assert await status(path) == 401
    await chat.bob.ask("room", {"command": "leave", "roomId": "art"})
    assert await status(link) == 404
    await chat.bob.ask("room", {"command": "join", "roomId": "art"})
    # Only messages from now on.
    assert await status(link) == 404
    assert (await chat.bob.ask("fileLink", {"id": file["id"]}))["code"] == "404"
    assert (await chat.bob.ask("fileLink", {"id": "x"}))["code"] == "404"


async def test_a_block_hides_files(chat: Uploader) -> None:
    _, file = await chat.upload()
    await chat.alice.send("bob", "look", file=file["id"])
    assert (await chat.get(file["id"])).status == 200
    await chat.bob.ask("block", {"id": "alice"})
    assert (await chat.get(file["id"])).status == 404


async def test_original_clients_get_text_with_a_link(chat: Uploader) -> None:
    async with OriginalPage(chat.server, "carol") as carol:
        _, file = await chat.upload(name="old cat.png")
        await chat.alice.send("carol", "Look:", file=file["id"])
        message = await carol.next("message")
        text, _, line = message["data"].partition("\n")
        assert (text, "file" in message) == ("Look:", False)
        start = "old cat.png (10 kB) https://chat.example/app/files/"
        assert line.startswith(start)
        url = urlsplit(line.split()[-1])
        path = url.path.removeprefix("/app")
        async with chat.http.get(f"{chat.server.url}{path}?{url.query}") as response:
            assert await response.read() == PNG
        _, file = await chat.upload(by="bob")
        await chat.bob.send("ALL", "", file=file["id"])
        assert (await carol.next("message"))["data"].startswith("cat.png (10 kB) https://")
    await chat.alice.gone_offline("carol")
    _, file = await chat.upload(name="missed.png")
    await chat.alice.send("carol", "", file=file["id"])
    async with OriginalPage(chat.server, "carol") as carol:
        while not (data := (await carol.next("message"))["data"]).startswith("missed.png"):
            pass
        assert data.startswith("missed.png (10 kB) https://chat.example/app/files/")


async def test_what_is_refused(chat: Uploader, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one line, and nothing is left behind."""

    async def endless() -> AsyncIterator[bytes]:
        yield b"x"

    for arguments, status, text in (
        ({"data": b""}, 400, "400: an empty file cannot be sent"),
        ({"data": endless()}, 400, "400: Content-Length: is missing"),
        ({"data": b"x" * 1_000_001}, 413, "413: a file may have at most 1.0 MB"),
        ({"width": 0}, 400, "400: width: must be from 1 to 1000000"),
        ({"height": "x"}, 400, "400: height: must be a number"),
        ({"blurhash": "\n"}, 400, "400: blurhash: must have at most 100 characters of ASCII"),
    ):
        assert await chat.upload(**arguments) == (status, text + "\n")
    chat.tokens["mallory"] = "x"
    assert (await chat.upload(by="mallory"))[0] == 401
    for _ in range(2):
        assert (await chat.upload(b"x" * 800_000))[0] == 201
    status, text = await chat.upload(b"x" * 800_000)
    assert (status, text.split(":")[1]) == (413, " your files would have more than 2.0 MB")
    assert (await chat.upload(b"x" * 800_000, by="bob"))[0] == 201
    monkeypatch.setattr(blobs, "RESERVE", 1 << 62)
    full = (507, "507: the server has no space for files: tell its operator\n")
    assert await chat.upload(b"x") == full
    monkeypatch.undo()

    def disk_is_full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_is_full)
    assert await chat.upload(b"x") == full
    monkeypatch.undo()
    assert len(chat.stored()) == 3
    # What no message came for.
    monkeypatch.setattr(file_access, "UNATTACHED_MS", -1)
    await chat.server._chat.expire_files()
    assert chat.stored() == []


async def test_uploads_that_stop_half_way(chat: Uploader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time; what does not arrive completely or in time is removed."""
    host, port = "127.0.0.1", chat.server.port
    head = (
        f"POST /files?name=x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 900000\r\n"
        f"Authorization: Bearer {chat.tokens['alice']}\r\n\r\n"
    ).encode()
    writers = []
    for _ in range(2):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(head + b"x" * 500_000)
        writers.append(writer)
    while len(chat.stored()) < 2:
        await chat.alice.settle()
    status, text = await chat.upload()
    assert (status, text) == (
        429,
        "429: you are already uploading 2 files: wait for one to end\n",
    )
    for writer in writers:
        writer.transport.abort()
    while chat.stored():
        await chat.alice.settle()
    assert (await chat.upload())[0] == 201
    monkeypatch.setattr(routes, "PORTION_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(head + b"x" * 300_000)
    assert await reader.readline() == b"HTTP/1.1 400 Bad Request\r\n"
    assert b"the file comes too slowly" in await reader.readuntil(b" s\n")
    writer.close()
    assert len(chat.stored()) == 1


async def test_a_refused_file_is_not_sent(chat: Uploader) -> None:
    """A client that expects 100-continue is answered before it sends the file."""
    for token, answer in (
        ("x", b"HTTP/1.1 401 Unauthorized\r\n"),
        (chat.tokens["alice"], b"HTTP/1.1 100 Continue\r\n"),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", chat.server.port)
        writer.write(
            b"POST /files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n"
            b"Expect: 100-continue\r\nAuthorization: Bearer " + token.encode() + b"\r\n\r\n"
        )
        assert await reader.readline() == answer
        if b"100" in answer:
            writer.write(b"abc")
            assert await reader.readline() == b"\r\n"
            assert await reader.readline() == b"HTTP/1.1 201 Created\r\n"
        writer.close()


async def test_a_start_removes_what_a_crash_has_left(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with serving(store) as server, Peer(server) as alice:
        chat = Uploader(server, http, tmp_path)
        await chat.log_in(alice, "alice")
        _, file = await chat.upload()
        await alice.send("alice", "", file=file["id"])
    (chat.folder / ("a" * 32)).write_bytes(b"x")
    (chat.folder / f"{'b' * 32}.part").write_bytes(b"x")
    async with serving(store) as server:
        assert chat.stored() == [file["id"]]
        assert await server.store.check() == []
        (chat.folder / file["id"]).unlink()
        assert await server.store.check() == [f"1 files are missing in {chat.folder}"]
        chat.server = server
        assert (await chat.get(file["id"], "alice")).status == 404


async def test_backups_have_the_files(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    database, backup = tmp_path / "chat.db", tmp_path / "backup.db"
    store = f"sqlite:///{database}"
    async with serving(store) as server, Peer(server) as alice:
        chat = Uploader(server, http, tmp_path)
        await chat.log_in(alice, "alice")
        _, file = await chat.upload()
        sent = await alice.send("alice", "", file=file["id"])
        await asyncio.to_thread(back_up, database, backup, lambda copied: None)
        assert os.listdir(tmp_path / "backup.db-files") == [file["id"]]
        await alice.ask("remove", {"id": sent["id"]})
        _, later = await chat.upload()
        await alice.send("alice", "later", file=later["id"])
    kept = restore(backup, database, lambda copied: None)
    async with serving(store) as server:
        chat.server = server
        assert await server.store.check() == []
        assert await (await chat.get(file["id"], "alice")).read() == PNG
        assert (await chat.get(later["id"], "alice")).status == 404
    assert os.listdir(f"{kept}-files") == [later["id"]]
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


async def test_exports_have_the_files(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    store, copy = f"sqlite:///{tmp_path}/chat.db", f"sqlite:///{tmp_path}/copy.db"
    tar = tmp_path / "chat.tar"
    async with serving(store) as server, Peer(server) as alice:
        chat = Uploader(server, http, tmp_path)
        await chat.log_in(alice, "alice")
        _, file = await chat.upload(width=3, height=4, blurhash="LEHV6nWB2yk8")
        await alice.send("alice", "with a text", file=file["id"])
        _, lost = await chat.upload(name="lost.png")
        await alice.send("alice", "", file=lost["id"])
        await chat.upload(name="not attached")
        (chat.folder / lost["id"]).unlink()
    made = await asyncio.to_thread(invoke, "export", "--store", store, tar)
    assert made.stderr == (
        "Exported 1 accounts, 2 conversations and 2 messages, with 1 files (a tar archive).\n"
    )
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(tar.read_bytes()[:-15_000])
    broken = ("import", "--store", f"sqlite:///{tmp_path}/broken.db", damaged)
    line = await asyncio.to_thread(refusal, *broken)
    assert line == "this is a damaged tar archive: unexpected end of data"
    for _ in range(2):  # a second time, it finds everything
        result = await asyncio.to_thread(invoke, "import", "--store", copy, tar)
        assert result.status == 0, result.stderr
    async with serving(copy) as server, Peer(server) as alice:
        chat.server = server
        await chat.log_in(alice, "alice")
        messages = (await alice.ask("history", {"with": "alice"}))["messages"]
        assert [message["data"] for message in messages] == ["with a text", "lost.png (10 kB)"]
        assert messages[0]["file"] == file
        assert await (await chat.get(file["id"], "alice")).read() == PNG
        assert await server.store.check() == []


FILE_LINE = {"id": "0" * 32, "name": "x", "size": 1, "mime": "image/png", "createdAt": 1}


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"name": "../x"}, "the name of a file is not safe"),
        ({"mime": "text/html"}, "the type of a file is not one that the server gives"),
        ({"id": "../x"}, "matching regex"),
        ({"size": -1}, "`int` >= 1"),
        ({"blurhash": "\n"}, "a blurhash must be ASCII"),
    ],
)
def test_lines_of_files_are_checked(changed: dict[str, Any], text: str) -> None:
    message = {"type": "message", "seq": 1, "sender": "a", "clientId": None, "sentAt": 1}
    account = {"type": "account", "id": "a", "alias": "", "passwordHash": None, "disabled": False}
    lines = [
        {"type": "pychat", "version": 1},
        account | {"createdAt": 1, "lastSeenAt": None, "sessions": [], "blocked": []},
        {"type": "conversation", "kind": "everyone", "members": []},
        message | {"data": "", "file": FILE_LINE | changed},
    ]
    with pytest.raises(StoreError, match=text):
        list(decode_lines(json.dumps(line).encode() + b"\n" for line in lines))


async def test_in_memory(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with serving("memory:") as server, Peer(server) as alice:
        chat = Uploader(server, http, tmp_path)
        await chat.log_in(alice, "alice")
        _, file = await chat.upload()
        sent = await alice.send("alice", "", file=file["id"])
        assert (await alice.send("alice", "", file=file["id"]))["code"] == "404"
        assert await (await chat.get(file["id"], "alice")).read() == PNG
        await alice.ask("remove", {"id": sent["id"]})
        assert (await chat.get(file["id"], "alice")).status == 404
        assert await server.store.file(file["id"]) is None


async def test_open_accounts_have_no_files(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with serving("memory:", accounts="open") as server:
        chat = Uploader(server, http, tmp_path)
        chat.tokens["alice"] = ""
        status, text = await chat.upload()
        assert (status, text[:35]) == (403, "403: with open accounts nobody can ")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cat.png", "cat.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\system.ini", "system.ini"),
        (".bashrc", "bashrc"),
        ("a\x00b\n\x1b[31mc.txt", "ab [31mc.txt"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("\u200b", "file"),
        ("..", "file"),
        ("", "file"),
        ("a/", "file"),
        ("con.txt", "_con.txt"),
        ('a"b<c>|?*:.txt', "a_b_c_____.txt"),
        ("x" * 300 + ".tar.gz", "x" * 97 + ".gz"),
        ("가" * 300 + ".png", "가" * 65 + ".png"),
        ("name. . ", "name"),
    ],
)
def test_names_are_safe(name: str, safe: str) -> None:
    assert file_name(name) == safe
    assert file_name(safe) == safe


def test_sizes() -> None:
    sizes = [1, 999, 1000, 9_949, 10_240, 999_400, 999_600, 25_000_000, 3 * 10**9]
    assert [file_size(size) for size in sizes] == [
        *("1 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB", "25 MB", "3.0 GB")
    ]


@pytest.mark.parametrize(
    ("start", "mime"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0 ftypavif", "image/avif"),
        (b"\0\0\0 ftypisom", "video/mp4"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90\x00", "audio/mpeg"),
        (b"OggS\0\x02", "application/ogg"),
        (b"<svg xmlns=", "application/octet-stream"),
        (b"%PDF-1.7", "application/octet-stream"),
        (b"<!DOCTYPE html>", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_types(start: bytes, mime: str) -> None:
    assert sniffed(start) == mime
