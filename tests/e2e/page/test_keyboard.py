"""The page without a mouse, with an input method, and on a narrow screen."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


async def test_everything_goes_by_keys(browser: Browser) -> None:
    async with serving() as server:
        bob = await ChatPage.logged_in(browser, server.url, "bob")
        alice = await ChatPage.open(browser, server.url)
        keys = alice.page.keyboard
        await expect(alice.page.get_by_label("Id", exact=True)).to_be_focused()
        await keys.type("alice")
        await keys.press("Tab")
        await keys.type("a password")
        await keys.press("Enter")
        await expect(alice.page.get_by_label("Password again")).to_be_focused()
        await keys.type("a password")
        await keys.press("Enter")
        await expect(alice.row("Everyone")).to_be_visible()

        await keys.press("Control+k")
        await keys.type("bob")
        await expect(alice.page.locator("#results .conversation").first).to_contain_text("bob")
        await keys.press("Enter")
        await expect(alice.composer).to_be_focused()
        await keys.type("first line")
        await keys.press("Shift+Enter")
        await keys.type("second line")
        await keys.press("Enter")
        await expect(alice.composer).to_have_value("")
        await expect(alice.message("first line\nsecond line")).to_have_count(1)

        await keys.press("Escape")  # back to the list, on its newest conversation
        await expect(alice.row("bob")).to_be_focused()
        await keys.press("ArrowDown")
        await expect(alice.row("Everyone")).to_be_focused()
        await keys.press("Enter")
        await expect(alice.page.get_by_role("heading", name="Everyone")).to_be_visible()
        await keys.press("Alt+ArrowUp")
        await expect(alice.page.get_by_role("heading", name="bob")).to_be_visible()

        await keys.press("Shift+Tab")
        await expect(alice.page.get_by_role("log")).to_be_focused()
        await keys.press("Shift+Tab")
        await keys.press("Enter")
        await expect(alice.page.get_by_role("button", name="Block", exact=True)).to_be_visible()
        await keys.press("Escape")
        await expect(alice.page.get_by_label("More")).to_be_focused()
        await alice.close()
        await bob.close()


async def test_enter_in_a_composition_does_not_send(browser: Browser) -> None:
    async with serving() as server:
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await alice.row("Everyone").click()
        keyboard = await alice.page.context.new_cdp_session(alice.page)
        await keyboard.send(
            "Input.imeSetComposition", {"text": "안녕", "selectionStart": 2, "selectionEnd": 2}
        )
        enter = {"type": "rawKeyDown", "key": "Enter", "code": "Enter"}
        # What a browser reports for a key that the input method takes.
        await keyboard.send("Input.dispatchKeyEvent", {**enter, "windowsVirtualKeyCode": 229})
        await expect(alice.composer).to_have_value("안녕")
        await keyboard.send("Input.insertText", {"text": "안녕하세요"})
        await alice.composer.press("Enter")
        await expect(alice.message("안녕하세요")).to_have_count(1)
        await expect(alice.page.locator(".message")).to_have_count(1)
        await alice.close()


async def test_one_pane_at_a_time_on_a_narrow_screen(browser: Browser) -> None:
    async with serving() as server:
        alice = await ChatPage.logged_in(
            browser, server.url, "alice", viewport={"width": 360, "height": 740}
        )
        await expect(alice.page.locator("#chat")).to_be_hidden()
        await alice.row("Everyone").click()
        await expect(alice.page.locator("#sidebar")).to_be_hidden()
        await expect(alice.composer).to_be_in_viewport()
        await alice.composer.fill("half a thought")
        await alice.page.get_by_label("Back to the conversations").click()
        await expect(alice.row("Everyone")).to_be_focused()
        await expect(alice.row("Everyone")).to_contain_text("Draft: half a thought")
        await alice.row("Everyone").click()
        await expect(alice.composer).to_have_value("half a thought")
        await alice.page.go_back()
        await expect(alice.page.locator("#chat")).to_be_hidden()
        await alice.close()
