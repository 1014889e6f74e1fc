"""Two pages message each other: states, unread counts, presence, typing."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, WebSocketRoute, expect

from pychat.client import ChatClient
from pychat.server.chat.accounts.passwords import hash_password
from tests.clock import HOUR, Clock
from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


async def test_a_message_goes_from_sent_to_delivered_to_read(browser: Browser) -> None:
    async with serving() as server:
        bob = await ChatPage.logged_in(browser, server.url, "bob")
        await bob.page.goto("about:blank")  # gone, but still logged in when he comes back
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await alice.begin("bob")
        await alice.write("are you there?")
        await alice.expect_state("are you there?", "sent")
        await expect(alice.page.locator("#chat-subtitle")).to_have_text("offline")

        await bob.page.goto(server.url)
        await alice.expect_state("are you there?", "delivered")
        await expect(alice.page.locator("#chat-subtitle")).to_have_text("online")
        await expect(bob.page).to_have_title("(1) pychat")
        await expect(bob.row("alice").locator(".badge")).to_contain_text("1")

        await bob.row("alice").click()
        await alice.expect_state("are you there?", "read")
        await expect(bob.page).to_have_title("alice · pychat")
        await expect(bob.row("alice").locator(".badge")).to_have_count(0)

        await bob.composer.press_sequentially("yes")
        await expect(alice.page.locator("#chat-subtitle")).to_have_text("typing…")
        await bob.composer.press("Enter")
        await expect(alice.message("yes")).to_be_visible()
        await expect(alice.page.locator("#chat-subtitle")).to_have_text("online")
        await expect(alice.page.locator("#announcer")).to_have_text(re.compile("bob: yes"))
        await bob.expect_state("yes", "read")

        await bob.close()
        await expect(alice.page.locator("#chat-subtitle")).to_contain_text("last seen")
        assert alice.problems == []
        await alice.close()


async def test_nothing_is_read_that_nobody_looks_at(browser: Browser) -> None:
    async with serving() as server:
        bob, alice = await ChatPage.both(browser, server.url, "bob", "alice")
        await alice.begin("bob")
        await alice.write("one")
        await bob.row("alice").click()
        await alice.expect_state("one", "read")

        await bob.page.evaluate("document.hasFocus = () => false")
        await alice.write("two")
        await alice.expect_state("two", "delivered")
        await expect(bob.message("two")).to_be_visible()
        await expect(bob.page).to_have_title("(1) alice · pychat")
        await expect(bob.page.get_by_text("New messages")).to_be_visible()

        await bob.page.evaluate(
            "document.hasFocus = () => true; window.dispatchEvent(new Event('focus'))"
        )
        await alice.expect_state("two", "read")
        await expect(bob.page).to_have_title("alice · pychat")
        await alice.close()
        await bob.close()


async def test_who_writes_for_the_first_time_is_read_from_the_beginning(browser: Browser) -> None:
    """What was never before the reader's eyes is not read, the first message of all included."""
    async with serving() as server:
        bob = await ChatPage.logged_in(browser, server.url, "bob")
        alice = ChatClient(server.url, user="alice", password="secret of alice")
        async with alice:
            for number in range(40):
                await alice.send("bob", f"message {number}")
            await expect(bob.row("alice").locator(".badge")).to_contain_text("40")
            await bob.row("alice").click()
            await expect(bob.page.get_by_text("New messages")).to_be_in_viewport()
            await expect(bob.message("message 0")).to_be_in_viewport()
            await expect(bob.page.locator("#jump-count")).to_have_text("40")
            await bob.page.locator("#jump").click()
            await expect(bob.message("message 39")).to_be_in_viewport()
            await expect(bob.row("alice").locator(".badge")).to_have_count(0)
        assert bob.problems == []
        await bob.close()


