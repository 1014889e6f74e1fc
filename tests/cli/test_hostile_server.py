"""What a hostile server, or a hostile user of an honest one, puts on the terminal of a command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pychat.cli.commands.people import print_people
from pychat.cli.output.results import print_table
from pychat.client.models import UserInfo
from tests.cli.invoke import Result, invoke
from tests.client.scripted import DONE, ScriptedServer, message, scripted

HOSTILE = "\x1b]52;c;AAAA\x07\x9b31m\x7f\u202ered\u2066\r\n\u2028\u200f\x00\x85"


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted() as server:
        yield server


async def run(server: ScriptedServer, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    command = (*arguments, "--user", "alice", "--server", server.url)
    async with asyncio.timeout(60):
        return await asyncio.to_thread(invoke, *command)


def drives_nothing(output: str) -> bool:
    """Whether it is lines of what can be seen, tabs between."""
    return all(c.isprintable() or c in "\n\t" for c in output)


async def test_what_a_server_says_does_not_drive_the_terminal(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["login"] = lambda _: {"code": "401", "message": f"no {HOSTILE}"}
    result = await run(server, "users", monkeypatch=monkeypatch)
    assert (result.status, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: no \\x1b]52;")
    assert result.stderr.count("\n") == 1
    assert drives_nothing(result.stderr)


async def test_a_line_of_json_does_not_drive_the_terminal(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = {"id": "bob", "alias": HOSTILE, "online": True}
    server.answers["users"] = lambda _: {**DONE, "users": [user]}
    lines = (await run(server, "users", "--json", monkeypatch=monkeypatch)).stdout
    assert lines.count("\n") == 1
    assert drives_nothing(lines)
    assert json.loads(lines)["alias"] == HOSTILE


COMMANDS = [
    ["users"],
    ["users", "--json"],
    ["room", "list"],
    ["room", "list", "--json"],
    ["room", "create", "den"],
    ["room", "join", "den"],
    ["room", "leave", "den"],
    ["room", "create", "--private", "--name", "Den"],
    ["room", "members", "den"],
    ["room", "members", "--json", "den"],
    ["room", "topic", "den", "hi"],
    ["history", "--with", "bob"],
    ["history", "--with", "bob", "--json"],
    ["listen", "--count", "1"],
    ["send", "--to", "bob", "hi"],
    ["send", "--to", "bob", "--reply", "1-2", "hi"],
    ["edit", "1-2", "hi"],
    ["react", "1-2", "👍"],
    ["react", "--off", "1-2", "👍"],
    ["remove", "1-2"],
    ["connect", "--plain", "--with", "bob"],
]
LINES = ["hi", "/join den", "/leave den", "/create den", "/nonsense"]


@pytest.fixture(autouse=True)
def typed(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines for --plain, which goes on until what was said by others is on the screen."""

    async def lines() -> AsyncIterator[str]:
        for line in LINES:
            yield line
        async with asyncio.timeout(10):
            while server.stored and not server.payloads("delivered"):  # noqa: ASYNC110 - other loop
                await asyncio.sleep(0.01)

    monkeypatch.setattr("pychat.cli.commands.plain.standard_input", lines)


