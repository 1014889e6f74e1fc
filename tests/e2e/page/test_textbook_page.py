"""The textbook's page, unchanged, with its own Socket.IO 1.x client, beside pychat's page."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, expect

from pychat.server.app import ChatServer
from tests.e2e.page.chatpage import TIMEOUT_MS, ChatPage
from tests.requirements import require_program
from tests.server.chat.peers import Peer
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]

SOURCE = Path(__file__).parent.parent / "textbook_page"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page and its client, as somebody would put them on a web server."""
    client = SOURCE / "node_modules" / "socket.io-client" / "dist" / "socket.io.js"
    if not client.exists():
        npm = require_program("npm")
        subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit"], cwd=SOURCE, check=True)
    folder = tmp_path_factory.mktemp("textbook")
    shutil.copy(client, folder)
    shutil.copy(SOURCE / "index.html", folder)
    return folder


@asynccontextmanager
async def another_web_server(folder: Path) -> AsyncIterator[str]:
    """That folder on a port, so an origin, of its own."""
    app = web.Application()
    app.router.add_static("/", folder)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class TextbookPage:
    """The page as its user works it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    async def open(cls, browser: Browser | BrowserContext, address: str, port: int) -> TextbookPage:
        page = await browser.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        await page.goto(address)
        await page.fill("#hostInput", "127.0.0.1")
        await page.fill("#portInput", str(port))
        await page.click("#connectButton")
        textbook = cls(page)
        await textbook.sees("connected to the web socket server")
        return textbook

    async def log_in(self, user: str) -> None:
        await self.page.fill("#idInput", user)
        await self.page.fill("#passwordInput", f"secret of {user}")
        await self.page.fill("#aliasInput", user.title())
        await self.page.fill("#todayInput", "fine")
        await self.page.click("#loginButton")
        await self.sees("response: login, 200")
        await self.page.fill("#senderInput", user)

    async def write(self, to: str, text: str, command: str = "chat") -> None:
        await self.page.fill("#recepientInput", to)
        await self.page.select_option("#chattype", command)
        await self.page.fill("#dataInput", text)
        await self.page.click("#sendButton")

    async def room(self, command: str, room: str, name: str = "") -> None:
        await self.page.fill("#roomIdInput", room)
        await self.page.fill("#roomNameInput", name)
        await self.page.click(f"#{command}RoomButton")

    async def sees(self, line: str, times: int = 1) -> None:
        await expect(self.page.locator("#result p").filter(has_text=line)).to_have_count(times)


async def exchange(browser: Browser, address: str, server_url: str, port: int) -> None:
    """One to one, to all and in a room: the textbook's page and pychat's, both ways."""
    old = await TextbookPage.open(browser, address, port)
    await old.log_in("test01")
    new = await ChatPage.logged_in(browser, server_url, "bob")

    await old.write("bob", "안녕! from the textbook 👋 ünïcode")
    await old.sees("response: message, 200")
    await new.row("Test01").click()
    await expect(new.message("안녕! from the textbook 👋 ünïcode")).to_be_visible()
    await expect(new.page.locator("#chat-title")).to_have_text("Test01")
    await new.write("좋아요 🎉 back")
    await old.sees("received: bob, test01, chat, text, 좋아요 🎉 back")
    await new.expect_state("좋아요 🎉 back", "delivered")

    await old.write("ALL", "to all from the textbook")
    await old.sees("received: test01, ALL, chat, text, to all from the textbook")
    await new.row("Everyone").click()
    await expect(new.message("to all from the textbook")).to_be_visible()
    await new.write("to all from the page")
    await old.sees("received: bob, ALL, chat, text, to all from the page")

    await old.room("create", "room01", "The first room")
    await expect(old.page.locator("#roomList")).to_contain_text("room01, The first room, test01")
    hits = await new.find("first room")
    await hits.filter(has_text="The first room").click()
    # It is joined first: until then what is written goes to the conversation that is open.
    await expect(new.page.locator("#chat-title")).to_have_text("The first room")
    await new.write("in the room")
    await old.sees("received: bob, room01, groupchat, text, in the room")
    await old.write("room01", "welcome", "groupchat")
    await expect(new.message("welcome")).to_be_visible()

    await old.write("nobody99", "is there anybody?")
    await old.sees("response: login, 404")
    await old.sees("disconnected", times=0)
    assert new.problems == []
    await old.page.context.close()
    await new.close()


async def test_from_another_origin(browser: Browser, folder: Path) -> None:
    async with another_web_server(folder) as origin, serving(cors_origins=[origin]) as server:
        await exchange(browser, f"{origin}/index.html", server.url, server.port)


async def test_from_public(browser: Browser, folder: Path) -> None:
    async with serving(public=folder) as server:
        await exchange(browser, f"{server.url}/public/index.html", server.url, server.port)


async def test_without_a_login_where_accounts_are_open(browser: Browser, folder: Path) -> None:
    """The textbook's second page has no login: it writes to ALL and gets an echo."""
    async with serving(public=folder, accounts="open") as server:
        address = f"{server.url}/public/index.html"
        page = await TextbookPage.open(browser, address, server.port)
        await page.page.fill("#senderInput", "test01")
        await page.write("ALL", "안녕!")
        await page.sees("received: test01, ALL, chat, text, 안녕!")
        await page.sees("response:", times=0)
        await page.page.context.close()


