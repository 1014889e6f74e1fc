"""The server goes and comes back: everybody finds it by themselves, nothing is lost or doubled."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pychat.cli.commands.reading import newest
from pychat.client import ChatClient
from pychat.client.events import StatusChanged
from pychat.client.models import ConnectionState
from tests.e2e.jsclient import JavaScriptClient, install
from tests.processes import PYCHAT, Serving

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("jsclient"))


def message(text: str) -> Any:
    return lambda heard: heard.get("event") == "message" and heard["payload"]["data"] == text


def logged_in(heard: dict[str, Any]) -> bool:
    return heard.get("login") == "200"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_both_come_back_by_themselves(
    tmp_path: Path, modules: Path, end: signal.Signals
) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    server = Serving("--store", store)
    with JavaScriptClient(modules, server.url, "bob") as bob:
        await bob.until(logged_in)
        async with ChatClient(server.url, user="alice", password="password of alice") as alice:
            events = alice.events()
            await alice.send("bob", "before")
            await bob.until(message("before"))
            bob.emit(
                "message", sender="bob", recepient="alice", command="chat", type="text", data="hi"
            )
            heard = await bob.until(lambda heard: "answer" in heard)
            assert heard["answer"]["code"] == "200"

            status = server.stop(end)
            assert status == (0 if end is signal.SIGTERM else -signal.SIGKILL)
            await bob.until(lambda heard: "disconnect" in heard)
            async for event in events:
                if (
                    isinstance(event, StatusChanged)
                    and event.status.state is ConnectionState.OFFLINE
                ):
                    break
            alice.post("bob", "in between")

            with Serving("--store", store, port=server.port):
                await bob.until(message("in between"))
                await alice.send("bob", "after")
                await bob.until(message("after"))
                page = await alice.history("bob")
    assert [each.text for each in page.messages] == ["before", "hi", "in between", "after"]
    assert [each.seq for each in page.messages] == [1, 2, 3, 4]
    texts = [each["payload"]["data"] for each in bob.heard if each.get("event") == "message"]
    if end is signal.SIGKILL:
        # An original client is sent again what it had not shown to have received.
        texts = list(dict.fromkeys(texts))
    assert texts == ["before", "in between", "after"]


async def test_a_stream_of_lines_survives_kills(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    server = Serving("--store", store)
    port, url = server.port, server.url
    async with ChatClient(url, user="bob", password="password of bob") as bob:
        arriving = bob.messages()
        sent = [f"line {number}" for number in range(300)]
        lines = tmp_path / "lines.txt"
        lines.write_text("\n".join(sent))
        with lines.open() as input:
            writer = await asyncio.create_subprocess_exec(
                *(*PYCHAT, "connect", "--user", "alice", "--with", "bob", "--server", url),
                stdin=input,
                env={**os.environ, "PYCHAT_PASSWORD": "password of alice"},
            )
        got: list[str] = []
        async for each in arriving:
            got.append(each.text)
            if len(got) in (50, 150):
                server.stop(signal.SIGKILL)
                server = Serving("--store", store, port=port)
            if len(got) == len(sent):
                break
        assert await writer.wait() == 0
        assert got == sent
        seqs = [each.seq for each in await newest(bob, "alice", 2 * len(sent))]
        assert seqs == list(range(1, len(sent) + 1))
    server.stop()
