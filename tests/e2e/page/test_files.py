"""Files in the page: chosen, pasted, dropped; pictures, players and cards; nothing runs."""

from __future__ import annotations

import asyncio
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Route, expect

from pychat.client import ChatClient
from tests.e2e.page.chatpage import ChatPage
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


def png(width: int, height: int, colour: bytes = b"\x20\x90\x70") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = (b"\0" + colour * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def given(name: str, mime: str, content: bytes) -> Any:
    return {"name": name, "mimeType": mime, "buffer": content}


LOADED = "image => image.complete && image.naturalWidth > 0"


async def test_several_files_go_with_the_text_and_pictures_are_viewed(browser: Browser) -> None:
    async with serving() as server:
        alice, bob = await ChatPage.both(browser, server.url, "alice", "bob")
        await alice.begin("bob")
        await alice.page.locator("#attach-files").set_input_files(
            [
                given("wide.png", "image/png", png(640, 320)),
                given("tall.png", "image/png", png(90, 300, b"\xc0\x40\x30")),
                given("notes.txt", "text/plain", b"some text"),
            ]
        )
        await expect(alice.page.locator(".attachment")).to_have_count(3)
        await alice.page.get_by_label("Remove notes.txt").click()
        await expect(alice.page.locator(".attachment")).to_have_count(2)
        await expect(alice.page.locator(".attachment progress")).to_have_count(0)
        await alice.write("Two pictures")
        await expect(alice.page.locator(".attachment")).to_have_count(0)
        await expect(bob.row("alice")).to_contain_text("tall.png")
        await bob.row("alice").click()
        for chat in (alice, bob):
            pictures = chat.page.locator(".message .picture")
            await expect(pictures).to_have_count(2)
            box = await pictures.first.bounding_box()
            assert box is not None
            assert round(box["width"] / box["height"]) == 2
            handle = await pictures.last.locator("img").element_handle()
            await chat.page.wait_for_function(LOADED, arg=handle)
        await expect(bob.message("Two pictures").locator(".picture")).to_have_count(1)

        keys = bob.page.keyboard
        await bob.page.get_by_role("button", name="Show wide.png").press("Enter")
        viewer = bob.page.get_by_role("dialog")
        await expect(viewer).to_contain_text("wide.png")
        await keys.press("ArrowRight")
        await expect(viewer).to_contain_text("tall.png")
        shown = await viewer.locator("img").element_handle()
        await bob.page.wait_for_function(LOADED, arg=shown)
        await keys.press("+")
        await expect(viewer.get_by_label("Original size")).to_have_attribute("aria-pressed", "true")
        await keys.press("Escape")
        await expect(viewer).to_be_hidden()
        await expect(bob.page.get_by_role("button", name="Show wide.png")).to_be_focused()
        assert alice.problems == bob.problems == []
        await alice.close()
        await bob.close()


async def test_a_message_waits_for_its_files_and_an_upload_can_be_cancelled(
    browser: Browser,
) -> None:
    async with serving() as server:
        context = await browser.new_context()
        alice = await ChatPage.logged_in(context, server.url, "alice")
        go_on = asyncio.Event()

        async def slowly(route: Route) -> None:
            await go_on.wait()
            await route.continue_()

        await context.route("**/files?*", slowly)
        await alice.begin("alice")
        choose = alice.page.locator("#attach-files")
        await choose.set_input_files([given("a.txt", "text/plain", b"a")])
        await choose.set_input_files([given("b.txt", "text/plain", b"b")])
        await expect(alice.page.get_by_label("Upload of b.txt")).to_be_visible()
        await alice.write("with a file")
        await expect(alice.page.locator("#composer-error")).to_contain_text("have arrived")
        await alice.page.get_by_label("Remove b.txt").click()
        await alice.composer.press("Enter")
        await alice.row("Everyone").click()
        go_on.set()
        await expect(alice.row("alice")).to_contain_text("You: with a file")
        await alice.row("alice").click()
        await expect(alice.message("with a file").locator(".file")).to_have_text("a.txt 1 B")
        await expect(alice.composer).to_have_value("")
        await expect(alice.page.locator(".attachment")).to_have_count(0)

        await choose.set_input_files([given("none.txt", "text/plain", b"")])
        await expect(alice.page.locator(".attachment")).to_contain_text("It is empty")
        await alice.write("not yet")
        await expect(alice.page.locator("#composer-error")).to_contain_text("remove it")
        await alice.page.get_by_label("Remove none.txt").click()
        await alice.composer.press("Enter")
        await expect(alice.message("not yet")).to_be_visible()
        assert alice.problems == []
        await context.close()


GIVE = """([kind, name, type, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name, { type }));
    const options = { bubbles: true, cancelable: true };
    if (kind === 'paste') {
        const field = document.getElementById('composer-text');
        const paste = new ClipboardEvent('paste', { ...options, clipboardData: data });
        return field.dispatchEvent(paste);
    }
    const target = document.getElementById('sidebar');
    const drag = new DragEvent('dragover', { ...options, dataTransfer: data });
    const over = target.dispatchEvent(drag);
    const hint = !document.getElementById('drop-hint').hidden;
    const drop = new DragEvent('drop', { ...options, dataTransfer: data });
    return target.dispatchEvent(drop) || over || hint;
}"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>parent.hacked = 1</script></svg>'
HTML = "<!doctype html><script>opener.hacked = 1</script>"


async def test_what_is_dropped_never_replaces_the_page_and_scripts_never_run(
    browser: Browser,
) -> None:
    async with serving() as server:
        alice, bob = await ChatPage.both(browser, server.url, "alice", "bob")
        # The browser's own action would open the file.
        assert await alice.page.evaluate(GIVE, ["drop", "x.html", "text/html", HTML]) is False
        await expect(alice.page.locator(".attachment")).to_have_count(0)
        await alice.begin("bob")
        await alice.page.evaluate(GIVE, ["drop", "page.html", "text/html", HTML])
        paste = ["paste", "image.svg", "image/svg+xml", SVG]
        assert await alice.page.evaluate(GIVE, paste) is False
        evil = '<img src=x onerror="hacked=1">.png'
        await alice.page.evaluate(GIVE, ["drop", evil, "image/png", "no picture"])
        await expect(alice.page.locator(".attachment")).to_have_count(3)
        await expect(alice.page.locator(".attachment progress")).to_have_count(0)
        await alice.composer.press("Enter")
        await bob.row("alice").click()
        cards = bob.page.locator(".message .file")
        await expect(cards).to_have_count(3)
        assert await bob.page.locator(".message img").count() == 0
        for name in ("page.html", "image.svg"):
            async with bob.page.context.expect_event(
                "response", lambda response: "/files/" in response.url
            ) as answered:
                await cards.filter(has_text=name).click()
            headers = (await answered.value).headers
            assert headers["content-type"] == "application/octet-stream"
            assert headers["content-disposition"].startswith("attachment;")
            assert "sandbox" in headers["content-security-policy"]
        assert await bob.page.evaluate("window.hacked") is None
        assert alice.problems == bob.problems == []
        await alice.close()
        await bob.close()


async def test_sound_and_film_have_players_and_nothing_jumps(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        serving() as server,
        ChatClient(server.url, user="alice", password="secret of alice") as alice,
    ):
        bob = await ChatPage.logged_in(browser, server.url, "bob")
        for name, content in {
            "song.mp3": b"ID3\x04" + bytes(100),
            "film.webm": b"\x1a\x45\xdf\xa3" + b"\x42\x82\x84webm" + bytes(100),
            "unknown.png": png(2000, 20),
        }.items():
            path = tmp_path / name
            path.write_bytes(content)
            await alice.send("bob", file=path)
        for number in range(20):
            await alice.send("bob", f"line {number}")
        await bob.row("alice").click()
        await expect(bob.page.locator("audio[controls], video[controls]")).to_have_count(2)
        for kind in ("audio", "video"):
            await expect(bob.page.locator(kind)).to_have_attribute("src", re.compile("/files/"))
        height = "document.getElementById('log').scrollHeight"
        before = await bob.page.evaluate(height)
        picture = bob.page.locator(".picture img")
        await picture.scroll_into_view_if_needed()
        await bob.page.wait_for_function(LOADED, arg=await picture.element_handle())
        assert await bob.page.evaluate(height) == before
        assert bob.problems == []
        await bob.close()
