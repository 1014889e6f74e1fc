"""Programs and names in docs/reference/library.md."""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import pytest
import socketio
from aiohttp import web

import pychat.client
import pychat.server
from pychat.bot import Bot, BotRequest
from pychat.client import ChatClient, events, models
from tests.client.watcher import started
from tests.serving import serving

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "library.md"


def program(heading: str) -> str:
    """Return the code block under a heading."""
    _, _, section = PAGE.read_text().partition(f"# {heading}\n")
    section, _, _ = section.partition("\n#")
    _, fence, rest = section.partition("```python\n")
    assert fence, f"no program under {heading!r}"
    return rest.partition("```")[0]


@asynccontextmanager
async def running(source: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        source,
        cwd=folder,
        env={"PYTHONPATH": str(PAGE.parents[2])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        output, errors = await process.communicate()
        print(output.decode(), errors.decode())


@pytest.mark.e2e  # starts processes
@pytest.mark.timeout(300)  # seven programs start one after the other
async def test_the_bot_answers_and_the_other_programs_run(tmp_path: Path) -> None:
    async with (
        serving() as server,
        started(ChatClient(server.url, user="dora", password="d password")) as dora,
    ):

        def here(heading: str) -> str:
            return re.sub(r"(http://)?127\.0\.0\.1:3000", server.url, program(heading))

        async with ChatClient(server.url, user="echo", password="4 echoes"):
            pass  # creates the account before the bot runs
        async with ChatClient(server.url, user="ops", password="4 operations"):
            pass
        await dora.client.send("echo", "hello")
        await dora.client.send("ops", "hello")
        async with running(here("A bot"), tmp_path) as bot:
            await dora.added("You said: hello")

            async with running(here("A bot with commands"), tmp_path):
                await dora.added("I know one command: deploy NAME")
                await dora.client.send("ops", "deploy web")
                await dora.added("dora: web is deployed.")

            async with running(here("Ask and send"), tmp_path) as asking:
                output, errors = await asking.communicate()
                assert (asking.returncode, errors) == (0, b"")
                lines = output.decode().splitlines()
                assert lines[0] == "stored as number 1"
                assert "reporter How are you?" in lines
                assert "echo online" in lines

            async with running(here("A front end"), tmp_path) as front_end:
                output, errors = await front_end.communicate()
                assert (front_end.returncode, errors) == (0, b"")
                assert "echo You said: Written at once" in output.decode()

            wrong = here("A front end").replace("for frida", "not frida")
            async with running(wrong, tmp_path) as front_end:
                output, errors = await asyncio.wait_for(front_end.communicate(), 60)
                assert (front_end.returncode, errors) == (0, b"")
                assert "refused wrong id or password" in output.decode()

            bot.send_signal(signal.SIGINT)
            assert await bot.communicate() == (b"", b"")
            assert bot.returncode == 130

        async with running(here("A bot").replace("4 echoes", "5 echoes"), tmp_path) as bot:
            assert await bot.communicate() == (b"", b"wrong id or password\n")
            assert bot.returncode == 1


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_the_chat_inside_an_aiohttp_application() -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(program("Inside an aiohttp application"), PAGE, "exec"), names)
    async with (
        served(names["make_app"]("memory:")) as address,
        ChatClient(address, user="alice", password="a password") as alice,
    ):
        assert (await alice.send("alice", "it works")).seq == 1


async def test_the_chat_alone_can_be_created() -> None:
    exec(compile(program("Alone"), PAGE, "exec"), {"__name__": "example"})


async def test_connection_state_recovery() -> None:
    exec(compile(program("Connection state recovery"), PAGE, "exec"), {"__name__": "example"})


async def test_socketio_without_the_chat() -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(program("AsyncServer"), PAGE, "exec"), names)
    async with served(names["make_app"]()) as address:
        client = socketio.AsyncClient(handle_sigint=False)
        await client.connect(address, transports=["websocket"])
        assert await client.call("greet", "Ada", timeout=60) == "Hello, Ada"
        await client.disconnect()


RECORDS = [
    models.MessageInfo,
    models.ConversationInfo,
    models.UserInfo,
    models.RoomInfo,
    models.HistoryPage,
    models.SearchPage,
    models.DeviceInfo,
    models.Status,
]


def names_of_the_api() -> set[str]:
    """Return all classes, arguments, methods, properties, fields and states."""
    names = {"cache_locked", *pychat.__all__, *pychat.client.__all__, *pychat.server.__all__}
    for each in (ChatClient, pychat.ChatServer, Bot, BotRequest):
        names |= {name for name in dir(each) if not name.startswith("_")}
        names |= set(inspect.signature(each).parameters)
    for record in (*RECORDS, *get_args(events.ClientEvent)):
        names |= {record.__name__, *record.__struct_fields__}
    for state in (models.ConnectionState, models.DeliveryStatus):
        names |= {state.__name__, *state.__members__}
    return names


def test_the_page_names_every_public_name() -> None:
    quoted = " ".join(re.findall(r"`([^`\n]+)`", PAGE.read_text()))
    words = set(re.findall(r"\w+", quoted))
    assert names_of_the_api() - words == set()


def test_the_version() -> None:
    assert pychat.__version__ == importlib.metadata.version("pychat-socketio")
