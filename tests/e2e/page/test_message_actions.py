"""What is done with messages: reply, react, edit, delete, copy; by mouse, keys and touch."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, Locator, expect

from pychat.client import ChatClient
from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


def tool(chat: ChatPage, name: str) -> Locator:
    return chat.page.get_by_role("toolbar").get_by_label(name, exact=True)


async def test_a_message_is_answered_edited_and_deleted_by_mouse(browser: Browser) -> None:
    async with serving() as server:
        alice, bob = await ChatPage.both(browser, server.url, "alice", "bob")
        await alice.begin("bob")
        await alice.write("Did it go out?")
        await bob.row("alice").click()
        await bob.composer.fill("a draft")
        await bob.message("Did it go out?").hover()
        await expect(tool(bob, "Edit")).to_have_count(0)
        await expect(tool(bob, "Delete")).to_have_count(0)
        await tool(bob, "Reply").click()
        await expect(bob.page.locator("#purpose")).to_contain_text("Replying to alice")
        await bob.write("Yes")
        answer = alice.page.locator(".message", has_text="Yes")
        for page in (alice, bob):
            await expect(page.page.locator(".quote")).to_contain_text("Did it go out?")
        await expect(answer.locator(".quote")).to_contain_text("You")
        await expect(bob.page.locator("#purpose")).to_be_hidden()

        await bob.composer.fill("the next thing")
        await bob.message("Yes").hover()
        await tool(bob, "Edit").click()
        await expect(bob.composer).to_have_value("Yes")
        await bob.composer.fill("Yes, at nine")
        await alice.row("Everyone").click()  # does not disturb
        await bob.page.get_by_role("button", name="Save").click()
        await expect(bob.composer).to_have_value("the next thing")
        await alice.row("bob").click()
        await expect(alice.message("Yes, at nine")).to_contain_text("edited")

        await bob.message("Yes, at nine").hover()
        await tool(bob, "Delete").click()
        await bob.page.get_by_role("dialog").get_by_label("Close").click()
        await expect(bob.message("Yes, at nine")).to_be_visible()
        await bob.message("Yes, at nine").hover()
        await tool(bob, "Delete").click()
        await bob.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        for page in (alice, bob):
            await expect(page.page.locator(".hidden-run")).to_have_text("1 message hidden")
        assert alice.problems == bob.problems == []
        await alice.close()
        await bob.close()


async def test_messages_are_walked_and_handled_by_keys(browser: Browser) -> None:
    async with (
        serving() as server,
        ChatClient(server.url, user="bob", password="secret of bob") as bob,
    ):
        context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        alice = await ChatPage.logged_in(context, server.url, "alice")
        keys = alice.page.keyboard
        await alice.begin("bob")
        await alice.write("mine")
        await alice.expect_state("mine", "sent")
        await bob.send("alice", "theirs")
        await expect(alice.message("theirs")).to_be_visible()

        await keys.press("ArrowUp")
        await expect(alice.page.locator("#purpose")).to_contain_text("Editing")
        await expect(alice.composer).to_have_value("mine")
        await keys.press("Escape")
        await expect(alice.page.locator("#purpose")).to_be_hidden()
        await expect(alice.composer).to_have_value("")
        await keys.type("half")

        await keys.press("Shift+Tab")
        await keys.press("ArrowUp")
        await expect(alice.message("theirs")).to_be_focused()
        await keys.press("c")
        await expect(alice.page.locator("#banner")).to_contain_text("Copied")
        assert await alice.page.evaluate("navigator.clipboard.readText()") == "theirs"
        await keys.press("+")
        await keys.type("rocket")
        await keys.press("Enter")
        chip = alice.message("theirs").locator(".reaction")
        await expect(chip).to_contain_text("🚀 1")
        await expect(alice.message("theirs")).to_be_focused()
        await keys.press("Tab")
        await expect(chip).to_be_focused()
        await keys.press("Tab")
        await expect(tool(alice, "React")).to_be_focused()
        await keys.press("Escape")
        await expect(alice.message("theirs")).to_be_focused()
        await keys.press("Tab")
        await keys.press("Enter")
        await expect(chip).to_have_count(0)

        await alice.message("theirs").focus()
        await alice.page.locator(".beginning").hover()
        await expect(tool(alice, "Reply")).to_be_visible()  # of the message with the focus
        await keys.press("ArrowUp")
        await expect(alice.message("mine")).to_be_focused()
        await keys.press("Enter")
        sheet = alice.page.get_by_role("dialog", name="Message actions")
        await sheet.get_by_role("button", name="Reply").press("Enter")
        await expect(alice.composer).to_be_focused()
        await expect(alice.composer).to_have_value("half")
        await expect(alice.page.locator("#purpose")).to_contain_text("Replying to yourself")
        await keys.press("Escape")
        await alice.message("mine").focus()
        await keys.press("e")
        await alice.composer.fill("mine, edited")
        await keys.press("Enter")
        await expect(alice.message("mine, edited")).to_be_visible()
        await expect(alice.composer).to_have_value("half")
        await alice.message("mine, edited").focus()
        await keys.press("Delete")
        await keys.press("Enter")
        await expect(alice.message("mine, edited")).to_have_count(0)
        await keys.press("Escape")
        assert alice.problems == []
        await context.close()


async def test_an_edit_that_meets_another_one_says_so(browser: Browser) -> None:
    async with (
        serving() as server,
        ChatClient(server.url, user="alice", password="secret of alice") as phone,
    ):
        sent = await phone.send("ALL", "first text")
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await alice.row("Everyone").click()
        await alice.message("first text").focus()
        await alice.page.keyboard.press("e")
        await expect(alice.composer).to_have_value("first text")
        await phone.edit(sent.id, "from the phone")
        await expect(alice.message("from the phone")).to_be_visible()
        await alice.write("from the page")
        await expect(alice.page.locator("#composer-error")).to_contain_text("edited meanwhile")
        await expect(alice.composer).to_have_value("from the page")
        await alice.composer.press("Enter")
        await expect(alice.message("from the page")).to_be_visible()
        await expect(alice.composer).to_have_value("")

        await alice.composer.press("ArrowUp")
        await expect(alice.composer).to_have_value("from the page")
        await phone.remove(sent.id)
        await expect(alice.page.locator("#composer-error")).to_contain_text("was deleted")
        await expect(alice.composer).to_have_value("from the page")
        assert alice.problems == []
        await alice.close()


async def test_a_quote_leads_to_its_origin_and_chips_say_who(browser: Browser) -> None:
    async with (
        serving(limits=False) as server,
        ChatClient(server.url, user="bob", password="secret of bob") as bob,
        ChatClient(server.url, user="carol", password="secret of carol", alias="Carol C.") as carol,
    ):
        await bob.create_room("r", "The room")
        await carol.join_room("r")
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await (await alice.find("The room")).filter(has_text="The room").first.click()
        await expect(alice.composer).to_be_focused()
        origin = await bob.send("#r", "the origin")
        for start in range(0, 300, 100):
            numbers = range(start, start + 100)
            await asyncio.gather(*(bob.send("#r", f"line {number}") for number in numbers))
        await bob.send("#r", "the answer", reply_to=origin.seq)
        await alice.page.reload()
        quote = alice.page.get_by_role("button", name="bob the origin")
        await expect(quote).to_be_in_viewport()
        await expect(alice.message("the origin")).to_have_count(0)
        await quote.click()
        await expect(alice.message("the origin")).to_be_in_viewport()
        await expect(alice.message("the origin")).to_be_focused()
        await bob.react(origin.id, "👍")
        await carol.react(origin.id, "👍")
        chip = alice.message("the origin").locator(".reaction")
        await expect(chip).to_have_attribute("title", "bob, Carol C. (carol)")
        await expect(chip).to_have_attribute("aria-pressed", "false")
        await chip.click()
        await expect(chip).to_have_attribute("aria-pressed", "true")
        await expect(chip).to_contain_text("👍 3 thumbs up: bob, Carol C. (carol), You")
        await alice.message("the origin").press("Enter")
        await alice.page.get_by_role("button", name="Who reacted").click()
        await expect(alice.page.get_by_role("dialog")).to_contain_text(
            "bob, Carol C. (carol), alice"
        )
        await alice.page.keyboard.press("Escape")
        await chip.click()
        await expect(chip).to_contain_text("👍 2")
        await alice.page.get_by_label("Go to the newest message").click()
        await expect(alice.page.locator(".text", has_text="the answer")).to_be_in_viewport()
        assert alice.problems == []
        await alice.close()


async def test_a_long_press_opens_the_actions_and_moderators_delete(browser: Browser) -> None:
    async with (
        serving() as server,
        ChatClient(server.url, user="bob", password="secret of bob") as bob,
    ):
        await bob.create_room("r", "The room")
        phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
        alice = await ChatPage.logged_in(browser, server.url, "alice", **phone)
        await (await alice.find("The room")).filter(has_text="The room").first.click()
        await bob.send("#r", "of bob")
        sheet = alice.page.get_by_role("dialog", name="Message actions")
        touch = await alice.page.context.new_cdp_session(alice.page)

        async def press_long() -> None:
            box = await alice.message("of bob").locator(".bubble").bounding_box()
            assert box is not None
            point = {"x": box["x"] + 20, "y": box["y"] + 10}
            await touch.send(
                "Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]}
            )
            await expect(sheet).to_be_visible()
            await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            await expect(sheet).to_be_visible()

        await expect(alice.message("of bob")).to_be_visible()
        await press_long()
        await expect(sheet.get_by_role("button", name="Delete")).to_have_count(0)
        await sheet.get_by_label("React with heart").tap()
        await expect(alice.message("of bob").locator(".reaction")).to_contain_text("❤️ 1")
        await bob.set_role("r", "alice", "moderator")
        await press_long()
        await sheet.press("Escape")
        await expect(sheet).to_be_hidden()
        await press_long()
        await sheet.get_by_role("button", name="Delete").tap()
        await alice.page.get_by_role("dialog").get_by_role("button", name="Delete").tap()
        await expect(alice.page.locator(".hidden-run")).to_be_visible()
        assert alice.problems == []
        await alice.close()
