"""The page's login: claim an id, come back, be refused, log out."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


async def test_claims_an_id_stays_logged_in_and_logs_out(browser: Browser) -> None:
    async with serving() as server:
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        claimed = alice.page.get_by_text("account alice created")
        await expect(claimed).to_be_visible()
        await alice.page.reload()
        await expect(alice.row("Everyone")).to_be_visible()
        await expect(claimed).to_be_hidden()

        another_tab = await ChatPage.open(alice.page.context, server.url)
        await expect(another_tab.row("Everyone")).to_be_visible()
        await another_tab.page.get_by_label("Your account").click()
        await another_tab.page.get_by_role("button", name="Use another account").click()
        await another_tab.log_in("bob")
        await alice.page.reload()
        await alice.page.get_by_label("Your account").click()
        await expect(alice.page.locator("#own-id")).to_have_text("alice")

        await alice.page.get_by_role("button", name="Sign out").click()
        await expect(alice.page.get_by_role("button", name="Sign in")).to_be_visible()
        await alice.page.reload()
        await expect(alice.page.get_by_label("Id", exact=True)).to_be_focused()
        assert alice.problems == []
        await alice.close()


async def test_says_inline_why_a_login_was_refused(browser: Browser) -> None:
    async with serving() as server:
        owner = await ChatPage.logged_in(browser, server.url, "alice")
        other = await ChatPage.open(browser, server.url)
        error = other.page.get_by_role("alert")
        await expect(other.page.get_by_role("button", name="create account")).to_be_visible()

        await other.page.get_by_role("button", name="Sign in").click()
        await expect(error).to_contain_text("Enter an id")

        await other.fill_login("alice", "a guess")
        await expect(error).to_contain_text("password")
        password = other.page.get_by_label("Password", exact=True)
        await expect(password).to_be_focused()
        ring, border = await password.evaluate(
            "field => [getComputedStyle(field).outlineColor, getComputedStyle(field).borderColor]"
        )
        assert ring == border

        await other.fill_login("ALL")
        await expect(error).to_contain_text("reserved")

        await other.log_in("bob")
        await owner.close()
        await other.close()


async def test_one_device_logs_out_the_others(browser: Browser) -> None:
    async with serving() as server:
        phone, desk = await ChatPage.both(browser, server.url, "alice", "alice")
        await desk.page.get_by_label("Your account").click()
        await desk.page.get_by_role("button", name="Your devices…").click()
        devices = desk.page.locator("#session-list li")
        await expect(devices).to_have_count(2)
        await expect(devices.filter(has_text="Chrome on Linux")).to_have_count(2)
        await expect(devices.filter(has_text="This device")).to_have_count(1)
        await expect(devices.first).to_contain_text("This device")
        await expect(devices.last).to_contain_text("Last used just now")
        await desk.page.get_by_role("button", name="Sign out all other devices").click()
        await expect(devices).to_have_count(1)

        ended = phone.page.get_by_role("alert")
        await expect(ended).to_contain_text("You were signed out: from another device")
        await expect(ended).to_contain_text("sign in again")
        await expect(phone.page.get_by_label("Id", exact=True)).to_have_value("alice")
        await phone.log_in("alice")
        await expect(phone.row("Everyone")).to_be_visible()
        assert phone.problems == desk.problems == []
        await phone.close()
        await desk.close()


@pytest.mark.parametrize("width", [320, 1000])
async def test_a_server_that_is_away_is_told_beside_the_form(browser: Browser, width: int) -> None:
    async with serving() as server:
        page = await ChatPage.open(browser, server.url, viewport={"width": width, "height": 560})
        await expect(page.page.locator("#login")).to_be_visible()
        await server.stop()
        await page.fill_login("alice")
        await expect(page.page.locator("#login-error")).to_contain_text("cannot be reached")
        await expect(page.page.locator("#banner")).to_be_visible()
        banner = await page.page.locator("#banner").bounding_box()
        logo = await page.page.locator("#login img").bounding_box()
        assert banner
        assert logo
        assert banner["y"] + banner["height"] <= logo["y"]
        await page.close()