async def test_what_is_removed_is_not_unread_any_more(browser: Browser) -> None:
    async with serving(admins=["root"]) as server:
        await server.store.create_account("root", "root", hash_password("secret of root"), 0)
        bob = await ChatPage.logged_in(browser, server.url, "bob")
        alice = ChatClient(server.url, user="alice", password="secret of alice")
        root = ChatClient(server.url, user="root", password="secret of root")
        async with alice, root:
            sent = [await alice.send("bob", f"message {number}") for number in range(40)]
            badge = bob.row("alice").locator(".badge")
            await expect(badge).to_contain_text("40")
            await root.remove(sent[7].id)  # the page has loaded none of them
            await expect(badge).to_contain_text("39")
            await bob.row("alice").click()
            await expect(bob.message("message 0")).to_be_in_viewport()
            await root.remove(sent[38].id)
            await expect(bob.page.locator("#jump-count")).to_have_text("38")
        assert bob.problems == []
        await bob.close()


async def test_a_message_to_nobody_says_so_and_can_be_dropped(browser: Browser) -> None:
    async with serving() as server:
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await alice.begin("nobody-at-all")
        await alice.write("hello?")
        await alice.expect_state("hello?", "failed")
        await expect(alice.message("hello?")).to_contain_text("Not sent")
        await alice.page.get_by_role("button", name="Discard").click()
        await expect(alice.message("hello?")).to_have_count(0)

        await alice.write("x" * 65_537)
        await expect(alice.page.locator("#composer-error")).to_contain_text("Too long")
        await alice.close()


async def test_results_stay_while_the_pointer_is_down(browser: Browser) -> None:
    async with serving() as server, ChatClient(server.url, user="bob", password="secret of bob"):
        context = await browser.new_context()
        late: list[tuple[WebSocketRoute, str | bytes]] = []
        arrived = asyncio.Event()

        async def hold_found_people(route: WebSocketRoute) -> None:
            upstream = route.connect_to_server()

            def from_server(frame: str | bytes) -> None:
                if '"users":[{"id":"bob"' in str(frame):
                    late.append((route, frame))
                    arrived.set()
                else:
                    route.send(frame)

            upstream.on_message(from_server)

        await context.route_web_socket("**/socket.io/**", hold_found_people)
        alice = await ChatPage.logged_in(context, server.url, "alice")
        hit = (await alice.find("bob")).filter(has_text="Start a chat with this id")
        await hit.hover()
        await alice.page.mouse.down()
        await hit.evaluate("row => { window.row = row; }")
        await arrived.wait()
        for route, frame in late:
            route.send(frame)
        await alice.page.evaluate("new Promise(done => setTimeout(done, 0))")
        assert await alice.page.evaluate("row.isConnected")
        await alice.page.mouse.up()
        await expect(alice.page.get_by_role("heading", name="bob", exact=True)).to_be_visible()
        assert alice.problems == []
        await context.close()


async def choose_in_menu(chat: ChatPage, action: str) -> None:
    """In the menu of the open conversation, and again in the question that follows."""
    await chat.page.get_by_label("More").click()
    button = chat.page.locator("#chat-actions").get_by_role("button", name=action, exact=True)
    await expect(button).to_be_visible()
    for place in (chat.page.locator("#chat-actions"), chat.page.get_by_role("dialog")):
        await place.get_by_role("button", name=action, exact=True).click()
    await expect(chat.page.get_by_role("dialog")).to_be_hidden()


