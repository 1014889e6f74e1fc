"""The programs of the tutorial do what its pages say."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import expect

from pychat.client import ChatClient
from tests.client.watcher import started
from tests.e2e.browser import chromium
from tests.e2e.checkout import ROOT
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def program(page: str, mark: str) -> str:
    """The one program of a page that has this text."""
    text = (ROOT / "docs" / "tutorial" / page).read_text("utf-8")
    [found] = [
        each for each in re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S) if mark in each
    ]
    return found


@asynccontextmanager
async def running(source: str, folder: Path) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)  # Ctrl+C
        await process.wait()


async def test_the_bot(tmp_path: Path) -> None:
    source = program("first-bot.md", "bot.run()")
    joining = program("first-bot.md", "join_room")
    async with (
        serving() as server,
        started(ChatClient(server.url, user="dora", password="d password")) as dora,
    ):
        source = source.replace("http://127.0.0.1:3000", server.url)
        async with ChatClient(server.url, user="shopping", password="4 brown eggs"):
            pass
        async with running(source, tmp_path):
            for text, answer in (
                ("list", "The list is empty."),
                ("add milk", "1 on the list."),
                ("list", "- milk"),
            ):
                await dora.client.send("shopping", text)
                await dora.added(answer)
        await dora.client.create_room("garden", "Garden")
        await dora.client.send("shopping", "add butter")
        assert "        bot = Bot(client)\n" in source
        source = source.replace(
            "        bot = Bot(client)\n", f"        {joining}        bot = Bot(client)\n"
        )
        async with running(source, tmp_path):
            await dora.added("1 on the list.")
            await dora.client.send("#garden", "!list")
            await dora.added("- butter")


async def test_the_application(tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "app"}
    exec(compile(program("aiohttp.md", "make_app"), "aiohttp.md", "exec"), names)
    runner = web.AppRunner(names["make_app"]("memory:"), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with chromium() as browser:
            pages = [await browser.new_page() for _ in range(2)]
            for page in pages:
                await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}")
                await expect(page.locator("#greet")).to_be_enabled()
            await pages[0].click("#greet")
            for page in pages:
                await expect(page.get_by_text("Hello")).to_be_visible()
    finally:
        await runner.cleanup()
