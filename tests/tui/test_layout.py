"""The compact layout of the log, and what is beside the log on wide screens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pychat.client.models import MemberInfo
from tests.tui import scenes
from tests.tui.driving import screen_text, wait_for, wait_gone, wait_text, write
from tests.tui.scripted import NOW

pytestmark = pytest.mark.e2e

LINE = re.compile(r"14:\d\d (You|bob|mina) +message \d+")


async def test_the_compact_layout_shows_a_message_in_each_row_and_is_kept(tmp_path: Path) -> None:
    client = scenes.world()
    for number in range(40):
        client.say("bob", f"message {number}", at=NOW - 400 + number * 10, own=number % 3 == 0)
    long = client.say("bob", "words " * 30, own=True)
    app = scenes.app(client, state=tmp_path / "state.json")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_text(pilot, "● alice")
        app.chat.open("bob")
        await wait_text(pilot, "words words")
        await write(pilot, "/layout compact")
        await pilot.press("enter")
        await wait_text(pilot, "14:29 bob")
        client.post_removal(long)
        await wait_for(pilot, lambda: len(LINE.findall(screen_text(app))) >= 17)
        client.say("bob", "one " * 20, tell=True)
        await wait_text(pilot, "14:30 bob        one one")
        rows = [row[28:] for row in screen_text(app).splitlines() if "one one" in row[28:]]
        assert len({row.index("one") for row in rows}) == 1  # a hanging indent
        # What is copied is the text without times, names and indents.
        log = app.chat.view.log_view
        y = next(y for y, row in enumerate(screen_text(app).splitlines()) if rows[0] in row)
        await pilot.click(type(log), offset=(30, y - log.region.y), times=2)
        await wait_for(pilot, lambda: app.chat.get_selected_text())
        assert (app.chat.get_selected_text() or "").strip() == ("one " * 20).strip()
        await write(pilot, "/layout wide")
        await pilot.press("enter")
        await wait_text(pilot, "Type /layout comfortable or /layout compact")
    app = scenes.app(client, state=tmp_path / "state.json")
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        app.chat.open("bob")
        await wait_text(pilot, "14:30 bob        one one")
        await pilot.press("ctrl+p")
        await write(pilot, "comfortable")
        await wait_text(pilot, "Show messages comfortable")
        await pilot.press("enter")
        await wait_text(pilot, "Bob Marsh bob  14:2")


async def test_wide_screens_show_the_members_of_a_room_and_others_on_demand() -> None:
    client = scenes.world()
    client.in_rooms["release"] = [
        MemberInfo("alice", "Alice", "member", True),
        MemberInfo("tove", "Tove\x1b[2J", "owner", False),
        MemberInfo("bob", "Bob Marsh", "moderator", True),
    ]
    app = scenes.app(client)
    async with app.run_test(size=(160, 30), notifications=True) as pilot:
        await wait_text(pilot, "● alice")
        app.chat.open("#release")
        await wait_text(pilot, "● Bob Marsh bob  moderator", "○ Tove[2J tove  owner")
        app.chat.open("bob")
        await wait_gone(pilot, "moderator")
        await pilot.press("alt+l")
        await wait_text(pilot, "This is no room")
        app.chat.open("#release")
        await wait_text(pilot, "moderator")
        await pilot.resize_terminal(80, 24)
        await wait_gone(pilot, "moderator")
        await pilot.press("alt+l")
        await wait_text(pilot, "3 members of #release", "● Bob Marsh bob  moderator")
        await pilot.press("home", "enter")
        await wait_for(pilot, lambda: app.chat.current == "bob")
