"""Older history: scrolled to, searched for, always whole, and the view stands still."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from pychat.client import ChatClient
from pychat.server.app import ChatServer
from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]

MESSAGES = 180

TOP_OF = """text => {
    const nodes = [...document.querySelectorAll('.message')];
    return nodes.find(node => node.querySelector('.text').textContent === text)
        .getBoundingClientRect().top;
}"""


async def tell_a_lot(browser: Browser, server: ChatServer) -> ChatPage:
    """Alice, to whom bob has written `line 1` to `line 180`; she has not looked yet."""
    async with (
        ChatClient(server.url, user="alice", password="secret of alice"),
        ChatClient(server.url, user="bob", password="secret of bob") as bob,
    ):
        for number in range(1, MESSAGES + 1):
            await bob.send("alice", f"line {number}")
    return await ChatPage.logged_in(browser, server.url, "alice")


async def test_scrolling_up_fetches_all_and_keeps_the_view(browser: Browser) -> None:
    async with serving(limits=False) as server:
        alice = await tell_a_lot(browser, server)
        await expect(alice.row("bob").locator(".badge")).to_contain_text("99+")
        await alice.row("bob").click()
        await expect(alice.message(f"line {MESSAGES}")).to_have_count(1)
        log = alice.page.locator("#log")
        await log.evaluate("log => log.scrollTop = log.scrollHeight")
        await expect(alice.page).to_have_title("bob · pychat")

        loaded = await alice.page.locator(".message").count()
        assert loaded < MESSAGES
        while loaded < MESSAGES:
            first = (await alice.texts())[0]
            await log.evaluate("log => log.scrollTop = 40")
            before = await alice.page.evaluate(TOP_OF, first)
            await expect(alice.page.locator(".message").nth(loaded)).to_be_attached()
            after = await alice.page.evaluate(TOP_OF, first)
            assert abs(after - before) <= 1, f"{first} moved by {after - before} px"
            loaded = await alice.page.locator(".message").count()
        assert await alice.texts() == [f"line {number}" for number in range(1, MESSAGES + 1)]
        await expect(alice.page.get_by_text("beginning of your conversation")).to_be_attached()

        # A message that comes while one reads above does not pull the view down.
        await log.evaluate("log => log.scrollTop = 300")
        before = await alice.page.evaluate(TOP_OF, "line 8")
        bob = await ChatPage.logged_in(browser, server.url, "bob")
        await bob.begin("alice")
        await bob.write("news")
        await expect(alice.page.locator("#jump-count")).to_have_text("1")
        assert abs(await alice.page.evaluate(TOP_OF, "line 8") - before) <= 1
        await bob.expect_state("news", "delivered")
        await alice.page.get_by_label("Go to the newest message").click()
        await bob.expect_state("news", "read")
        await bob.close()
        await alice.close()


async def test_a_search_leads_to_the_message_and_back(browser: Browser) -> None:
    async with serving(limits=False) as server:
        alice = await tell_a_lot(browser, server)
        hits = await alice.find("line 12")
        await hits.filter(has_text="bob: line 12").last.click()
        found = alice.page.locator(".message.found")
        await expect(found).to_be_in_viewport()
        await expect(found).to_contain_text("line 12")
        await expect(alice.page.locator("#jump-count")).to_have_text(str(MESSAGES))
        await alice.page.get_by_label("Go to the newest message").click()
        await expect(alice.message(f"line {MESSAGES}")).to_be_in_viewport()
        await expect(alice.page).to_have_title("bob · pychat")
        await alice.close()
