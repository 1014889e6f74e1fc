"""The page's login: create an account, come back, be refused, log out."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from pychat.client import ChatClient
from pychat.server.app import ChatServer
from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


async def test_creates_an_account_stays_logged_in_and_logs_out(browser: Browser) -> None:
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

        await alice.page.get_by_role("button", name="Log out").click()
        await expect(alice.page.get_by_role("button", name="Log in")).to_be_visible()
        await alice.page.reload()
        await expect(alice.page.get_by_label("Id", exact=True)).to_be_focused()
        assert alice.problems == []
        await alice.close()


async def test_the_theme_is_chosen_and_kept(browser: Browser) -> None:
    async with serving() as server:
        alice = await ChatPage.logged_in(browser, server.url, "alice", color_scheme="light")
        colour = "getComputedStyle(document.body).backgroundColor"
        light = await alice.page.evaluate(colour)
        await alice.page.get_by_label("Your account").click()
        await alice.page.get_by_role("button", name="Appearance…").click()
        await expect(alice.page.get_by_label("As the system")).to_be_checked()
        await alice.page.get_by_label("Dark").check()
        await alice.page.wait_for_function(f"light => {colour} !== light", arg=light)
        dark = await alice.page.evaluate(colour)
        await alice.page.reload()
        await alice.page.wait_for_function(f"dark => {colour} === dark", arg=dark)
        await alice.page.get_by_label("Your account").click()
        await alice.page.get_by_role("button", name="Appearance…").click()
        await alice.page.get_by_label("As the system").check()
        await alice.page.wait_for_function(f"light => {colour} === light", arg=light)
        assert alice.problems == []
        await alice.close()


async def test_asks_before_it_creates_an_account(browser: Browser) -> None:
    async with serving() as server:
        await (await ChatPage.logged_in(browser, server.url, "alice")).close()
        bob = await ChatPage.open(browser, server.url)
        error = bob.page.get_by_role("alert")
        await bob.fill_login("alicia", "secret of alice")
        await expect(error).to_contain_text("There is no account alicia.")
        again = bob.page.get_by_label("Password again")
        await expect(again).to_be_focused()
        await bob.page.get_by_label("Id", exact=True).fill("alice")
        await expect(error).to_be_hidden()
        await again.fill("secret of alice")
        await again.press("Enter")
        await expect(error).to_contain_text("The id is taken")
        await expect(bob.page.get_by_label("Id", exact=True)).to_be_focused()
        await bob.page.get_by_role("button", name="Log in instead").click()
        await expect(again).to_be_hidden()

        await bob.page.get_by_role("button", name="Create an account").click()
        await bob.page.get_by_label("Id", exact=True).fill("bob")
        password = bob.page.get_by_label("Password", exact=True)
        await password.fill("short")
        await expect(bob.page.locator("#password-hint")).to_contain_text("At least 8 characters")
        await again.fill("shorn")
        await again.press("Enter")
        await expect(error).to_contain_text("not the same")
        await expect(again).to_be_focused()
        await again.fill("short")
        await again.press("Enter")
        await expect(error).to_contain_text("Password must have at least 8 characters")
        await password.fill("long enough")
        await again.fill("long enough")
        await again.press("Enter")
        await expect(bob.row("Everyone")).to_be_visible()
        assert await ids(server) == ["alice", "bob"]
        assert bob.problems == []
        await bob.close()


async def ids(server: ChatServer) -> list[str]:
    async with ChatClient(server.url, user="zoe", password="a good password") as client:
        return [user.id for user in await client.users() if user.id != "zoe"]


async def test_says_inline_why_a_login_was_refused(browser: Browser) -> None:
    async with serving() as server:
        owner = await ChatPage.logged_in(browser, server.url, "alice")
        other = await ChatPage.open(browser, server.url)
        error = other.page.get_by_role("alert")
        await other.page.get_by_role("button", name="Log in").click()
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
        await desk.page.get_by_role("button", name="Log out all other devices").click()
        await expect(devices).to_have_count(1)

        ended = phone.page.get_by_role("alert")
        await expect(ended).to_contain_text("You were logged out: from another device")
        await expect(ended).to_contain_text("log in again")
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
