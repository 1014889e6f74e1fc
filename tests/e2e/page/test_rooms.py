"""Rooms in the page: mentions that are completed, and the pane of the members."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from pychat.client import ChatClient
from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


async def test_names_and_emoji_are_completed_by_keys(browser: Browser) -> None:
    async with (
        serving() as server,
        ChatClient(server.url, user="bob", password="secret of bob", alias="Robert B.") as bob,
        ChatClient(server.url, user="bobby", password="secret of bobby") as outside,
    ):
        await bob.create_room("r", "The room")
        await outside.send("ALL", "hello")
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await (await alice.find("The room")).filter(has_text="The room").first.click()
        await expect(alice.composer).to_be_focused()
        keys = alice.page.keyboard
        options = alice.page.get_by_role("option")
        await keys.type("mail me@")  # an address
        await expect(options).to_have_count(0)
        await keys.press("Control+a")
        await keys.type("(@rob")
        await expect(options).to_have_text(["RRobert B.bob"])
        await expect(alice.composer).to_have_attribute("aria-activedescendant", "completion-0")
        await keys.press("Escape")
        await expect(options).to_have_count(0)
        await keys.type("e")
        await expect(options).to_have_count(1)
        await keys.press("Enter")
        await expect(alice.composer).to_have_value("(@bob ")
        await keys.press("Control+z")
        await expect(alice.composer).to_have_value("(@robe")
        await keys.press("Control+a")
        await keys.type("@bob")
        await expect(options).to_have_count(1)  # bobby is not a member, and not known here
        await keys.type(" look :rock")
        await expect(options.first).to_contain_text(":rock_on:")
        await keys.press("ArrowDown")
        await keys.press("Tab")
        await keys.type(" :heart: :no_such: at 10:30:")
        await expect(alice.composer).to_have_value("@bob look 🚀 ❤️ :no_such: at 10:30:")
        await keys.press("Enter")
        mention = alice.page.locator(".message .mention")
        await expect(mention).to_have_text(["@bob"])
        await bob.send("#r", "@ALICE and alice@alice, @bob, @alicea")
        await expect(alice.page.locator(".mention.mine")).to_have_text(["@ALICE"])
        assert alice.problems == []
        await alice.close()


async def test_a_private_room_is_found_by_those_who_are_invited(browser: Browser) -> None:
    async with serving() as server:
        alice, bob = await ChatPage.both(browser, server.url, "alice", "bob")
        await alice.page.get_by_label("Rooms: create or join one").click()
        await alice.page.get_by_label("New room").fill("Board")
        await alice.page.get_by_label("Private").check()
        await alice.page.get_by_role("button", name="Create", exact=True).click()
        await expect(alice.page.get_by_role("heading", name="Board")).to_be_visible()
        await bob.page.get_by_label("Rooms: create or join one").click()
        rooms = bob.page.locator("#room-list li")
        await expect(bob.page.get_by_role("dialog")).to_be_visible()
        await expect(rooms).to_have_count(0)
        await alice.page.get_by_role("button", name="Members", exact=True).click()
        await alice.page.get_by_label("Invite somebody").fill("bob")
        await alice.page.get_by_label("Invite somebody").press("Enter")
        await expect(rooms).to_contain_text("you are invited · of alice · private")
        await rooms.get_by_role("button", name="Join").click()
        await expect(bob.page.get_by_role("heading", name="Board")).to_be_visible()
        await bob.write("here I am")
        await expect(alice.page.locator(".member")).to_have_count(2)
        assert alice.problems == bob.problems == []
        await alice.close()
        await bob.close()


async def test_the_members_are_shown_invited_promoted_and_removed(browser: Browser) -> None:
    async with (
        serving() as server,
        ChatClient(server.url, user="bob", password="secret of bob") as bob,
        ChatClient(server.url, user="carol", password="secret of carol"),
        ChatClient(server.url, user="alice", password="secret of alice") as phone,
    ):
        await phone.create_room("r", "The room")
        await bob.join_room("r")
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        pane = alice.page.get_by_role("complementary", name="Members")
        show = alice.page.get_by_role("button", name="Members", exact=True)
        dialog = alice.page.get_by_role("dialog")
        await alice.row("Everyone").click()
        await expect(show).to_be_hidden()
        await alice.row("The room").click()
        await show.press("Enter")
        await expect(pane.locator(".member")).to_have_count(2)
        await expect(pane.locator(".member").first).to_contain_text("Owner")
        await expect(pane.locator(".member", has_text="bob").locator(".dot.online")).to_be_visible()

        await pane.get_by_label("Invite somebody").fill("nobody-there")
        await pane.get_by_role("button", name="Invite").click()
        await expect(pane.get_by_role("alert")).not_to_be_empty()
        await pane.get_by_label("Invite somebody").fill("carol")
        await pane.get_by_role("button", name="Invite").click()
        await expect(pane.get_by_role("alert")).to_be_hidden()
        carol = await ChatPage.logged_in(browser, server.url, "carol")
        await (await carol.find("The room")).filter(has_text="The room").first.click()
        await expect(pane.locator(".member")).to_have_count(3)
        await carol.page.get_by_role("button", name="Members", exact=True).click()
        await expect(carol.page.get_by_label("Change the topic")).to_be_hidden()

        await pane.get_by_label("Change the topic").click()
        await dialog.get_by_label("Topic").fill("<b>Release 2</b>")
        await dialog.get_by_role("button", name="Save").click()
        for chat in (alice, carol):
            await expect(chat.page.locator("#topic")).to_have_text("<b>Release 2</b>")
            await expect(chat.page.locator("#chat-subtitle")).to_have_text("<b>Release 2</b>")

        await pane.locator(".member", has_text="carol").click()
        await dialog.get_by_role("button", name="Make moderator").click()
        await expect(pane.locator(".member", has_text="carol")).to_contain_text("Moderator")
        await expect(carol.page.get_by_label("Change the topic")).to_be_visible()
        await carol.page.locator(".member", has_text="alice").click()
        await expect(carol.page.get_by_role("dialog").get_by_role("button")).to_have_text(
            ["", "Write a message"]
        )
        await carol.page.keyboard.press("Escape")
        await carol.page.locator(".member", has_text="bob").click()
        await carol.page.get_by_role("button", name="Remove from the room…").click()
        await carol.page.get_by_role("button", name="Remove", exact=True).click()
        await expect(carol.page.locator(".member")).to_have_count(2)
        await pane.get_by_label("Close the members").click()
        await expect(show).to_be_focused()
        await show.press("Enter")
        await expect(pane.locator(".member")).to_have_count(2)
        await alice.page.keyboard.press("Escape")
        await expect(pane).to_be_hidden()
        assert alice.problems == carol.problems == []
        await alice.close()
        await carol.close()
