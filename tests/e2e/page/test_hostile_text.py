"""What strangers write is shown, and does nothing."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from pychat.client import ChatClient
from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]

HOSTILE = [
    "<img src=x onerror=\"window.hacked = 'img'\">",
    "<script>window.hacked = 'script'</script>",
    "</div></li><h1>out of the bubble</h1>",
    "javascript:window.hacked='link'",
    "&lt;b&gt; stays as written &amp;amp;",
    "w" * 3000,
    "http://a" + "." * 60_000 + "x",
    "\u202eevil txt.exe\u2066 and so on",
    "Z" + "\u0300\u0301\u0302\u0303" * 60,
    "{{7*7}} ${window.hacked=1} `x`",
    "\u200b",
    "bell\x07 and \x9bcontrol",
]


def safe(text: str) -> str:
    """As it is shown: nothing reorders it or takes up a place unseen."""
    return text.replace("`x`", "x").translate(dict.fromkeys(map(ord, "\u202e\u2066\x07\x9b")))


EVIL_ID = '<img src=x onerror="hacked=1">'


async def test_hostile_text_is_shown_and_harmless(browser: Browser) -> None:
    async with serving(limits=False) as server:
        narrow = {"width": 360, "height": 740}
        alice = await ChatPage.logged_in(browser, server.url, "alice", viewport=narrow)
        mallory = await ChatPage.logged_in(browser, server.url, EVIL_ID)
        await mallory.begin("alice")
        for text in HOSTILE:
            await mallory.write(text)
        await expect(mallory.page.locator(".message .state.sent, .state.delivered")).to_have_count(
            len(HOSTILE)
        )
        await alice.row(EVIL_ID).click()
        await expect(alice.page.locator(".message")).to_have_count(len(HOSTILE))
        shown = await alice.page.locator(".message .text").evaluate_all(
            "nodes => nodes.map(node => node.textContent)"
        )
        assert shown == [safe(text) for text in HOSTILE]
        await expect(alice.page.locator("#chat-title")).to_have_text(EVIL_ID)
        for chat in (alice, mallory):
            assert await chat.page.evaluate("window.hacked") is None
            assert await chat.page.locator(".message img, #messages h1").count() == 0
            overflow = "document.documentElement.scrollWidth - innerWidth"
            assert await chat.page.evaluate(overflow) <= 0
            log = "(log => log.scrollWidth - log.clientWidth)(document.getElementById('log'))"
            assert await chat.page.evaluate(log) <= 0
            assert chat.problems == []
        await alice.close()
        await mallory.close()


async def test_hostile_names_are_text_in_quotes_reactions_and_members(browser: Browser) -> None:
    alias = "\u202e<b>evil</b>"
    async with (
        serving() as server,
        ChatClient(server.url, user=EVIL_ID, password="a password", alias=alias) as mallory,
    ):
        await mallory.create_room("r", "The room")
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await (await alice.find("The room")).filter(has_text="The room").first.click()
        first = await mallory.send("#r", "<i>first</i>")
        await mallory.send("#r", "second", reply_to=first.seq)
        await mallory.react(first.id, "<s>👍")
        name = f"<b>evil</b> ({EVIL_ID})"
        await expect(alice.page.locator(".quote")).to_have_text(f"{name} <i>first</i>")
        chip = alice.page.locator(".reaction")
        await expect(chip).to_have_text(f"<s>👍 1 <s>👍: {name}")
        await expect(chip).to_have_attribute("title", name)
        await alice.page.get_by_role("button", name="Members", exact=True).click()
        member = alice.page.locator(".member").first
        await expect(member).to_contain_text(f"<b>evil</b> {EVIL_ID}")
        await member.click()
        await expect(alice.page.get_by_role("dialog")).to_contain_text("<b>evil</b>")
        await alice.page.keyboard.press("Escape")
        await alice.composer.press_sequentially("@<b")
        await expect(alice.page.get_by_role("option")).to_contain_text(EVIL_ID)
        assert await alice.page.evaluate("window.hacked") is None
        assert await alice.page.locator("#messages i, #messages s, #members b").count() == 0
        assert alice.problems == []
        await alice.close()


MARKDOWN = """**bold** and *slanted*, _too_, ~~gone~~ and `a * b * c`; 2*3*4 snake_case_name
```
<b>**as it is**</b>
```
see *https://example.org/*"""


async def test_the_same_small_markdown_as_in_the_terminal(browser: Browser) -> None:
    async with serving() as server:
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await alice.begin("alice")
        await alice.write(MARKDOWN)
        text = alice.page.locator(".message .text")
        await expect(text.locator("strong")).to_have_text(["bold"])
        await expect(text.locator("em")).to_have_text(["slanted", "too", "https://example.org/"])
        await expect(text.locator("s")).to_have_text(["gone"])
        await expect(text.locator("code")).to_have_text(["a * b * c", "<b>**as it is**</b>"])
        await expect(text).to_contain_text("2*3*4 snake_case_name")
        assert await text.locator("b").count() == 0
        await alice.write("now **really**")
        await expect(alice.row("alice").locator(".preview")).to_have_text("You: now really")
        await alice.close()


async def test_quotes_and_lists_are_shown_as_such(browser: Browser) -> None:
    async with serving() as server:
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await alice.begin("alice")
        await alice.write(
            "> you *said*\n> so\nyes:\n- one\n2. <b>two</b>\n>_< -no 3.5\n```\n- code\n```"
        )
        text = alice.page.locator(".message .text")
        await expect(text.locator("blockquote")).to_have_text(["you said\nso"])
        await expect(text.locator("li")).to_have_text(["one", "<b>two</b>"])
        marks = await text.locator("li").evaluate_all("rows => rows.map(row => row.dataset.mark)")
        assert marks == ["•", "2."]
        await expect(text.locator("code")).to_have_text(["- code"])
        await expect(text).to_contain_text(">_< -no 3.5")
        await alice.write("\n".join(f"- *item {number}*" for number in range(400)))
        assert await text.last.locator("*").count() <= 260
        await expect(text.last).to_contain_text("item 399")
        await alice.close()


async def test_links_only_for_the_web_and_without_a_way_back(browser: Browser) -> None:
    async with serving() as server:
        alice = await ChatPage.logged_in(browser, server.url, "alice")
        await alice.begin("alice")
        await alice.write(
            "see https://example.org/a_(b). and http://example.org/?q=1, not ftp://example.org"
        )
        links = alice.page.locator(".message a")
        await expect(links).to_have_count(2)
        assert [await link.get_attribute("href") for link in await links.all()] == [
            "https://example.org/a_(b)",
            "http://example.org/?q=1",
        ]
        for link in await links.all():
            assert await link.get_attribute("rel") == "noopener noreferrer nofollow"
            assert await link.get_attribute("target") == "_blank"
        await alice.close()
