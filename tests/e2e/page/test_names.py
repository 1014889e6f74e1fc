"""Who somebody is: no alias passes for another's id, for the reader or for Everyone."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from pychat.client import ChatClient
from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


async def test_an_alias_that_is_another_word_stands_beside_the_id(browser: Browser) -> None:
    async with serving() as server:
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        announcer = alice.page.locator("#announcer")
        bob = ChatClient(server.url, user="bob", password="secret of bob", alias="Bob")
        eve = ChatClient(server.url, user="eve2", password="secret of eve", alias="bob")
        async with bob, eve:
            await bob.send("alice", "from the true one")
            await eve.send("alice", "from the false one")
            names = alice.page.locator("#conversations .name")
            await expect(names).to_have_text(["bob eve2", "Bob", "Everyone"])
            await bob.send("ALL", "true to all")
            await eve.send("ALL", "false to all")
            await expect(announcer).to_have_text("New message from bob (eve2) in Everyone")

            await expect(alice.row("Everyone").locator(".preview")).to_have_text(
                "bob (eve2): false to all"
            )
            # The exact id is first, though the other one has written later.
            hits = await alice.find("bob")
            await expect(hits.locator(".name").first).to_have_text("Bob")
            await alice.page.keyboard.press("Enter")
            await expect(alice.message("from the true one")).to_be_visible()
            await expect(alice.page.locator("#chat-title")).to_have_text("Bob")

            await alice.row("bob eve2").click()
            await expect(alice.page.locator("#chat-title")).to_have_text("bob eve2")
            await expect(alice.page).to_have_title("(2) bob (eve2) · pychat")
            await alice.row("Everyone").click()
            await expect(alice.message("true to all").locator(".sender")).to_have_text("Bob")
            await expect(alice.message("false to all").locator(".sender")).to_have_text("bob eve2")
        assert alice.problems == []
        await alice.close()


@pytest.mark.parametrize("alias", ["You", "Everyone", "bo\u202eb", "bob (bob)"])
async def test_no_alias_is_shown_alone(browser: Browser, alias: str) -> None:
    async with serving() as server:
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        async with ChatClient(server.url, user="eve2", password="secret!!", alias=alias) as eve:
            await eve.send("ALL", "it was me")
        await alice.row("it was me").click()
        shown = alias.replace("\u202e", "")
        await expect(alice.message("it was me").locator(".sender")).to_have_text(f"{shown} eve2")
        await alice.close()


async def test_a_long_alias_leaves_room_for_the_id(browser: Browser) -> None:
    """Else whoever has one could be anybody."""
    async with serving() as server:
        alice = await ChatPage.logged_in(
            browser, server.url, "alice", viewport={"width": 320, "height": 640}
        )
        eve = ChatClient(server.url, user="eve2", password="secret of eve", alias="Bob " + "x" * 60)
        async with eve:
            await eve.send("alice", "hello")
            for place in ("#conversations .name", "#chat-title"):
                id = alice.page.locator(f"{place} > .id")
                await expect(id).to_have_text("eve2")
                await expect(id).to_be_in_viewport(ratio=1)  # which ends where an element clips
                if place != "#chat-title":
                    await alice.page.locator("#conversations .conversation").first.click()
        await alice.close()