async def test_a_profile_is_changed_and_seen_by_others(browser: Browser) -> None:
    async with serving() as server:
        alice, bob = await ChatPage.both(browser, server.url, "alice", "bob")
        await bob.begin("alice")
        await bob.write("hello")
        await alice.row("bob").click()
        await bob.page.get_by_label("Your account").click()
        await bob.page.get_by_role("button", name="Your profile").click()
        dialog = bob.page.get_by_role("dialog")
        save = dialog.get_by_role("button", name="Save")
        await expect(save).to_be_enabled()
        await dialog.get_by_label("Name").fill("Bob Marsh")
        await dialog.get_by_label("Status", exact=True).select_option("Away")
        await dialog.get_by_label("Status text").fill("\u200b")
        await save.click()
        await expect(dialog).to_contain_text("Shows nothing")
        await dialog.get_by_label("Status text").fill("back at noon")
        await save.click()
        await expect(dialog).to_be_hidden()
        await expect(alice.row("Bob Marsh")).to_contain_text("away")
        await expect(alice.page.locator("#chat-subtitle")).to_have_text("away · back at noon")
        await alice.page.reload()
        await expect(alice.page.locator("#chat-subtitle")).to_have_text("away · back at noon")
        await bob.page.get_by_label("Your account").click()
        await bob.page.get_by_role("button", name="Your profile").click()
        await expect(dialog.get_by_label("Status text")).to_have_value("back at noon")
        await expect(dialog.get_by_label("Name")).to_have_value("Bob Marsh")


async def test_a_muted_conversation_is_not_in_the_title(browser: Browser) -> None:
    async with serving() as server:
        alice, bob = await ChatPage.both(browser, server.url, "alice", "bob")
        await bob.begin("alice")
        await bob.write("hello")
        await alice.row("bob").click()
        await choose_in_menu(alice, "Mute")
        await expect(alice.row("bob")).to_contain_text("muted")
        await alice.row("Everyone").click()
        await bob.write("unheard")
        await expect(alice.row("bob")).to_contain_text("1 unread message")
        await expect(alice.page).to_have_title("Everyone · pychat")
        await alice.row("bob").click()
        await choose_in_menu(alice, "Unmute")
        await expect(alice.row("bob")).not_to_contain_text("muted")


async def test_what_a_blocked_person_writes_is_not_shown(browser: Browser) -> None:
    async with serving() as server:
        alice, bob = await ChatPage.both(browser, server.url, "alice", "bob")
        await bob.begin("alice")
        await bob.write("hello")
        await alice.row("bob").click()
        await expect(alice.message("hello")).to_be_visible()

        await alice.write("hello yourself")
        await bob.write("and more")
        await bob.write("and more of it")
        await bob.expect_state("and more of it", "read")
        hidden = alice.page.locator(".hidden-run")
        subtitle = alice.page.locator("#chat-subtitle")

        await choose_in_menu(alice, "Block")
        await expect(hidden).to_have_text(["1 message hidden", "2 messages hidden"])
        await expect(subtitle).to_contain_text("blocked")
        await expect(alice.row("bob")).to_contain_text("Blocked")
        await bob.write("while blocked")
        await bob.expect_state("while blocked", "sent")
        assert await alice.texts() == ["hello yourself"]
        await alice.page.reload()
        await expect(hidden).to_have_text(["1 message hidden", "3 messages hidden"])
        await expect(subtitle).to_contain_text("blocked")
        await expect(alice.page.get_by_text("New messages")).to_have_count(0)

        # What they said elsewhere is hidden and comes back, too.
        await bob.row("Everyone").click()
        await bob.write("to all")
        await bob.expect_state("to all", "sent")
        await alice.page.reload()
        await alice.row("Everyone").click()
        await expect(hidden).to_have_text(["1 message hidden"])
        await expect(alice.page.get_by_text("New messages")).to_have_count(0)
        await alice.row("bob").click()
        await bob.row("alice").click()

        await choose_in_menu(alice, "Unblock")
        await expect(alice.message("while blocked")).to_be_visible()
        await expect(hidden).to_have_count(0)
        await expect(subtitle).to_have_text("online")
        await bob.write("again")
        await expect(alice.message("again")).to_be_visible()
        said = ["hello", "hello yourself", "and more", "and more of it", "while blocked", "again"]
        assert await alice.texts() == said
        await alice.row("Everyone").click()
        await expect(alice.message("to all")).to_be_visible()
        await alice.close()
        await bob.close()