# The page writes each message to the console: what its handler was given outlives the page.
RECORD = """(() => {
  const page = Math.random();
  let number = 0;
  console.log = (text) => localStorage.setItem(`${page} ${number++}`, JSON.parse(text).data);
})()"""
LOST = """(written) => {
  const shown = new Set(Object.values(localStorage));
  return written.filter((text) => !shown.has(text));
}"""
STAYS = 3.0
"""Seconds: some messages are proven when the page is left, some are not."""


async def leave(how: str, old: TextbookPage) -> None:
    if how == "disconnect":
        await old.page.evaluate("() => socket.disconnect()")
    elif how == "go elsewhere":
        await old.page.goto("about:blank")
    else:
        await old.page.close()


@asynccontextmanager
async def writing(server: ChatServer, ids: Sequence[str]) -> AsyncIterator[list[str]]:
    """Somebody writes to them in turn, until the end; what was written so far."""
    written: list[str] = []
    over = asyncio.Event()

    async def write() -> None:
        async with Peer(server, "writer") as writer:
            while not over.is_set():
                text = f"text {len(written)}"
                for id in ids:
                    assert (await writer.send(id, text))["code"] in ("200", "202")
                written.append(text)
                await asyncio.sleep(0.02)

    task = asyncio.create_task(write())
    yield written
    over.set()
    await task


async def test_nothing_is_lost_when_the_page_is_left(browser: Browser, folder: Path) -> None:
    ways = {"close": "alice", "disconnect": "bob", "go elsewhere": "carol"}
    async with serving(public=folder, limits=False) as server:
        address = f"{server.url}/public/index.html"
        contexts = {how: await browser.new_context() for how in ways}

        async def open_page(how: str) -> TextbookPage:
            page = await TextbookPage.open(contexts[how], address, server.port)
            await page.log_in(ways[how])
            return page

        for context in contexts.values():
            await context.add_init_script(RECORD)
        pages = {how: await open_page(how) for how in ways}
        async with writing(server, list(ways.values())) as written:
            await asyncio.sleep(STAYS)
            await asyncio.gather(*(leave(how, page) for how, page in pages.items()))
            pages = {how: await open_page(how) for how in ways}
        for how, new in pages.items():
            for _ in range(100):
                lost = await new.page.evaluate(LOST, written)
                if not lost:
                    break
                await asyncio.sleep(0.1)
            assert not lost, how
        for context in contexts.values():
            await context.close()


async def test_an_origin_that_was_not_allowed_gets_no_connection(
    browser: Browser, folder: Path
) -> None:
    async with another_web_server(folder) as origin, serving() as server:
        page = await browser.new_page()
        await page.goto(f"{origin}/index.html")
        await page.fill("#hostInput", "127.0.0.1")
        await page.fill("#portInput", str(server.port))
        async with page.expect_event("requestfailed"):
            await page.click("#connectButton")
        await expect(page.locator("#result")).not_to_contain_text("connected to")
        await page.context.close()
