"""What a hostile server, or a hostile user of an honest one, puts on the terminal of a command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.cli.invoke import Result, invoke
from tests.client.scripted import DONE, ScriptedServer, scripted

HOSTILE = "\x1b]52;c;AAAA\x07\x9b31m\x7f\u202ered\u2066"


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted() as server:
        yield server


async def run(server: ScriptedServer, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    return await asyncio.to_thread(invoke, *arguments, "--user", "alice", "--server", server.url)


async def test_what_a_server_says_does_not_drive_the_terminal(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["login"] = lambda _: {"code": "401", "message": f"no {HOSTILE}"}
    result = await run(server, "users", monkeypatch=monkeypatch)
    assert (result.status, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: no \\x1b]52;")
    assert all(c.isprintable() for c in result.stderr.removesuffix("\n"))


async def test_a_line_of_json_does_not_drive_the_terminal(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = {"id": "bob", "alias": HOSTILE, "online": True}
    server.answers["users"] = lambda _: {**DONE, "users": [user]}
    line = (await run(server, "users", "--json", monkeypatch=monkeypatch)).stdout
    assert all(c.isprintable() for c in line.removesuffix("\n"))
    assert json.loads(line)["alias"] == HOSTILE
