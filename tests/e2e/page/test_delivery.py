"""Nothing is lost or doubled in the page: restarts, broken connections, frames that never came."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, WebSocketRoute, expect

from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


async def test_what_is_written_while_the_server_is_away_arrives_once(
    browser: Browser, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'chat.db'}"
    async with serving(store) as server:
        url, port = server.url, server.port
        alice, bob = await ChatPage.both(browser, url, "alice", "bob")
        await alice.begin("bob")
        await alice.write("before")
        await bob.row("alice").click()
        await expect(bob.message("before")).to_be_visible()

    await expect(alice.page.get_by_text("No connection.")).to_be_visible()
    await alice.write("from alice 1")
    await alice.write("from alice 2")
    await bob.write("from bob")
    await alice.expect_state("from alice 1", "sending")

    async with serving(store, port=port):
        await expect(alice.message("from bob")).to_be_visible()
        await alice.expect_state("from alice 2", "read")
        await expect(alice.page.locator("#banner")).to_be_hidden()
        await bob.expect_state("from bob", "read")
        for chat in (alice, bob):
            said = await chat.texts()
            assert sorted(said) == ["before", "from alice 1", "from alice 2", "from bob"]
            assert said.index("from alice 1") < said.index("from alice 2")
        await alice.page.reload()
        await expect(alice.page.locator(".message")).to_have_count(4)
        assert await alice.texts() == await bob.texts()
        assert alice.problems == bob.problems == []
    await alice.close()
    await bob.close()


async def test_what_was_not_sent_when_the_page_was_closed_is_sent_later(
    browser: Browser, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'chat.db'}"
    async with serving(store) as server:
        url, port = server.url, server.port
        bob, alice = await ChatPage.both(browser, url, "bob", "alice")
        await alice.begin("bob")
    await alice.write("a last word")
    await alice.composer.fill("a thought, unfinished")
    await alice.page.close()

    async with serving(store, port=port):
        back = await ChatPage.open(alice.page.context, f"{url}/#bob")
        await back.expect_state("a last word", "delivered")
        await expect(back.composer).to_have_value("a thought, unfinished")
        await bob.row("alice").click()
        await expect(bob.message("a last word")).to_have_count(1)
    await back.close()
    await bob.close()


async def test_unsent_messages_of_another_id_are_left_alone(
    browser: Browser, tmp_path: Path
) -> None:
    """Two ids in one browser, one of which begins like the other and has the separator of keys."""
    store = f"sqlite:///{tmp_path / 'chat.db'}"
    async with serving(store) as server:
        url, port = server.url, server.port
        other = await ChatPage.logged_in(browser, url, "a:b")
        await other.row("Everyone").click()
        mine = await ChatPage.open(other.page.context, url)
        await mine.page.get_by_label("Your account").click()
        await mine.page.get_by_role("button", name="Use another account").click()
        await mine.log_in("a")
    await expect(other.page.get_by_text("No connection.")).to_be_visible()
    await other.write("from a:b")
    await other.expect_state("from a:b", "sending")
    await other.page.close()

    async with serving(store, port=port):
        await mine.page.reload()
        await mine.row("Everyone").click()
        await mine.write("from a")
        await mine.expect_state("from a", "sent")
        assert await mine.texts() == ["from a"]
    await mine.close()


async def test_a_message_whose_answer_was_lost_is_not_doubled(browser: Browser) -> None:
    async with serving() as server:
        bob = await ChatPage.logged_in(browser, server.url, "bob")
        context = await browser.new_context()
        lost: list[str] = []

        async def lose_the_answer(route: WebSocketRoute) -> None:
            upstream = route.connect_to_server()
            asked: list[str] = []

            def from_page(frame: str | bytes) -> None:
                if '"data":"once"' in str(frame):
                    asked.append(str(frame))
                upstream.send(frame)

            async def from_server(frame: str | bytes) -> None:
                if asked and not lost and str(frame).startswith("43"):
                    lost.append(str(frame))
                    await route.close(code=3001)
                else:
                    route.send(frame)

            route.on_message(from_page)
            upstream.on_message(from_server)

        await context.route_web_socket("**/socket.io/**", lose_the_answer)
        alice = await ChatPage.logged_in(context, server.url, "alice")
        await alice.begin("bob")
        await alice.write("once")
        await alice.write("twice")
        await alice.expect_state("twice", "delivered")
        assert lost
        assert await alice.texts() == ["once", "twice"]
        await bob.row("alice").click()
        await expect(bob.message("twice")).to_be_visible()
        assert await bob.texts() == ["once", "twice"]
        await alice.close()
        await bob.close()


async def test_a_hole_in_the_seqs_is_filled_from_the_history(browser: Browser) -> None:
    async with serving() as server:
        bob = await ChatPage.logged_in(browser, server.url, "bob")
        context = await browser.new_context()

        async def lose_the_second(route: WebSocketRoute) -> None:
            upstream = route.connect_to_server()

            def from_server(frame: str | bytes) -> None:
                if not (str(frame).startswith("42") and '"data":"two"' in str(frame)):
                    route.send(frame)

            upstream.on_message(from_server)

        await context.route_web_socket("**/socket.io/**", lose_the_second)
        alice = await ChatPage.logged_in(context, server.url, "alice")
        await bob.begin("alice")
        await bob.write("one")
        await alice.row("bob").click()
        await expect(alice.message("one")).to_be_visible()
        await bob.write("two")
        await bob.write("three")
        await expect(alice.message("three")).to_be_visible()
        assert await alice.texts() == ["one", "two", "three"]
        await alice.close()
        await bob.close()


POST_AT_ONCE = """count => {
    const field = document.querySelector('#composer-text');
    for (let number = 1; number <= count; number++) {
        field.value = `line ${number}`;
        document.querySelector('#composer').requestSubmit();
    }
}"""


async def test_two_tabs_of_one_user_agree(browser: Browser) -> None:
    async with serving(limits=False) as server:
        bob, first = await ChatPage.both(browser, server.url, "bob", "alice")
        second = await ChatPage.open(first.page.context, server.url)
        await first.begin("bob")
        await first.write("from the first tab")
        await second.row("bob").click()
        await expect(second.message("from the first tab")).to_be_visible()
        await second.write("from the second tab")
        await expect(first.message("from the second tab")).to_be_visible()
        await bob.row("alice").click()
        await bob.write("to both")
        for tab in (first, second):
            await expect(tab.message("to both")).to_be_visible()
            await expect(tab.page).to_have_title("bob · pychat")
            assert await tab.texts() == ["from the first tab", "from the second tab", "to both"]
        await first.page.evaluate(POST_AT_ONCE, 60)
        await second.expect_state("line 60", "read")
        await first.expect_state("line 60", "read")
        for tab in (first, second, bob):
            assert (await tab.texts())[3:] == [f"line {number}" for number in range(1, 61)]
        await first.close()
        await bob.close()


NO_WEBSOCKET = """window.WebSocket = class {
    constructor() { setTimeout(() => this.onerror?.(new Event('error'))); }
    close() {}
};
"""


async def test_works_by_polling_and_without_a_secure_context(browser: Browser) -> None:
    async with serving() as server:
        context = await browser.new_context()
        await context.add_init_script(f"{NO_WEBSOCKET}delete Crypto.prototype.randomUUID;")
        alice = await ChatPage.logged_in(context, server.url, "alice")
        bob = await ChatPage.logged_in(browser, server.url, "bob")
        await alice.begin("bob")
        await alice.write("by polling, 안녕 👋")
        await alice.expect_state("by polling, 안녕 👋", "delivered")
        await bob.row("alice").click()
        await bob.write("received")
        await expect(alice.message("received")).to_be_visible()
        await alice.close()
        await bob.close()


async def test_a_server_that_starts_over_is_believed(browser: Browser) -> None:
    async with serving("memory:", accounts="open") as server:
        url, port = server.url, server.port
        alice, bob = await ChatPage.both(browser, url, "alice", "bob")
        await bob.begin("alice")
        for text in ("old one", "old two", "old three"):
            await bob.write(text)
        await alice.row("bob").click()
        await expect(alice.message("old three")).to_be_visible()
    async with serving("memory:", accounts="open", port=port):
        await expect(alice.message("old three")).to_have_count(0)
        await expect(bob.message("old three")).to_have_count(0)
        await bob.write("new")
        await expect(alice.message("new")).to_be_visible()
        assert await alice.texts() == await bob.texts() == ["new"]
        await expect(alice.page).to_have_title("bob · pychat")
    await alice.close()
    await bob.close()
