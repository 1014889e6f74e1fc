"""A log of any length: a bounded part of it is in the page, and nothing else changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, WebSocketRoute, expect

from pychat.client import ChatClient
from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]

MESSAGES = 900
MOST_ROWS = 320

SCROLL = """async ({to, edge}) => {
    const log = document.getElementById('log');
    const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    const rows = () => [...document.querySelectorAll('.message')];
    const seqs = () => rows().map(row => Number(row.dataset.seq));
    const seen = new Set(seqs());
    let [most, moved] = [0, 0];
    while (!seen.has(to)) {
        const before = seqs().join();
        log.scrollTop += (edge === 'top' ? -0.9 : 0.9) * log.clientHeight;
        const { top, bottom } = log.getBoundingClientRect();
        const row = rows().find(row => row.getBoundingClientRect().bottom > top);
        const { seq } = row.dataset;
        const where = row.getBoundingClientRect().top;
        const { scrollTop, scrollHeight, clientHeight } = log;
        await frame();
        const left = edge === 'top' ? scrollTop : scrollHeight - clientHeight - scrollTop;
        while (left < 1 && seqs().join() === before) await frame();
        const now = rows().find(row => row.dataset.seq === seq);
        moved = Math.max(moved, Math.abs(now.getBoundingClientRect().top - where));
        most = Math.max(most, rows().length);
        for (const seq of seqs()) seen.add(seq);
    }
    return { seen: seen.size, most, moved };
}"""


async def tell(server_url: str, messages: int) -> None:
    """Bob writes `line 1` to `line {messages}` to alice, who has not looked yet."""
    async with (
        ChatClient(server_url, user="alice", password="secret of alice"),
        ChatClient(server_url, user="bob", password="secret of bob") as bob,
    ):
        for start in range(0, messages, 100):
            numbers = range(start + 1, min(start + 100, messages) + 1)
            await asyncio.gather(*(bob.send("alice", f"line {number}") for number in numbers))


async def scroll(chat: ChatPage, edge: str, to: int) -> dict[str, Any]:
    """Screen by screen, until the message with that seq is drawn."""
    result: dict[str, Any] = await chat.page.evaluate(SCROLL, {"edge": edge, "to": to})
    return result


async def test_a_bounded_part_is_drawn_and_the_view_stands_still(browser: Browser) -> None:
    async with serving(limits=False) as server:
        await tell(server.url, MESSAGES)
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await alice.row("bob").click()
        await alice.page.get_by_label("Go to the newest message").click()
        await expect(alice.message(f"line {MESSAGES}")).to_be_in_viewport()
        up = await scroll(alice, "top", 1)
        assert up["seen"] >= MESSAGES
        assert up["most"] <= MOST_ROWS
        assert up["moved"] <= 1
        await expect(alice.page.get_by_text("beginning of your conversation")).to_be_attached()
        await server.stop()
        # What has been loaded is there without the server.
        await expect(alice.page.get_by_text("No connection.")).to_be_visible()
        down = await scroll(alice, "bottom", MESSAGES)
        assert down["seen"] >= MESSAGES
        assert down["most"] <= MOST_ROWS
        assert down["moved"] <= 1
        assert alice.problems == []
        await alice.close()


async def test_home_and_end_go_to_the_ends_and_what_is_selected_stays(browser: Browser) -> None:
    async with serving(limits=False) as server:
        await tell(server.url, 600)
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await alice.row("bob").click()
        log = alice.page.get_by_role("log")
        await log.focus()
        await log.press("End")
        await expect(alice.message("line 600")).to_be_in_viewport()
        await scroll(alice, "top", 300)
        await alice.page.evaluate(SELECT, ["line 310", "line 312"])
        await scroll(alice, "top", 1)
        await log.press("Home")
        await expect(alice.message("line 1")).to_be_in_viewport()
        selected = await alice.page.evaluate("getSelection().toString()")
        words = selected.replace("bob:", "").split()
        assert words == ["line", "310", "line", "311", "line", "312"]
        await alice.page.evaluate("getSelection().removeAllRanges()")
        await log.press("End")
        await expect(alice.message("line 600")).to_be_in_viewport()
        await expect(alice.message("line 310")).to_have_count(0)
        assert await alice.page.locator(".message").count() <= MOST_ROWS
        await expect(log).to_be_focused()
        await alice.close()


SELECT = """([first, last]) => {
    const text = wanted => [...document.querySelectorAll('.text')]
        .find(node => node.textContent === wanted).firstChild;
    getSelection().setBaseAndExtent(text(first), 0, text(last), last.length);
}"""


async def test_older_messages_come_to_a_reader_who_scrolls_at_once(browser: Browser) -> None:
    """After a reload the first request finds no connection; the next ones do not wait for it."""
    async with serving(limits=False) as server:
        await tell(server.url, 120)
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await alice.row("bob").click()
        await alice.page.get_by_label("Go to the newest message").click()
        await expect(alice.row("bob").locator(".badge")).to_have_count(0)
        await alice.page.reload()
        await expect(alice.message("line 120")).to_be_in_viewport()
        await alice.page.evaluate("document.getElementById('log').scrollTop = 0")
        await expect(alice.message("line 70")).to_be_attached()
        await alice.close()


async def test_a_page_that_was_refused_is_asked_for_again(browser: Browser) -> None:
    """The reader stands at the edge, so no scrolling asks again."""
    async with serving(limits=False) as server:
        await tell(server.url, 120)
        context = await browser.new_context()
        refused: list[str] = []

        async def refuse_once(route: WebSocketRoute) -> None:
            upstream = route.connect_to_server()

            def from_page(frame: str | bytes) -> None:
                text = str(frame)
                if '"history"' in text and '"before"' in text and not refused:
                    refused.append(text)
                    id = text[2 : text.index("[")]
                    route.send(f'43{id}[{{"code":"503","message":"not now"}}]')
                else:
                    upstream.send(frame)

            route.on_message(from_page)

        await context.route_web_socket("**/socket.io/**", refuse_once)
        alice = await ChatPage.logged_in(context, server.url, "alice")
        await alice.row("bob").click()
        await expect(alice.message("line 30")).to_be_attached()
        assert refused
        await alice.close()


def above(chat: ChatPage) -> Locator:
    """The message below the line "New messages"."""
    return chat.page.locator(".new + .message .text")


async def test_the_line_new_messages_is_never_above_ones_own(browser: Browser) -> None:
    async with serving() as server:
        phone = ChatClient(server.url, user="alice", password="secret of alice")
        async with phone, ChatClient(server.url, user="bob", password="secret of bob") as bob:
            await phone.send("bob", "mine, from the phone")
            await bob.send("alice", "first answer")
            alice = await ChatPage.logged_in(browser, server.url, "alice")
            await expect(alice.row("bob").locator(".badge")).to_contain_text("1")
            await alice.row("bob").click()
            await expect(above(alice)).to_have_text("first answer")
            await expect(alice.row("bob").locator(".badge")).to_have_count(0)

            await alice.row("Everyone").click()
            await alice.row("bob").click()
            await expect(alice.message("first answer")).to_be_visible()
            await expect(above(alice)).to_have_count(0)
            await alice.page.evaluate("document.hasFocus = () => false")
            await phone.send("bob", "mine again")
            await expect(alice.message("mine again")).to_be_visible()
            await expect(above(alice)).to_have_count(0)
            await bob.send("alice", "second answer")
            await expect(above(alice)).to_have_text("second answer")
            await alice.close()


async def test_ones_own_messages_are_not_counted_as_unread(browser: Browser) -> None:
    async with serving() as server:
        phone = ChatClient(server.url, user="alice", password="secret of alice")
        async with phone, ChatClient(server.url, user="bob", password="secret of bob") as bob:
            context = await browser.new_context()

            async def lose_ones_own(route: WebSocketRoute) -> None:
                upstream = route.connect_to_server()

                def from_server(frame: str | bytes) -> None:
                    if not (str(frame).startswith("42") and '"data":"mine"' in str(frame)):
                        route.send(frame)

                upstream.on_message(from_server)

            await context.route_web_socket("**/socket.io/**", lose_ones_own)
            await bob.send("alice", "one")
            alice = await ChatPage.logged_in(context, server.url, "alice")
            badge = alice.row("bob").locator(".badge")
            await expect(badge).to_contain_text("1")
            await alice.page.evaluate(RECORD_BADGES)
            await phone.send("bob", "mine")
            await bob.send("alice", "two")
            await expect(badge).to_contain_text("2")
            # Read elsewhere; what follows is alice's own.
            last = await phone.send("bob", "the last word")
            await expect(alice.row("bob")).to_contain_text("the last word")
            assert last.seq
            await phone.mark_read("bob", last.seq - 1)
            await expect(badge).to_have_count(0)
            # A row that is drawn again for another reason shows the badge again.
            badges = await alice.page.evaluate("badges")
            assert set(badges) <= {"1 unread message", "2 unread messages"}
            await alice.close()


RECORD_BADGES = """() => {
    window.badges = [];
    new MutationObserver(() => {
        const text = document.querySelector('.badge')?.textContent;
        if (text && badges.at(-1) !== text) badges.push(text);
    }).observe(document.getElementById('conversations'), {childList: true, subtree: true});
}"""


async def test_a_long_paste_is_whole_and_takes_linear_time(browser: Browser) -> None:
    async with serving() as server:
        context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        alice = await ChatPage.logged_in(context, server.url, "alice")
        await alice.begin("alice")

        devtools = await context.new_cdp_session(alice.page)
        # CPU time of the page's thread: what else runs on the machine does not count.
        await devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

        async def busy() -> float:
            answer = await devtools.send("Performance.getMetrics")
            [seconds] = [one["value"] for one in answer["metrics"] if one["name"] == "TaskDuration"]
            return float(seconds)

        async def paste(lines: int) -> float:
            text = "\n".join(f"line {number}" for number in range(lines))
            await alice.page.evaluate("text => navigator.clipboard.writeText(text)", text)
            before = await busy()
            await alice.composer.press("Control+v")
            await alice.page.evaluate(NEXT_FRAME)
            seconds = await busy() - before
            assert await alice.composer.input_value() == text
            await alice.page.evaluate("document.getElementById('composer-text').value = ''")
            return seconds

        few = min([await paste(4_000) for _ in range(3)])
        many = min([await paste(16_000) for _ in range(3)])
        # What is quadratic takes 16 times as long.
        assert many <= 10 * few, f"4 times the lines take {many / few:.1f} times as long"
        await alice.close()


NEXT_FRAME = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


async def test_a_message_of_nothing_but_marks_is_whole_and_has_few_elements(
    browser: Browser,
) -> None:
    text = "*a* " * 8_000 + "https://example.org"
    async with serving(limits=False) as server:
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await alice.begin("alice")
        await alice.write(text)
        shown = alice.page.locator(".message .text")
        await expect(shown).to_contain_text("https://example.org")
        assert (await shown.inner_text()).replace("*", "") == text.replace("*", "")
        assert 200 <= await shown.locator("*").count() <= 250
        await alice.close()


async def test_many_conversations_are_a_few_rows(browser: Browser, tmp_path: Path) -> None:
    async with serving(limits=False, accounts="open") as server:
        async with ChatClient(server.url, user="alice") as client:
            for number in range(300):
                await client.create_room(f"room{number:03}", f"Room {number:03}")
        alice = await ChatPage.open(browser, server.url)
        await alice.log_in("alice", "any")
        rows = alice.page.locator("#conversations > li")
        await expect(rows.first).to_have_attribute("aria-setsize", "301")
        assert await rows.count() <= 80
        keys = alice.page.keyboard
        await keys.press("Control+k")
        await keys.press("ArrowDown")
        focused = alice.page.locator("#conversations > li:has(:focus)")
        for place in range(1, 61):
            await expect(focused).to_have_attribute("aria-posinset", str(place))
            await keys.press("ArrowDown")
        await expect(focused).to_be_in_viewport()
        await alice.page.locator("#list-frame").evaluate("frame => frame.scrollTop = 1e6")
        await expect(rows.last).to_have_attribute("aria-posinset", "301")
        await expect(focused).to_have_attribute("aria-posinset", "61")
        await keys.press("ArrowDown")
        await expect(focused).to_be_in_viewport()
        await keys.press("End")
        await expect(focused).to_have_attribute("aria-posinset", "301")
        await expect(focused).to_be_in_viewport()
        assert await rows.count() <= 80

        hits = await alice.find("room")
        await expect(hits).to_have_count(51)  # and "write to this id"
        await expect(alice.page.get_by_text("250 more")).to_be_attached()
        hits = await alice.find("room299")
        await expect(hits).to_have_count(2)
        await alice.close()
