"""Makes the README's pictures of page and terminal from the running program.

`python -m scripts.pictures` writes docs/images/*.png; it needs Chromium.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Browser
from rich.cells import cell_len

from pychat.client import ChatClient
from pychat.server.app import ChatServer
from pychat.server.store import open_store
from pychat.server.store.records import CursorMove, NewMessage
from pychat.tui.app import ChatApp
from pychat.tui.clock import Clock
from pychat.tui.settings import Settings
from tests.e2e.browser import chromium

IMAGES = Path(__file__).parent.parent / "docs" / "images"
NOW = datetime(2026, 3, 12, 15, 24, tzinfo=UTC)
"""When the pictures are taken, whatever the clock on the wall says."""

PEOPLE = {"alice": "Alice", "bob": "Bob", "dana": "Dana", "yeonwoo": "김연우", "omar": "Omar"}
ONLINE = ("bob", "yeonwoo")

# Minutes ago, who, what.
BOB = [
    (1490, "alice", "Did the server survive the night?"),
    (1487, "bob", "It did. I pulled the plug at three, and every message was still there."),
    (1486, "bob", "Even the one you were typing 🙂"),
    (1480, "alice", "👏"),
    (42, "alice", "Lunch on Thursday? The place by the river: https://example.org/map"),
    (38, "bob", "Yes! I will bring the notebook and the small projector, so that we can look at "
     "the terminal client on a big wall."),
    (37, "bob", "One o'clock?"),
    (31, "alice", "One is perfect"),
    (6, "bob", "See you there 👋"),
    (5, "alice", "I'll tell Dana and 연우 too"),
]  # fmt: skip
BOOK_CLUB = [
    (300, "dana", "Who has read chapter four?"),
    (298, "bob", "Me, twice"),
    (290, "alice", "Not yet, no spoilers please 🙏"),
    (20, "yeonwoo", "저는 어제 다 읽었어요!"),
    (8, "dana", "Then Thursday, after lunch"),
]
YEONWOO = [
    (200, "alice", "회의 자료 보내 주실 수 있어요?"),
    (185, "yeonwoo", "네, 방금 보냈습니다. 확인 부탁드려요."),
    (60, "yeonwoo", "내일 아침에 다시 이야기해요"),
]
OMAR = [(2900, "omar", "Thanks, that was it!")]
EVERYONE = [(1600, "dana", "The server restarts at noon. Nothing is lost.")]


async def seed(address: str) -> None:
    """What has been said so far, with its times; all of it delivered, the newest not yet read."""
    store, now = open_store(address), int(NOW.timestamp() * 1000)
    await store.open()
    accounts = {
        id: await store.create_account(id, alias, None, now) for id, alias in PEOPLE.items()
    }
    key = {id: account.key for id, account in accounts.items()}
    room = await store.create_room("book-club", "Book club", key["dana"])
    for member in ("alice", "bob", "yeonwoo"):
        await store.join_room(room.conversation, key[member])
    talks = [(room.conversation, BOOK_CLUB, 2), ((await store.everyone()).key, EVERYONE, 0)]
    for other, talk, unread in (("bob", BOB, 0), ("yeonwoo", YEONWOO, 1), ("omar", OMAR, 0)):
        pair = await store.open_pair(key["alice"], key[other])
        talks.append((pair.key, talk, unread))
    said = [
        NewMessage(conversation, key[sender], None, now - minutes * 60_000, text)
        for conversation, talk, _ in talks
        for minutes, sender, text in talk
    ]
    # A store keeps the order in which it was told, which is what lists go by.
    await store.append(sorted(said, key=lambda message: message.sent_at))
    for conversation, talk, unread in talks:
        await store.move_cursors(
            [
                CursorMove(conversation, key[id], len(talk), len(talk) - unread * (id == "alice"))
                for id in PEOPLE
                if await store.membership(conversation, key[id])
            ]
        )
    await store.close()


async def picture_page(browser: Browser, url: str, name: str, *, scheme: str, phone: bool) -> None:
    size = {"width": 360, "height": 740} if phone else {"width": 1180, "height": 740}
    context = await browser.new_context(
        viewport=size,  # type: ignore[arg-type]  # its own TypedDict of these two
        color_scheme=scheme,  # type: ignore[arg-type]  # "light" or "dark"
        device_scale_factor=2,
        locale="en-GB",
        timezone_id="UTC",
    )
    page = await context.new_page()
    await page.clock.set_fixed_time(NOW)
    await page.goto(url)
    await page.get_by_label("Id", exact=True).fill("alice")
    await page.get_by_role("button", name="Log in").click()
    await page.locator("#conversations .conversation").filter(has_text="Bob").first.click()
    await page.get_by_text("One is perfect").wait_for()
    await page.mouse.move(5, 5)
    await page.evaluate("document.fonts.ready")
    await page.screenshot(path=IMAGES / f"{name}.png")
    await context.close()


async def picture_terminal(browser: Browser, url: str, name: str, *, theme: str) -> None:
    client = ChatClient(url, user="alice", password="-")
    app = ChatApp(
        client,
        Settings(theme=theme, reduced_motion=True),
        clock=Clock(now=NOW.timestamp, timezone=UTC),
    )
    async with app.run_test(size=(112, 32)) as pilot:
        await pilot.pause(1.5)
        await pilot.press("ctrl+k", *"bob")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await pilot.pause(1.5)
        drawing = wide(app.export_screenshot(title="pychat connect --user alice"))
    page = await browser.new_page(device_scale_factor=2)
    await page.set_content(f'<body style="margin:0">{drawing}</body>')
    await page.locator("svg").screenshot(path=IMAGES / f"{name}.png", omit_background=True)
    await page.context.close()


def wide(drawing: str) -> str:
    """Rich squeezes wide characters into one cell each: gives every text its cells."""

    def widened(match: re.Match[str]) -> str:
        before, length, between, text = match.groups()
        cells = cell_len(unescape(text)) / len(unescape(text))
        return f"{before}{float(length) * cells}{between}{text}<"

    return re.sub(r'(textLength=")([\d.]+)("[^>]*>)([^<]+)<', widened, drawing)


async def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        address = f"sqlite:///{folder}/chat.db"
        await seed(address)
        await take_pictures(ChatServer(address, accounts="open"))


async def take_pictures(server: ChatServer) -> None:
    await server.start(port=0)
    clients = [ChatClient(server.url, user=id, password="-") for id in ONLINE]
    try:
        for client in clients:
            await client.connect()
        async with chromium() as browser:
            await picture_page(browser, server.url, "page-light", scheme="light", phone=False)
            await picture_page(browser, server.url, "page-dark", scheme="dark", phone=False)
            await picture_page(browser, server.url, "page-phone", scheme="light", phone=True)
            await picture_terminal(browser, server.url, "terminal", theme="auto")
    finally:
        for client in clients:
            await client.close()
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