def full_of_harm(server: ScriptedServer) -> None:
    """Every text of every answer."""
    login = server.answers["login"]
    told = f"account alice created: {HOSTILE}"
    said = {"id": "alice", "alias": HOSTILE, "message": told, "created": True}
    server.answers["login"] = lambda request: login(request) | said
    server.stored += [
        message(1, HOSTILE, id=HOSTILE, clientId=HOSTILE, sentAt=HOSTILE),
        message(
            2,
            HOSTILE,
            recepient=HOSTILE,
            command=HOSTILE,
            type=HOSTILE,
            rev=3,
            edited=HOSTILE,
            replyTo={"seq": 1, "sender": HOSTILE, "data": HOSTILE},
            reactions=[
                {"emoji": emoji, "count": 2, "by": [HOSTILE]}
                for emoji in (HOSTILE, "👍" + HOSTILE, "\u202e", "👍")
            ],
        ),
    ]
    room = {"id": HOSTILE, "name": HOSTILE, "owner": HOSTILE, "member": True}
    server.answers["room"] = lambda _: {"code": "200", "message": HOSTILE, "rooms": [room]}
    user = {"id": HOSTILE, "alias": HOSTILE, "online": True}
    server.answers["users"] = lambda _: {"code": "200", "message": HOSTILE, "users": [user]}
    sent = {"code": "202", "message": HOSTILE, "id": HOSTILE, "seq": 3, "sentAt": HOSTILE}
    server.answers["message"] = lambda _: sent
    changed = {"id": HOSTILE, "seq": 2, "rev": 4, "edited": HOSTILE}
    for event in ("edit", "react", "remove", "delivered", "read"):
        server.answers[event] = lambda _: {"code": "200", "message": HOSTILE, **changed}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_no_text_of_an_answer_drives_the_terminal(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    full_of_harm(server)
    result = await run(server, *command, monkeypatch=monkeypatch)
    assert drives_nothing(result.stdout), ascii(result.stdout)
    assert drives_nothing(result.stderr), ascii(result.stderr)
    assert "account alice created" in result.stderr
    assert "Traceback" not in result.stderr
    assert "fault in pychat" not in result.stderr
    if command == ["history", "--with", "bob"]:
        assert "\n    > ]52;c;AAAA31mred" in result.stdout
        assert "\n    👍 2\n" in result.stdout
    if "--plain" in command:
        assert result.stdout.count("red") >= 2
        assert "Unknown command" in result.stderr


REFUSALS: list[dict[str, Any]] = [
    {"code": "403", "message": f"id: must {HOSTILE}"},
    {"code": HOSTILE, "message": ""},
    {"code": HOSTILE, "message": HOSTILE},
    {"code": "404", "message": HOSTILE * 10_000},
    {"code": "200", "message": HOSTILE, HOSTILE: HOSTILE},
    {"code": "409", "message": HOSTILE, "current": message(2, HOSTILE, edited=HOSTILE, rev=9)},
]


@pytest.mark.parametrize(
    "refusal", REFUSALS, ids=["field", "code", "both", "long", "odd", "conflict"]
)
@pytest.mark.parametrize("command", [c for c in COMMANDS if "--json" not in c], ids=" ".join)
async def test_no_refusal_drives_the_terminal(
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    refusal: dict[str, Any],
) -> None:
    events = ["users", "room", "message", "edit", "react", "remove", "delivered", "read"]
    # Without its list, a command would wait for the messages that the list speaks of.
    events += ["history"] if command[0] == "history" else []
    for event in events:
        server.answers[event] = lambda _: refusal
    if command[0] == "listen":
        server.answers["login"] = lambda _: refusal
    result = await run(server, *command, monkeypatch=monkeypatch)
    assert drives_nothing(result.stdout), ascii(result.stdout)
    assert drives_nothing(result.stderr), ascii(result.stderr)
    assert all(len(line) < 1_200 for line in result.stderr.splitlines())
    assert "Traceback" not in result.stderr
    assert "fault in pychat" not in result.stderr
    if refusal["code"] != "200":
        assert result.status == 1


def test_tables_do_not_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_people([UserInfo(HOSTILE, HOSTILE, True)])
    print_table(("id", "name"), [(HOSTILE, HOSTILE)])
    printed = capsys.readouterr().out
    assert drives_nothing(printed), ascii(printed)


async def test_a_connection_that_breaks_says_why_in_harmless_words(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = {"code": "503", "message": HOSTILE, "retryAfter": 0.01}
    server.answers["login"] = lambda _: away
    result = await run(server, "users", monkeypatch=monkeypatch)
    assert result.status == 1
    assert result.stderr.startswith("Error: \\x1b]52")
    assert drives_nothing(result.stderr)


@pytest.mark.parametrize(
    "command", [["edit", "1-1", "hi"], ["react", "1-1", "👍"], ["remove", "1-1"]]
)
async def test_a_change_that_is_never_answered_ends_with_one_line(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr("pychat.cli.commands.writing.ANSWER_TIMEOUT", 0.3)
    server.answers[command[0]] = lambda _: {"code": "503", "message": "later", "retryAfter": 60}
    result = await run(server, *command, monkeypatch=monkeypatch)
    assert (result.status, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "has not answered for" in result.stderr
