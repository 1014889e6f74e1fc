"""Bot: which messages its handlers get, what happens to errors, and what a restart repeats."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pychat.bot import Bot, BotRequest
from pychat.client import ChatClient
from pychat.server.app import ChatServer
from tests.client.watcher import Watcher, started
from tests.serving import serving


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(accounts="open") as server:
        async with ChatClient(server.url, user="ops"):
            pass  # creates the account before anything is said
        yield server


@pytest.fixture
async def alice(server: ChatServer) -> AsyncIterator[Watcher]:
    async with started(ChatClient(server.url, user="alice", password="")) as watcher:
        yield watcher


@asynccontextmanager
async def running(bot: Bot) -> AsyncIterator[None]:
    task = asyncio.create_task(bot.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_commands_and_mentions(server: ChatServer, alice: Watcher) -> None:
    async with ChatClient(server.url, user="ops") as client:
        bot = Bot(client)

        @bot.command("deploy", "ship")
        async def deploy(request: BotRequest) -> str:
            return f"{request.command}: {request.words}"

        @bot.mention
        async def anything(request: BotRequest) -> str:
            return f"what is {request.text!r}?"

        async with running(bot):
            for to, text, answer in (
                ("ops", "deploy web  db", "deploy: ['web', 'db']"),
                ("ops", "!Ship", "ship: []"),
                ("ops", "@ops, deploy web", "deploy: ['web']"),
                ("ops", "hello", "what is 'hello'?"),
                ("ALL", "!deploy all", "deploy: ['all']"),
                ("ALL", "@Ops ship it", "ship: ['it']"),
                ("ALL", "well, @ops?", "what is 'well, @ops?'?"),
            ):
                await alice.client.send(to, text)
                await alice.added(answer)
            before = len(alice.texts)
            for text in ("deploy", "!unknown", "ops", "me@ops", "@opsx hi", "!", "@"):
                await alice.client.send("ALL", text)
            await alice.client.send("ALL", "!deploy last")
            await alice.added("deploy: ['last']")
            assert len([text for text in alice.texts[before:] if text.startswith("what")]) == 0


async def test_an_error_is_logged_and_answered_in_one_line(
    server: ChatServer, alice: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    async with ChatClient(server.url, user="ops") as client:
        bot = Bot(client, timeout=0.01)

        @bot.command("fail")
        async def fail(request: BotRequest) -> None:
            raise KeyError("a secret")

        @bot.command("hang")
        async def hang(request: BotRequest) -> None:
            await asyncio.get_running_loop().create_future()

        @bot.command("huge")
        async def huge(request: BotRequest) -> str:
            return "x" * 100_000

        @bot.command("quiet")
        async def quiet(request: BotRequest) -> None:
            return None

        @bot.command("ping")
        async def ping(request: BotRequest) -> str:
            return "pong"

        async with running(bot):
            with caplog.at_level(logging.CRITICAL):
                for text in ("fail", "hang", "huge", "quiet", "ping"):
                    await alice.client.send("ops", text)
                await alice.added("pong")
    answers = [text for text in alice.texts if text[:5] in ("Sorry", "pong")]
    assert answers == ["Sorry, fail failed.", "Sorry, hang took too long.", "pong"]


async def test_a_command_must_be_new(server: ChatServer) -> None:
    bot = Bot(ChatClient(server.url, user="ops"))

    async def handler(request: BotRequest) -> None: ...

    bot.command("deploy")(handler)
    for name in ("Deploy", "two words", ""):
        with pytest.raises(ValueError, match="a command must be one new word"):
            bot.command(name)(handler)


async def test_handled_again_after_a_crash_but_answered_once(
    server: ChatServer, alice: Watcher
) -> None:
    await alice.client.send("ops", "deploy")
    handled: list[str] = []

    def make(client: ChatClient, *, ends: bool) -> Bot:
        bot = Bot(client)

        @bot.command("deploy")
        async def deploy(request: BotRequest) -> str:
            handled.append(request.message.id)
            await request.answer(f"deploying {len(handled)}")
            if ends:
                await asyncio.get_running_loop().create_future()  # until the process ends
            return "deployed"

        @bot.command("ping")
        async def ping(request: BotRequest) -> str:
            return "pong"

        return bot

    async with ChatClient(server.url, user="ops") as client, running(make(client, ends=True)):
        await alice.added("deploying 1")
    for _ in range(2):  # what is done is not done again
        async with ChatClient(server.url, user="ops") as client, running(make(client, ends=False)):
            await alice.client.send("ops", "ping")
            await alice.added("pong")
    assert len(handled) == 2
    assert handled[0] == handled[1]
    texts = [message.text for message in (await alice.client.history("ops")).messages]
    assert [text for text in texts if text not in ("ping", "pong")] == [
        "deploy",
        "deploying 1",
        "deployed",
    ]


async def test_handled_after_it_was_offline(server: ChatServer, alice: Watcher) -> None:
    for number in range(3):
        await alice.client.send("ops", f"say {number}")
    async with ChatClient(server.url, user="ops") as client:
        bot = Bot(client)

        @bot.command("say")
        async def say(request: BotRequest) -> str:
            return f"said {request.text}"

        async with running(bot):
            await alice.added("said 2")
    assert [text for text in alice.texts if text.startswith("said")] == [
        "said 0",
        "said 1",
        "said 2",
    ]
