"""The examples of docs/reference/protocol.md, run on socket.io-client 4.8."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.engine.matrix import client_of
from tests.requirements import require_program
from tests.serving import serving

pytestmark = pytest.mark.e2e

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "protocol.md"
PASSWORD = "a good password"
TOLD = ("code", "message", "seq", "sender", "command", "type", "data", "emoji", "on", "removed")
"""Fields of which the examples give the true values. Of others, the type."""


@dataclass
class Example:
    section: str
    language: str
    code: str

    @property
    def answers(self) -> list[Any]:
        """What the comments say that the server answers."""
        return [
            json.loads(re.sub(r"([A-Za-z]+): ", r'"\1": ', comment.replace(", …", ', "…": 0')))
            for comment in re.findall(r"^// (\{.*\})$", self.code, re.MULTILINE)
        ]

    @property
    def objects(self) -> list[Any]:
        """The JSON objects, one after another."""
        found, rest = [], self.code.strip()
        while rest:
            value, end = json.JSONDecoder().raw_decode(rest)
            found.append(value)
            rest = rest[end:].lstrip()
        return found


def examples() -> list[Example]:
    parts = re.split(r"^#+ (.*)$", PAGE.read_text(), flags=re.MULTILINE)
    return [
        Example(section.replace("`", ""), language, code)
        for section, text in zip(parts[1::2], parts[2::2], strict=True)
        for language, code in re.findall(
            r"^```(js|json)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
        )
    ]


def example(section: str, language: str) -> Example:
    return examples_of(section, language)[0]


def examples_of(section: str, language: str) -> list[Example]:
    return [e for e in examples() if (e.section, e.language) == (section, language)]


class Node:
    """Runs code for several people, each with a socket."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._heard: list[tuple[str, dict[str, Any]]] = []
        """Events by user, without those that ``heard`` has returned."""

    async def run(self, user: str, code: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"user": user, "code": "{" + code + "\n}"})
        self._process.stdin.write(line.encode() + b"\n")
        done: dict[str, Any] = json.loads(await self._process.stdout.readline())
        assert "error" not in done, (done, code)
        self._heard += [(name, each) for name, heard in done["heard"].items() for each in heard]
        return done

    async def ask(self, user: str, event: str, **payload: Any) -> Any:
        code = f"await socket.emitWithAck({json.dumps(event)}, {json.dumps(payload)})"
        return (await self.run(user, code))["requests"][0]["answer"]

    async def answered(self, user: str, shown: Example, id: str = "") -> dict[str, Any]:
        """Run an example with this id of a message, compare the answers with its comments, and
        return what happened."""
        code = shown.code.replace('"…"', json.dumps(PASSWORD)).replace('"7-1"', json.dumps(id))
        done = await self.run(user, code)
        answers = [each["answer"] for each in done["requests"]]
        assert [each["code"] for each in answers] == ["200"] * len(answers)
        for told, answer in zip(shown.answers, answers, strict=False):
            compare(told, answer)
        return done

    async def heard(self, user: str, event: str) -> Any:
        """Wait for an event of this name, and return the last one of it. It is forgotten."""
        found: list[Any] = []
        while not found:
            found = [e["payload"] for name, e in self._heard if (name, e["event"]) == (user, event)]
            if not found:
                await self.run(user, f"await heard({json.dumps(event)})")
        self.forget()
        return found[-1]

    def forget(self) -> None:
        """Forget what was heard so far."""
        self._heard.clear()


