"""Each program in examples/ runs as its first lines say."""

from __future__ import annotations

import asyncio
import os
import runpy
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import expect

from pychat.client import ChatClient
from pychat.client.models import ConnectionState
from pychat.server.app import ChatServer
from tests.client.watcher import started
from tests.e2e.browser import chromium
from tests.examples.ircserver import irc_server
from tests.processes import run_pychat
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

EXAMPLES = Path(__file__).parents[2] / "examples"


@asynccontextmanager
async def running(
    name: str, *arguments: str, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program of examples/, ended at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        *arguments,
        env=os.environ | environment,
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


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode()


async def create_accounts(server: ChatServer, **passwords: str) -> None:
    for user, password in passwords.items():
        async with ChatClient(server.url, user=user, password=password):
            pass


async def test_the_bot_answers() -> None:
    async with (
        serving() as server,
        started(ChatClient(server.url, user="dora", password="d password")) as dora,
    ):
        environment = {"PYCHAT_SERVER": server.url, "PYCHAT_PASSWORD": "4 green parrots"}
        async with running("bot.py", **environment) as bot:
            assert "parrot is online" in await line_of(bot)
            await dora.client.send("parrot", "choose tea")
            await dora.added("tea")
            await dora.client.send("parrot", "roll 3d1")
            await dora.added("🎲 1 + 1 + 1 = 3")
            await dora.client.send("parrot", "roll everything")
            await dora.added("Write it as `roll 2d6`: up to 10 dice.")


@pytest.mark.parametrize(
    ("code", "status", "posted"),
    [
        ("print('fine')", 0, "passed in"),
        ("print('broken'); raise SystemExit(3)", 3, "```\nbroken\n```"),
    ],
)
async def test_the_notifier_posts_the_result_of_a_command(
    tmp_path: Path, code: str, status: int, posted: str
) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with (
        serving(store) as server,
        started(ChatClient(server.url, user="dora", password="d password")) as dora,
    ):
        await dora.client.create_room("builds", "Builds")
        hook = await asyncio.to_thread(
            run_pychat, "hook", "add", "#builds", "--as", "CI", "--store", store
        )
        path = hook.stdout.split()[-1]
        environment = {"PYCHAT_HOOK": f"{server.url}{path}"}
        async with running("ci_notifier.py", sys.executable, "-c", code, **environment) as notifier:
            output, errors = await notifier.communicate()
            assert (notifier.returncode, errors) == (status, b"")
            assert output.decode().strip() in ("fine", "broken")
        page = await dora.client.history("#builds")
        assert [message.sender for message in page.messages] == ["CI"]
        assert posted in page.messages[0].text


async def test_the_bridge_connects_a_room_with_a_channel() -> None:
    async with (
        serving() as server,
        irc_server() as irc,
        started(ChatClient(server.url, user="dora", password="d password")) as dora,
    ):
        await dora.client.create_room("python", "Python")
        await create_accounts(server, irc="4 long bridges")
        arguments = ("#python", "127.0.0.1", str(irc.port), "#py")
        environment = {"PYCHAT_SERVER": server.url, "PYCHAT_PASSWORD": "4 long bridges"}
        async with running("irc_bridge.py", *arguments, **environment) as bridge:
            assert "#python is connected with #py" in await line_of(bridge)
            channel = await irc.joined.get()
            assert await irc.said.get() == "PONG :token"
            channel.write(b":guido!g@host PRIVMSG #PY :\x02hello\x02 \x0304from IRC\r\n")
            channel.write(b":guido!g@host PRIVMSG irc :in private\r\n")
            await dora.added("<guido> hello from IRC")
            # A line break must not become a command of the bridge.
            await dora.client.send("#python", "two lines\r\nQUIT :" + "ü" * 300)
            lines = [await irc.said.get() for _ in range(3)]
            assert lines == [
                "PRIVMSG #py :<dora> two lines",
                "PRIVMSG #py :<dora> QUIT :" + "ü" * 197,
                "PRIVMSG #py :<dora> " + "ü" * 103,
            ]


async def test_the_load_generator_measures() -> None:
    async with serving(limits=False) as server:
        arguments = ["--server", server.url, "--clients", "4", "--rate", "20", "--seconds", "0.5"]
        async with running("load.py", *arguments) as load:
            output, errors = await load.communicate()
            assert (load.returncode, errors) == (0, b"")
            lines = output.decode().splitlines()
            assert lines[0].startswith("4 clients, 20 messages in ")
            assert [line.split()[0] for line in lines[1:]] == ["ms", "stored", "received"]


async def test_a_page_of_an_application_with_its_own_accounts() -> None:
    names: dict[str, Any] = runpy.run_path(str(EXAMPLES / "own_accounts" / "app.py"))
    runner = web.AppRunner(names["make_app"]("memory:"), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession() as http, chromium() as browser:
            assert (await http.post(f"{url}/chat-token")).status == 403
            wrong = await http.post(f"{url}/login", data={"id": "ada", "password": "wrong"})
            assert wrong.status == 403
            ada, alan = await browser.new_page(), await (await browser.new_context()).new_page()
            for page, id, password in (
                (ada, "ada", "first program"),
                (alan, "alan", "imitation game"),
            ):
                await page.goto(url)
                await page.get_by_label("Id").fill(id)
                await page.get_by_label("Password").fill(password)
                await page.get_by_role("button").click()
                await expect(page.get_by_role("heading")).to_have_text("Everyone")
            await expect(ada.get_by_role("button")).to_be_enabled()
            await ada.get_by_label("Message").fill("Hello <b>all</b>")
            await ada.get_by_role("button").click()
            for page in (ada, alan):
                await expect(page.get_by_text("ada: Hello <b>all</b>")).to_be_visible()
            await alan.reload()
            await expect(alan.get_by_text("ada: Hello <b>all</b>")).to_be_visible()
    finally:
        await runner.cleanup()


async def test_the_textbooks_page_without_node() -> None:
    async with running("textbook/server.py", "0") as server, chromium() as browser:
        address = (await line_of(server)).split()[-1]
        page = await browser.new_page()
        await page.goto(address)
        await page.fill("#idInput", "ada")
        await page.fill("#passwordInput", "a good password")
        await page.click("#loginButton")
        await expect(page.get_by_text("login: 200 ")).to_be_visible()
        url = address.removesuffix("/public/index.html")
        async with started(ChatClient(url, user="dora", password="d password")) as dora:
            await dora.state(ConnectionState.ONLINE)
            await page.fill("#recepientInput", "dora")
            await page.fill("#dataInput", "Hello")
            await page.click("#sendButton")
            await dora.added("Hello")
            await dora.client.send("ada", "Welcome")
            await expect(page.get_by_text("dora: Welcome")).to_be_visible()
