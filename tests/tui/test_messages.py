"""Acting on messages: the cursor in the log, replies, edits, reactions, deletions and files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from pychat.client import ChatClient
from pychat.client.events import ChangeRefused
from pychat.client.models import (
    ChangeKind,
    FileInfo,
    MemberInfo,
    MessageInfo,
    PendingChange,
    QuoteInfo,
)
from pychat.tui.app import ChatApp
from pychat.tui.log.widget import MessageLog
from pychat.tui.settings import Settings
from tests.serving import serving
from tests.tui import scenes
from tests.tui.driving import screen_text, wait_for, wait_gone, wait_text, write
from tests.tui.scripted import ScriptedClient

pytestmark = pytest.mark.e2e


@asynccontextmanager
async def with_bob(
    client: ScriptedClient, size: tuple[int, int] = (100, 30), **settings: object
) -> AsyncIterator[tuple[ChatApp, Pilot[None]]]:
    app = scenes.app(client, **settings)
    async with app.run_test(size=size, notifications=True) as pilot:
        await wait_text(pilot, "● alice")
        app.chat.open("bob")
        await wait_text(pilot, "Message Bob Marsh")
        yield app, pilot


def log(client: ScriptedClient) -> list[MessageInfo]:
    return client.log["bob"]


def selected(app: ChatApp) -> str | None:
    message = app.chat.selected
    return None if message is None else message.text


async def test_up_in_an_empty_text_selects_messages_and_keys_act_on_them() -> None:
    client = scenes.world()
    async with with_bob(client) as (app, pilot):
        composer = app.chat.view.composer
        await pilot.press("up")
        assert selected(app) == "Ship it when you are ready"
        await wait_text(pilot, "▌ Ship it", "R reply", "E edit", "Enter more")
        await pilot.press("up", "r")
        await wait_text(pilot, "Replying to Bob Marsh: Good catch, fixing.")
        assert composer.has_focus
        assert selected(app) is None
        await write(pilot, "you are welcome")
        await pilot.press("enter")
        assert log(client)[-1].reply_to == QuoteInfo(8, "bob", log(client)[7].text)
        await wait_text(pilot, "↪ Bob Marsh: Good catch")
        await wait_gone(pilot, "Replying")


async def test_an_edit_leaves_the_draft_alone() -> None:
    client = scenes.world()
    async with with_bob(client) as (app, pilot):
        composer = app.chat.view.composer
        await write(pilot, "half a thought")
        await pilot.press("alt+s", "e")
        await wait_text(pilot, "Editing: Ship it when you are ready")
        await write(pilot, "!")
        app.chat.open("tove")
        await wait_text(pilot, "One more thing")
        app.chat.open("bob")
        await wait_text(pilot, "Editing: Ship it")
        assert client.draft("bob") == "half a thought"
        assert composer.text == "Ship it when you are ready!"
        await pilot.press("enter")
        await wait_text(pilot, "edited", "half a thought")
        assert log(client)[-1].text == "Ship it when you are ready!"
        await pilot.press("alt+s", "e")
        await write(pilot, "?")
        await pilot.press("escape")
        await wait_gone(pilot, "Editing")
        assert composer.text == "half a thought"
        # A message that is deleted meanwhile can be neither edited nor replied to.
        await pilot.press("alt+s", "r")
        await wait_text(pilot, "Replying to yourself")
        client.post_removal(log(client)[-1])
        await wait_gone(pilot, "Replying")
        assert composer.text == "half a thought"


async def test_the_text_of_a_refused_edit_is_not_lost() -> None:
    client = scenes.world()
    client.say("jan", "Bitte", own=True)
    async with with_bob(client) as (app, pilot):
        for name in ("bob", "jan"):
            message = client.log[name][-1]
            change = PendingChange("key", ChangeKind.EDIT, message, text="my long text")
            client.tell(ChangeRefused(change, "somebody has edited the message"))
        await wait_text(pilot, "somebody has edited the message", "draft my long text")
        assert app.chat.view.composer.text == "my long text"
        change = PendingChange("key", ChangeKind.EDIT, log(client)[-1], text="another")
        client.tell(ChangeRefused(change, "refused again"))
        await wait_text(pilot, "refused again")
        assert app.chat.view.composer.text == "my long text"


async def test_only_own_messages_are_edited_and_deleting_asks() -> None:
    client = scenes.world()
    async with with_bob(client) as (app, pilot):
        await pilot.press("up", "up", "e")
        await wait_text(pilot, "You can edit only your own messages")
        await pilot.press("d")
        await wait_text(pilot, "You can delete only your own messages")
        await pilot.press("down", "d")
        await wait_text(pilot, "Delete this message for everybody?")
        await pilot.press("escape", "d", "enter")
        await wait_text(pilot, "1 message hidden")
        assert log(client)[-1].removed
        assert selected(app) is None


async def test_reactions_are_found_by_name_and_remembered() -> None:
    client = scenes.world()
    async with with_bob(client) as (app, pilot):
        await pilot.press("up", "up", "plus")
        await wait_text(pilot, "Search emoji", "👍")
        await write(pilot, "rocket")
        await wait_text(pilot, "🚀  rocket")
        await pilot.press("enter")
        await wait_text(pilot, "🚀 1")
        assert selected(app) == log(client)[-2].text
        assert app.saved.reactions == ["🚀"]
        await pilot.press("plus")
        await wait_text(pilot, "take back")
        await pilot.press("enter")
        await wait_gone(pilot, "🚀 1")
        await pilot.press("escape")
        await write(pilot, "/react tada")
        await pilot.press("enter")
        await wait_text(pilot, "🎉 1")


async def test_the_other_keys_the_menu_and_the_palette() -> None:
    client = scenes.world()
    async with with_bob(client) as (app, pilot):
        opened: list[str] = []
        app.open_url = lambda url, *, new_tab=True: opened.append(url)  # type: ignore[method-assign]
        await pilot.press("up", "up", "up", "up", "y")
        await wait_text(pilot, "Copied: Reading it now.")
        await pilot.press("i")
        await wait_text(pilot, "From", "You", "Today, 13:54:00", "State", "read")
        await pilot.press("escape", "k", "k", "enter")
        await wait_text(pilot, "Reply to the message", "Save the file, or open the link")
        assert "Edit your message" not in screen_text(app)
        await pilot.press("o")
        await wait_for(pilot, lambda: opened == ["https://example.org/drafts/42"])
        await pilot.press("ctrl+p")
        await write(pilot, "reply to")
        await wait_text(pilot, "Reply to the message")
        await pilot.press("enter")
        await wait_text(pilot, "Replying to Bob Marsh: Morning!")
        await pilot.press("escape", "ctrl+p")
        await write(pilot, "reply to")
        await wait_text(pilot, "Reply to the message")
        await pilot.press("enter")
        await wait_text(pilot, "No message is selected. Press Alt+S")


async def test_letters_are_text_while_no_message_is_selected() -> None:
    async with with_bob(scenes.world()) as (app, pilot):
        app.chat.set_focus(app.chat.view.log_view)
        await write(pilot, "red")
        await wait_for(pilot, lambda: app.chat.view.composer.text == "red")
        await pilot.press("ctrl+u", "up", "down")
        await wait_for(pilot, lambda: app.chat.view.composer.has_focus)


async def test_the_commands_count_from_the_end() -> None:
    client = scenes.world()
    async with with_bob(client) as (app, pilot):
        for command in ("/reply 2 not yet", "/edit 2 Ship it", "/delete 3", "/edit 99", "/edit"):
            app.chat.view.composer.load(command)
            await pilot.press("enter")
            await pilot.pause()
            if command == "/delete 3":
                await wait_text(pilot, "You can delete only your own messages")
            if command == "/edit 99":
                await wait_text(pilot, "There is no such message")
        assert log(client)[-1].text == "not yet"
        assert log(client)[-1].reply_to == QuoteInfo(8, "bob", log(client)[7].text)
        assert log(client)[-2].text == "Ship it"
        await wait_text(pilot, "Editing: not yet")


async def test_a_quote_goes_to_its_origin_by_key_and_by_mouse() -> None:
    client = scenes.world()
    for number in range(60):
        client.say("bob", f"message {number}")
    message = client.say("bob", "about the release", own=True)
    message.reply_to = QuoteInfo(1, "bob", "Did the release go out?")
    async with with_bob(client) as (app, pilot):
        await pilot.press("up")
        await wait_text(pilot, "Enter quoted")
        await pilot.press("enter")
        await wait_for(pilot, lambda: selected(app) == "Did the release go out?")
        await wait_text(pilot, "▌ Did the release go out?")
        await pilot.press("escape", "ctrl+end")
        await wait_text(pilot, "↪ Bob Marsh: Did the release")
        rows = screen_text(app).splitlines()
        y = next(y for y, row in enumerate(rows) if "↪" in row)
        region = app.chat.view.log_view.region
        await pilot.click(MessageLog, offset=(5, y - region.y))
        await wait_for(pilot, lambda: selected(app) == "Did the release go out?")
        # The right button opens the menu for the message under it.
        await pilot.click(MessageLog, offset=(5, 10), button=3)
        await wait_text(pilot, "Reply to the message")


async def test_the_cursor_goes_through_a_long_history_and_stays_in_view() -> None:
    client = scenes.world()
    for number in range(300):
        client.say("bob", f"message {number}", own=number % 3 == 0)
    client.cached_messages = lambda name, limit=500: client.log[name][-50:]  # type: ignore[method-assign, misc]
    async with with_bob(client, (80, 24)) as (app, pilot):
        for number in range(299, 230, -1):
            await pilot.press("up")
            await wait_for(pilot, lambda number=number: selected(app) == f"message {number}")  # type: ignore[misc]
        await wait_text(pilot, "▌ message 231")
        for _ in range(30):
            await pilot.press("down")
        await wait_text(pilot, "▌ message 261")
        client.say("bob", "one more", tell=True)
        await wait_text(pilot, "▌ message 261")


async def test_members_are_completed_by_id_and_alias_recent_ones_first() -> None:
    client = scenes.world()
    client.in_rooms["release"] = [
        MemberInfo("alice", "Alice", "member", True),
        MemberInfo("anna", "Anna Bell", "owner", True),
        MemberInfo("bob", "Bob Marsh", "member", True),
        MemberInfo("tove", "Tove Ann", "moderator", False),
    ]
    async with with_bob(client) as (app, pilot):
        app.chat.open("#release")
        await wait_text(pilot, "Message #release")
        composer = app.chat.view.composer
        await write(pilot, "see @an")
        await wait_text(pilot, "Anna Bell", "Tove Ann")
        await pilot.press("tab")
        assert composer.text == "see @tove "  # has written here, unlike Anna
        await write(pilot, "@bel")
        await wait_text(pilot, "Anna Bell")
        await pilot.press("enter")
        assert composer.text == "see @tove @anna "
        await write(pilot, "@al")
        await wait_text(pilot, "@ALL")
        assert "@alice" not in screen_text(app)
        await pilot.press("escape", "ctrl+u")
        await write(pilot, "a@b")
        assert app.chat.view.composer._completions.chosen is None


async def test_files_are_sent_and_saved(tmp_path: Path) -> None:
    (tmp_path / "cat.txt").write_text("meow")
    downloads = tmp_path / "new" / "downloads"
    async with serving(accounts="claim", limits=False) as server:
        client = ChatClient(server.url, user="alice", password="alice password")
        app = ChatApp(client, Settings(reduced_motion=True, downloads=str(downloads)))
        async with (
            ChatClient(server.url, user="bob", password="bob password") as bob,
            app.run_test(size=(100, 30), notifications=True) as pilot,
        ):
            await wait_text(pilot, "● alice")
            message = await bob.send("alice", "look", file=tmp_path / "cat.txt")
            assert message.file is not None
            app.chat.open("bob")
            await wait_text(pilot, "look", "↓ cat.txt (4 B)")
            await write(pilot, f"/file {tmp_path}/ca")
            await wait_for(pilot, lambda: app.chat.view.composer._completions.chosen)
            await pilot.press("tab")
            assert app.chat.view.composer.text == f"/file {tmp_path}/cat.txt"
            await pilot.press("enter")
            await wait_for(pilot, lambda: len(client.cached_messages("bob")) == 2)
            await wait_for(pilot, lambda: client.cached_messages("bob")[-1].seq)
            sent = client.cached_messages("bob")[-1]
            assert sent.file is not None
            assert (sent.file.name, sent.file.size, sent.text) == ("cat.txt", 4, "")
            for number in (1, 2):
                await (write(pilot, "/get") if number == 1 else pilot.press("up", "o"))
                await pilot.press(*["enter"] * (number == 1))
                await wait_for(pilot, lambda n=number: len(list(downloads.glob("*"))) == n)  # type: ignore[misc]
            await wait_text(pilot, "cat (2).txt")
            assert (downloads / "cat (2).txt").read_text() == "meow"
            await pilot.press("escape")
            await write(pilot, "/file /nowhere/cat")
            await pilot.press("enter")
            await wait_text(pilot, "There is no file /nowhere/cat")


async def test_a_transfer_shows_its_progress_and_is_cancelled() -> None:
    client = scenes.world()
    message = client.say("bob", "")
    message.file = FileInfo("0" * 32, "film.mp4", 2_000_000, "video/mp4")
    ended: list[str] = []

    async def download(message: object, to: object, *, progress: Callable[[int], None]) -> Path:
        progress(500_000)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("download")
        raise AssertionError

    client.download = download  # type: ignore[attr-defined]
    async with with_bob(client, downloads="/tmp") as (_, pilot):
        await pilot.press("up", "o")
        await wait_text(pilot, "↓ film.mp4 25 % of 2.0 MB  Alt+C cancels")
        await pilot.press("alt+c")
        await wait_gone(pilot, "25 %")
        assert ended == ["download"]
        await wait_text(pilot, "film.mp4: cancelled")
        await pilot.press("alt+c")
        await wait_text(pilot, "No file is being sent or saved")
