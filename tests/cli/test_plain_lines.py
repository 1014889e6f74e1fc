"""``connect`` as lines, ``listen`` and ``demo``, in this process against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from pychat.cli.commands.bot import demo_bot
from pychat.cli.commands.demo import play
from pychat.cli.commands.plain import HELP, PlainChat, standard_input
from pychat.cli.commands.reading import print_messages
from pychat.client import ChatClient
from pychat.server.app import ChatServer
from pychat.server.chat.accounts import changes
from pychat.server.chat.accounts.passwords import hash_password
from tests.cli.invoke import refusal
from tests.proxy import Line, proxying
from tests.serving import serving
from tests.turns import turns

Text = pytest.CaptureFixture[str]


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(accounts="open", limits=False) as server:
        yield server


@contextmanager
def descriptor(number: int, replacement: int) -> Iterator[None]:
    """Put another file in the place of a standard stream."""
    kept = os.dup(number)
    os.dup2(replacement, number)
    os.close(replacement)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


async def lines(*given: str) -> AsyncIterator[str]:
    for line in given:
        yield line


async def endless() -> AsyncIterator[str]:
    await asyncio.Event().wait()
    yield ""


async def shown(text: Text, part: str) -> str:
    """Wait until this is printed, and return all that was printed until then."""
    printed = ""
    async with asyncio.timeout(10):
        while part not in printed:
            await turns()
            printed += "".join(text.readouterr())
    return printed


async def test_commands_choose_the_conversation_of_later_lines(
    server: ChatServer, capsys: Text
) -> None:
    async with (
        ChatClient(server.url, user="alice", password="") as alice,
        ChatClient(server.url, user="bob", password="") as bob,
    ):
        chat = PlainChat(alice, "bob")
        await chat.run(
            lines(
                *("one", "//two", " ", "/create #r", "three", "/leave r", "lost", "/join r", "4"),
                *("/join #", "/msg", "/help", "/msg bob five", "six", "/leave #r", "seven"),
                *("/msg nobody hello", "/quit", "never"),
            )
        )
        assert chat.refused == [7, 10, 11, 17]
        page = await bob.history("alice")
        assert [each.text for each in page.messages] == ["one", "/two", "five", "six", "seven"]
    notes = capsys.readouterr().err
    assert notes.splitlines()[:6] == [
        "Writing to #r.",
        "Left #r.",
        "No conversation is selected: type /msg NAME, or use --with NAME.",
        "Writing to #r.",
        "Name a room: /join #ROOM.",
        "Unknown command /msg. Type /help for help.",
    ]
    assert HELP in notes
    assert "Refused: " in notes


@pytest.mark.parametrize("interactive", [True, False])
async def test_messages_count_as_read_only_if_a_person_reads(
    server: ChatServer, capsys: Text, monkeypatch: pytest.MonkeyPatch, interactive: bool
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: interactive))
    async with (
        ChatClient(server.url, user="alice", password="") as alice,
        ChatClient(server.url, user="bob", password="") as bob,
    ):
        running = asyncio.create_task(PlainChat(alice, None).run(endless()))
        await bob.send("alice", "hello")
        printed = await shown(capsys, "bob: hello")
        await turns()
        assert ("as alice. Type /help for help." in printed) is interactive
        conversation = alice.conversation("bob")
        assert conversation is not None
        assert conversation.read_seq == int(interactive)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_lost_connection_is_noted_and_a_refused_login_ends_the_chat(
    capsys: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.01)
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_BASE", 0.02)
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_MAX", 0.1)
    async with serving() as server, proxying(server.port) as line:
        await server.store.create_account("alice", "alice", hash_password("a password"), 0)
        async with ChatClient(line.url, user="alice", password="a password") as alice:
            running = asyncio.create_task(PlainChat(alice, None).run(endless()))
            await turns()
            line.line = Line.DOWN
            assert "Reconnecting." in await shown(capsys, "Offline: ")
            line.line = Line.OPEN
            await shown(capsys, "Online again.")
            account = await server.store.account("alice")
            assert account is not None
            await server.store.update_account(account.key, disabled=True)
            with pytest.raises(click.ClickException, match="disabled"):
                await asyncio.wait_for(running, 10)


async def test_standard_input_is_read_as_lines() -> None:
    reading, writing = os.pipe()
    with descriptor(0, reading):
        os.write(writing, "één\r\n\ntw".encode())
        os.write(writing, b"o\xff\nthree")
        os.close(writing)
        assert [line async for line in standard_input()] == ["één", "", "two\ufffd", "three"]


def test_lines_after_the_end_of_the_chat_are_dropped_without_a_warning() -> None:
    async def first() -> str:
        return await anext(standard_input())

    reading, writing = os.pipe()
    with descriptor(0, reading), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        os.write(writing, b"one\n")
        assert asyncio.run(first()) == "one"
        os.write(writing, b"two\n")
        os.close(writing)
        for thread in threading.enumerate():
            if thread.name == "pychat-standard-input":
                thread.join(10)
    assert [str(each.message) for each in warned] == []


async def test_standard_input_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with (
        descriptor(0, os.open(tmp_path, os.O_RDONLY)),
        pytest.raises(click.ClickException, match="cannot read standard input: Is a directory"),
    ):
        assert [line async for line in standard_input()] == []


async def test_listen_prints_json_and_moves_the_delivered_cursor(
    server: ChatServer, capsys: Text
) -> None:
    async with (
        ChatClient(server.url, user="alice", password="") as alice,
        ChatClient(server.url, user="bob", password="") as bob,
    ):
        for text in ("one", "two", "three"):
            await bob.send("alice", text)
        await print_messages(alice, 2)
        conversation = alice.conversation("bob")
        assert conversation is not None
        assert (conversation.delivered_seq, conversation.read_seq) == (2, 0)
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["with"], each["seq"], each["data"]) for each in printed] == [
        ("bob", 1, "one"),
        ("bob", 2, "two"),
    ]


async def test_listen_ends_when_its_reader_goes_while_nothing_arrives(server: ChatServer) -> None:
    async with ChatClient(server.url, user="alice", password="") as alice:
        reading, writing = os.pipe()
        with descriptor(1, writing):
            listening = asyncio.create_task(print_messages(alice, None))
            await turns()
            assert not listening.done()
            os.close(reading)
            with pytest.raises(BrokenPipeError):
                await asyncio.wait_for(listening, 10)


async def test_the_demo_greets_and_answers(capsys: Text, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pychat.cli.commands.bot.demo_bot", partial(demo_bot, pause=0))
    # The greeting names the command as it was started: not the one that started this test.
    monkeypatch.setattr("sys.argv", ["pychat"])
    reading, writing = os.pipe()
    with descriptor(0, reading):
        demo = asyncio.create_task(play(0, "guest"))
        printed = await shown(capsys, "pychat connect")
        assert "The page is at http://127.0.0.1:" in printed
        os.write(writing, b"good evening\n/nonsense\n")
        await shown(capsys, "You said: good evening")
        os.close(writing)
        assert await asyncio.wait_for(demo, 10) == 1


def test_a_demo_that_cannot_begin_says_why() -> None:
    assert refusal("demo", "--user", "ALL", status=2).startswith("--user")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert port in refusal("demo", "--port", port)
