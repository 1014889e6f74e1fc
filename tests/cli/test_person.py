"""``pychat user export``: what the server has of a person."""

from __future__ import annotations

import asyncio
import json
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pychat.client import ChatClient, LoginRefused
from tests.cli.invoke import invoke, refusal
from tests.serving import serving


def exported(file: Path) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """The lines, and the contents of the files by id."""
    with tarfile.open(file) as archive:
        contents = {
            member.name: content.read()
            for member in archive
            if (content := archive.extractfile(member)) is not None
        }
    lines = contents.pop("export.jsonl").decode()
    assert "$argon2" not in lines
    return [json.loads(line) for line in lines.splitlines()], {
        name.removeprefix("files/"): content for name, content in contents.items()
    }


async def test_a_person_gets_what_is_theirs(tmp_path: Path) -> None:
    store, file = f"sqlite:///{tmp_path}/chat.db", tmp_path / "alice.tar"
    (tmp_path / "note.txt").write_text("the content")
    async with (
        serving(store) as server,
        ChatClient(server.url, user="alice", password="a good password", alias="Alice L.") as alice,
        ChatClient(server.url, user="bob", password="a good password") as bob,
        ChatClient(server.url, user="carol", password="a good password") as carol,
    ):
        await bob.create_room("tea", "Tea")
        await alice.join_room("tea")
        await alice.send("#tea", "said in a room")
        await alice.leave_room("tea")
        asked = await bob.send("alice", "a question of bob")
        await alice.react(asked.id, "👍")
        answer = await alice.send("bob", "an answer", reply_to=asked.seq)
        await alice.edit(answer.id, "a better answer")
        await alice.send("bob", "a file", file=tmp_path / "note.txt")
        await alice.remove(await alice.send("bob", "said too much"))
        await carol.send("bob", "none of alice's business")
        await alice.block("carol")
        arguments = ("user", "export", "--store", store, "Alice", file)
        result = await asyncio.to_thread(invoke, *arguments)
    assert result.status == 0
    assert "Exported alice: 4 messages, 1 reactions, 1 files." in result.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    lines, files = exported(file)
    text = json.dumps(lines)
    assert "question" not in text
    assert "business" not in text
    [account] = [each for each in lines if each["type"] == "account"]
    assert (account["id"], account["alias"], account["blocked"]) == ("alice", "Alice L.", ["carol"])
    assert len(account["devices"]) == 1
    assert not {"passwordHash", "tokenHash", "sessions"} & set(account)
    conversations = {each["name"]: each for each in lines if each["type"] == "conversation"}
    assert set(conversations) == {"ALL", "bob"}
    messages = [each for each in lines if each["type"] == "message"]
    assert {(each["conversation"], each["text"]) for each in messages} == {
        ("#tea", "said in a room"),
        ("bob", "a better answer"),
        ("bob", "a file"),
        ("bob", ""),
    }
    [edited] = [each for each in messages if "editedAt" in each]
    assert edited["replyTo"] == asked.seq
    assert edited["sentAt"].endswith("Z")
    [with_file] = [each for each in messages if "file" in each]
    assert files == {with_file["file"]["id"]: b"the content"}
    [reaction] = [each for each in lines if each["type"] == "reaction"]
    assert reaction == {"type": "reaction", "conversation": "bob", "seq": asked.seq, "emoji": "👍"}


async def test_the_owner_of_a_room(tmp_path: Path) -> None:
    store, file = f"sqlite:///{tmp_path}/chat.db", tmp_path / "bob.tar"
    async with (
        serving(store) as server,
        ChatClient(server.url, user="bob", password="a good password") as bob,
    ):
        await bob.create_room("tea", "Tea")
    assert (await asyncio.to_thread(invoke, "user", "export", "--store", store, "bob", file))[
        0
    ] == 0
    [room] = [each for each in exported(file)[0] if each.get("name") == "#tea"]
    assert (room["title"], room["role"], room["notify"]) == ("Tea", "owner", "all")


@pytest.mark.parametrize(
    ("id", "name", "problem"),
    [("nobody", "new.tar", "there is no account nobody"), ("bob", "old.tar", "already exists")],
)
async def test_nothing_is_written_by_mistake(
    tmp_path: Path, id: str, name: str, problem: str
) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with serving(store) as server, ChatClient(server.url, user="bob", password="a password"):
        pass
    (tmp_path / "old.tar").write_text("kept")
    said = await asyncio.to_thread(refusal, "user", "export", "--store", store, id, tmp_path / name)
    assert problem in said
    assert not (tmp_path / "new.tar").exists()
    assert (tmp_path / "old.tar").read_text() == "kept"


def everything_in(folder: Path) -> bytes:
    """The store and its files."""
    files = [path for path in folder.rglob("*") if "chat.db" in str(path) and path.is_file()]
    return b"".join(path.read_bytes() for path in files)


async def test_a_person_is_erased(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    (tmp_path / "note.txt").write_text("the content")
    passwords: dict[str, Any] = {"password": "a good password"}
    async with (
        serving(store) as server,
        ChatClient(server.url, user="alice", **passwords, alias="Wonderland") as alice,
        ChatClient(server.url, user="bob", **passwords) as bob,
    ):
        await alice.create_room("tea", "Tea")
        await bob.send("alice", "a question")
        await alice.send("bob", "an unmistakable answer")
        await alice.send("bob", "a file", file=tmp_path / "note.txt")
        command = ("user", "erase", "--store", store, "alice")
        assert "add --yes" in await asyncio.to_thread(refusal, *command, status=2)
        assert "in use" in await asyncio.to_thread(refusal, *command, "--yes")
        command = (*command, "--yes")
    assert "owns #tea" in await asyncio.to_thread(refusal, *command)
    async with serving(store) as server, ChatClient(server.url, user="alice", **passwords) as alice:
        await alice.delete_room("tea")
    result = await asyncio.to_thread(invoke, *command)
    assert (result.status, result.stderr) == (0, "Erased alice: 2 messages, 0 reactions.\n")

    content = await asyncio.to_thread(everything_in, tmp_path)
    assert b"a question" in content
    # Single words may stay in the search index (docs/explanation/security.md).
    assert b"unmistakable answer" not in content
    assert b"the content" not in content
    async with serving(store) as server, ChatClient(server.url, user="bob", **passwords) as bob:
        page = await bob.history("alice")
        assert [message.text for message in page.messages] == ["a question", "", ""]
        assert await bob.users("alice") == []
        with pytest.raises(LoginRefused):
            async with ChatClient(server.url, user="alice", **passwords):
                pass