@asynccontextmanager
async def chatting() -> AsyncIterator[Node]:
    async with serving() as server:
        process = await asyncio.create_subprocess_exec(
            require_program("node", "nodejs"),
            Path(__file__).parent / "examples.cjs",
            client_of("v4"),
            server.url,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        node = Node(process)
        try:
            async with asyncio.timeout(50):
                for id in ("alice", "bob"):
                    answer = await node.ask(id, "login", id=id, password=PASSWORD, protocol=1)
                    assert answer["code"] == "200"
                yield node
        finally:
            process.kill()
            await process.wait()


def compare(told: Any, actual: Any, name: str = "") -> None:
    """The same fields with values of the same types, and the same values where the page can know
    them. A field named … stands for more."""
    assert type(told) is type(actual), (name, told, actual)
    if isinstance(told, dict):
        more = told.pop("…", None) is not None
        assert told.keys() <= actual.keys() if more else told.keys() == actual.keys(), (
            told,
            actual,
        )
        for key, value in told.items():
            compare(value, actual[key], key)
    elif isinstance(told, list):
        for one, other in zip(told, actual, strict=True):
            compare(one, other, name)
    elif name in TOLD:
        assert told == actual, name


async def test_messages_and_their_changes() -> None:
    async with chatting() as node:
        done = await node.answered("alice", example("A first conversation", "js"))
        id = done["requests"][1]["answer"]["id"]
        compare(example("message", "json").objects[0], await node.heard("bob", "message"))

        await node.answered("alice", example("message", "js"))
        reply = await node.heard("bob", "message")
        quote = examples_of("message", "json")[1]
        compare(quote.objects[0], {"replyTo": reply["replyTo"]})

        edited = await node.answered("alice", example("edit", "js"), id)
        reacted = await node.answered("alice", example("react", "js"), id)
        await node.answered("alice", example("reactions", "js"), id)
        conflict = await node.ask("alice", "edit", id=id, data="Hello again", base=None)
        compare(told_of_conflict(), conflict)
        removed = await node.answered("alice", example("remove", "js"), id)

        shown = [
            each["payload"]
            for done in (edited, reacted, removed)
            for each in done["heard"]["alice"]
            if each["event"] == "changed"
        ]
        told = example("changed", "json").objects
        assert [each["rev"] for each in shown] == [1, 2, 3]
        for one, other in zip(told, shown, strict=False):
            compare(one, other)

        own = await node.ask(
            "bob", "message", sender="bob", recepient="alice", command="chat", type="text", data="x"
        )
        assert (await node.ask("alice", "block", id="bob"))["code"] == "200"
        node.forget()
        await node.ask("bob", "edit", id=own["id"], data="y")
        compare(told[3], await node.heard("alice", "changed"))

        page = await node.answered("alice", example("Catching up with changes", "js"))
        (request,) = page["requests"]
        assert (request["answer"]["rev"], request["answer"]["hasMore"]) == (4, False)
        assert [each["rev"] for each in request["answer"]["messages"] if "rev" in each] == [3]
        page = await node.answered("alice", example("history", "js"))
        assert page["requests"][0]["answer"]["messages"] == []


def told_of_conflict() -> Any:
    told = example("Changes of messages", "json").objects[0]
    # The page shows the answer without the reaction of its other examples.
    told["current"] |= {"reactions": [{"emoji": "👍", "count": 1, "by": ["alice"], "mine": True}]}
    told["current"] |= {"clientId": "of the first example"}
    return told


async def test_what_else_is_shown_as_json() -> None:
    async with chatting() as node:
        await node.answered("alice", example("A first conversation", "js"))
        await node.ask("bob", "room", command="create", roomId="secret", roomName="Secret")
        await node.run("alice", "socket.emit('read', {with: '#secret', seq: 1})")
        compare(example("Answers", "json").objects[0], await node.heard("alice", "response"))
        compare(
            example("sessions", "json").objects[0],
            await node.ask("alice", "sessions", revoke="others"),
        )
        await node.ask("bob", "read", **{"with": "alice"}, seq=1)
        compare(
            example("receipt", "json").objects[0] | {"seq": 1}, await node.heard("alice", "receipt")
        )


async def test_rooms_and_their_members() -> None:
    async with chatting() as node:
        listed, told = example("Rooms", "json").objects[0], examples_of("Rooms", "json")[1]
        room = listed["rooms"][0]
        await node.ask("alice", "room", command="create", roomId=room["id"], roomName=room["name"])
        compare(listed, await node.heard("bob", "room"))
        await node.ask("bob", "room", command="join", roomId="r1")
        role = {"command": "role", "roomId": "r1", "user": "bob", "role": "moderator"}
        await node.run("alice", f"await socket.emitWithAck('room', {json.dumps(role)})")
        assert told.objects == [await node.heard("bob", "membership")]
        done = await node.answered("alice", example("Private rooms", "js"))
        made, invited = (each["answer"] for each in done["requests"])
        assert made["roomId"].startswith("private:")
        assert invited["code"] == "200"
        membership = await node.heard("bob", "membership")
        assert membership == {"with": f"#{made['roomId']}", "role": "invited", "by": "alice"}


@pytest.mark.parametrize("shown", examples(), ids=lambda each: f"{each.section}-{each.language}")
async def test_every_example_is_well_formed(shown: Example) -> None:
    if shown.language == "json":
        assert shown.objects
        return
    code = shown.code.replace("=> …", "=> 0")
    script = "new (async function () {}).constructor(require('fs').readFileSync(0, 'utf8'))"
    process = await asyncio.create_subprocess_exec(
        require_program("node", "nodejs"), "-e", script,
        stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, problems = await process.communicate(code.encode())
    assert (process.returncode, problems) == (0, b""), problems.decode()