async def test_rooms_and_everyone(browser: Browser) -> None:
    async with serving() as server:
        alice, bob = await ChatPage.both(browser, server.url, "alice", "bob")
        await alice.page.get_by_label("Rooms: create or join one").click()
        await alice.page.get_by_label("New room").fill("Book club")
        await alice.page.get_by_role("button", name="Create", exact=True).click()
        await expect(alice.page.get_by_role("heading", name="Book club")).to_be_visible()

        hits = await bob.find("book")
        await hits.filter(has_text="Book club").click()
        await bob.write("hello readers")
        await expect(alice.message("hello readers")).to_be_visible()
        await expect(alice.message("hello readers").locator(".sender")).to_have_text("bob")

        await bob.row("Everyone").click()
        await bob.write("hello all")
        await expect(bob.message("hello all")).to_have_count(1)
        await alice.row("Everyone").click()
        await expect(alice.message("hello all")).to_have_count(1)

        await alice.row("Book club").click()
        await alice.page.get_by_label("More").click()
        await alice.page.get_by_role("button", name="Delete room…").click()
        await alice.page.get_by_role("button", name="Delete", exact=True).click()
        await expect(alice.row("Book club")).to_have_count(0)
        await expect(bob.row("Book club")).to_have_count(0)
        assert alice.problems == bob.problems == []
        await alice.close()
        await bob.close()


