"""What the page shows has no violation of WCAG 2.2 A and AA that axe finds."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from pychat.client import ChatClient
from tests.e2e.page.chatpage import ChatPage
from tests.e2e.page.test_files import given, png
from tests.requirements import require_program
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]

HERE = Path(__file__).parent / "axe"
CHECK = """async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    const { violations } = await axe.run(document, { runOnly: tags });
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}"""


@cache
def axe() -> str:
    """The script, installed from its lock file."""
    script = HERE / "node_modules" / "axe-core" / "axe.min.js"
    lock, stamp = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        npm = require_program("npm")
        subprocess.run([npm, "ci", "--ignore-scripts"], cwd=HERE, check=True, capture_output=True)
    return script.read_text("utf-8")


async def check(page: Page, state: str) -> None:
    """Light and dark, on a phone and on a desk."""
    for width, height in ((360, 740), (1440, 900)):
        await page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # a Literal
            found: list[Any] = await page.evaluate(CHECK)
            assert found == [], f"{state}, {width} px, {scheme}"


async def test_the_states_of_the_page(browser: Browser) -> None:
    async with (
        serving() as server,
        ChatClient(server.url, user="bob", password="secret of bob", alias="Robert B.") as bob,
    ):
        await bob.create_room("r", "The room")
        alice = await ChatPage.open(browser, server.url)
        page, keys = alice.page, alice.page.keyboard
        await page.evaluate(axe())
        await expect(page.get_by_label("Id", exact=True)).to_be_focused()
        await check(page, "log in")
        await page.get_by_role("button", name="Create an account").click()
        await check(page, "create an account")
        await page.get_by_role("button", name="Log in instead").click()
        await alice.log_in("alice")
        await check(page, "the list")
        await (await alice.find("The room")).filter(has_text="The room").first.click()
        await alice.write("Hello @bob\n> a quote\n- a list\n`code` https://example.org/")
        first = await bob.send("#r", "@alice hello")
        await bob.react(first.id, "👍")
        await bob.send("#r", "an answer", reply_to=first.seq)
        await page.locator("#attach-files").set_input_files(
            [given("a.png", "image/png", png(64, 48)), given("b.txt", "text/plain", b"b")]
        )
        await expect(page.locator(".attachment progress")).to_have_count(0)
        await check(page, "files to send")
        await alice.write("with files")
        await expect(page.locator(".message .picture, .message .file")).to_have_count(2)
        message = page.locator(".message", has_text="an answer")
        await message.focus()
        await expect(page.get_by_role("toolbar")).to_be_visible()
        await check(page, "a message with its actions")
        await keys.press("Enter")
        await check(page, "the actions in words")
        await keys.press("Escape")
        await message.press("+")
        await check(page, "the emoji")
        await keys.press("Escape")
        await message.press("r")
        await alice.composer.press_sequentially("@")
        await expect(page.get_by_role("option")).to_have_count(1)
        await check(page, "an answer with a suggestion")
        await keys.press("Escape")
        await page.get_by_role("button", name="Show a.png").click()
        await check(page, "a picture")
        await keys.press("Escape")
        await page.get_by_role("button", name="Members", exact=True).click()
        await expect(page.locator(".member")).to_have_count(2)
        await check(page, "the members")
        await page.locator(".member").first.click()
        await check(page, "a member")
        assert alice.problems == []
        await alice.close()