async def test_the_list_has_the_order_in_which_things_were_said(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the server's clock says meanwhile."""
    clock = Clock(monkeypatch)
    others = ["bob", "carol", "dave"]
    async with serving("memory:", limits=False) as server:
        clients = [ChatClient(server.url, user=id, password=f"secret of {id}") for id in others]
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        titles = alice.page.locator("#conversations .name")
        for client in clients:
            async with client:
                await client.send("alice", f"from {client.user}")
            clock.ahead -= HOUR
        await expect(titles).to_have_text(["dave", "carol", "bob", "Everyone"])
        await alice.page.reload()
        await expect(titles).to_have_text(["dave", "carol", "bob", "Everyone"])

        await alice.row("bob").click()
        await alice.write("to bob, still earlier")
        await expect(titles).to_have_text(["bob", "dave", "carol", "Everyone"])
        await alice.expect_state("to bob, still earlier", "sent")
        await expect(titles).to_have_text(["bob", "dave", "carol", "Everyone"])
        await alice.page.reload()
        await expect(titles).to_have_text(["bob", "dave", "carol", "Everyone"])
        assert alice.problems == []
    await alice.close()


async def test_everyone_begins_when_one_comes(browser: Browser) -> None:
    """What was said before is not there, and is not spoken of as hidden."""
    async with serving() as server:
        async with ChatClient(server.url, user="bob", password="secret of bob") as bob:
            await bob.send("ALL", "before")
            alice = await ChatPage.logged_in(browser, server.url, "alice")
            everyone = alice.row("Everyone")
            await expect(everyone.locator(".preview")).to_have_text("Everybody on this server")
            await everyone.click()
            await expect(alice.page.locator(".beginning")).to_be_visible()
            await expect(alice.page.locator("#log")).to_have_attribute("aria-busy", "false")
            await expect(alice.page.locator("#jump")).to_be_hidden()
            await bob.send("ALL", "after")
            await expect(alice.message("after")).to_be_visible()
            assert await alice.texts() == ["after"]
        assert alice.problems == []
        await alice.close()


async def test_without_a_connection_nobody_is_said_to_be_online(browser: Browser) -> None:
    async with serving() as server:
        alice, bob = await ChatPage.both(browser, server.url, "alice", "bob")
        await alice.begin("bob")
        await alice.write("hello")
        subtitle = alice.page.locator("#chat-subtitle")
        online = alice.page.locator(".dot.online")
        await expect(subtitle).to_have_text("online")
        await expect(online).to_have_count(2)
    await expect(subtitle).to_have_text("no connection")
    await expect(online).to_have_count(0)
    await alice.close()
    await bob.close()


async def test_a_phone_with_nothing_to_show_says_what_to_do(browser: Browser) -> None:
    async with serving() as server:
        phone = {"width": 390, "height": 844}
        alice = await ChatPage.logged_in(browser, server.url, "alice", viewport=phone)
        hint = alice.page.get_by_text("Search for a person above")
        await expect(hint).to_be_visible()
        await alice.begin("alice")
        await alice.page.get_by_label("Back to the conversations").click()
        await expect(alice.row("alice")).to_be_visible()
        await expect(hint).to_be_hidden()
        await alice.close()


async def test_edits_reactions_and_answers_are_shown(browser: Browser) -> None:
    async with serving() as server:
        bob = ChatClient(server.url, user="bob", password="a good password")
        async with bob:
            alice = await ChatPage.logged_in(browser, server.url, "alice")
            first = await bob.send("alice", "Did it go out?")
            await alice.row("bob").click()
            await expect(alice.message("Did it go out?")).to_have_count(1)
            await bob.send("alice", "Yes", reply_to=first.seq)
            answer = alice.page.locator(".message", has_text="Yes")
            await expect(answer.locator(".quote")).to_have_text("bob Did it go out?")
            await bob.edit(first.id, "Did the release go out?")
            await bob.react(first.id, "👍")
            changed = alice.message("Did the release go out?")
            await expect(changed.locator(".meta")).to_contain_text("edited")
            await expect(changed.locator(".reaction")).to_have_text("👍 1 thumbs up: bob")

            await alice.page.context.set_offline(True)
            await bob.edit(first.id, "Did release 2 go out?")
            await bob.react(first.id, "👍", on=False)
            await alice.page.context.set_offline(False)
            later = alice.message("Did release 2 go out?")
            await expect(later).to_have_count(1, timeout=60_000)
            await expect(later.locator(".reaction")).to_have_count(0)
            await expect(answer.locator(".quote")).to_have_text("bob Did release 2 go out?")

            await bob.edit(first.id, "Did release 3 go out?")
            await expect(answer.locator(".quote")).to_have_text("bob Did release 3 go out?")
            await bob.remove(first.id)
            await expect(answer.locator(".quote")).to_have_text("A message that you cannot read")
            await expect(alice.page.locator("#log")).not_to_contain_text("release 3")


async def test_mentions_are_marked_and_counted(browser: Browser) -> None:
    async with serving() as server:
        bob = await ChatPage.logged_in(browser, server.url, "bob")
        async with (
            ChatClient(server.url, user="alice", password="secret of alice") as alice,
            ChatClient(server.url, user="bob", password="secret of bob") as phone,
        ):
            await alice.create_room("r", "The room")
            await phone.join_room("r")
            first = await alice.send("#r", "hello @bob")
            await alice.send("#r", "hello all")
            badge = bob.row("The room").locator(".badge.mention")
            await expect(badge).to_contain_text("@1")
            await alice.send("#r", "@ALL lunch")
            await expect(badge).to_contain_text("@2")
            await alice.edit(first, "hello")
            await expect(badge).to_contain_text("@1")
            await bob.row("The room").click()
            await expect(badge).to_have_count(0)
            marked = bob.page.locator(".mentioned .text")
            await expect(marked).to_have_text(["@ALL lunch"])
        assert bob.problems == []
        await bob.close()


async def test_a_file_is_a_link(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"some text")
    async with (
        serving() as server,
        ChatClient(server.url, user="alice", password="secret of alice") as alice,
    ):
        bob = await ChatPage.logged_in(browser, server.url, "bob")
        message = await alice.send("bob", file=path)
        await expect(bob.row("alice")).to_contain_text("notes.txt (9 B)")
        await bob.row("alice").click()
        link = bob.page.get_by_role("button", name="notes.txt 9 B", exact=True)
        async with bob.page.context.expect_event(
            "response", lambda response: "/files/" in response.url
        ) as answered:
            await link.click()
        response = await answered.value
        assert (response.status, response.headers["content-type"]) == (
            200,
            "application/octet-stream",
        )
        await alice.remove(message)
        await expect(link).to_have_count(0)
        assert bob.problems == []
        await bob.close()
