"""What counts as read: what was in view of somebody who looks, and nothing that was not."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from pychat.client import ChatClient
from pychat.client.models import ConversationInfo
from pychat.tui.app import ChatApp
from pychat.tui.settings import Settings
from pychat.tui.widgets import conversation_view
from tests.many import say_many
from tests.serving import serving
from tests.tui import scenes
from tests.tui.driving import start_with, wait_for, wait_gone, wait_text, write
from tests.tui.scripted import ScriptedClient


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_view, "READ_SECONDS", 0.15)


def unread(count: int, *, read: int = 0) -> tuple[ScriptedClient, ConversationInfo]:
    """Bob has written ``read`` messages that alice has read, and ``count`` that she has not."""
    client = ScriptedClient()
    for number in range(1, read + count + 1):
        client.say("bob", f"line {number}.")
    known = client.conversation("bob")
    assert known is not None
    known.read_seq, known.unread = read, count
    return client, known


def in_view(app: ChatApp) -> list[int]:
    """The numbers of the lines in the log."""
    log = app.chat.view.log_view
    rows = (log.render_line(y).text.split() for y in range(log.size.height))
    return [int(row[1].rstrip(".")) for row in rows if row[:1] == ["line"]]


async def settled(pilot: Pilot[None]) -> None:
    """Longer than it takes until what is in view is read."""
    await pilot.pause(0.3)


@pytest.mark.e2e
@pytest.mark.parametrize("read", [0, 50])
async def test_more_than_is_in_memory_opens_at_the_first_unread_one(read: int) -> None:
    client, known = unread(3000, read=read)
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await wait_text(pilot, f"line {read + 1}.", *(["─ new"] if read else []))
        await wait_for(pilot, lambda: known.read_seq > read)
        assert known.read_seq == max(in_view(app))
        for _ in range(12):
            await pilot.press("pagedown")
        await wait_for(pilot, lambda: known.read_seq == max(in_view(app)))
        assert known.read_seq > read + 100
        assert client.read == sorted(client.read)


@pytest.mark.e2e
async def test_the_end_shows_the_newest_and_leaves_unread_what_was_not_in_view() -> None:
    client, known = unread(3000, read=50)
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await wait_text(pilot, "line 51.")
        await wait_for(pilot, lambda: known.read_seq > 50)
        read = known.read_seq
        await pilot.press("ctrl+end")
        await wait_text(pilot, "line 3050.")
        await settled(pilot)
        assert (known.read_seq, known.unread) == (read, 3050 - read)
        await pilot.press("alt+n")
        await wait_text(pilot, f"line {read + 1}.")
        await settled(pilot)
        assert known.read_seq == max(in_view(app))
        await write(pilot, "/read")
        await pilot.press("enter")
        await wait_for(pilot, lambda: (known.read_seq, known.unread) == (3050, 0))


@pytest.mark.e2e  # it takes too long for the fast part
async def test_read_from_the_end_upwards_all_is_read_once_the_first_is_reached() -> None:
    client, known = unread(120, read=10)
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await wait_text(pilot, "line 11.")
        await pilot.press("ctrl+end")
        await wait_text(pilot, "line 130.")
        await settled(pilot)
        assert known.unread > 80
        first = known.read_seq + 1  # what the opening showed counts if it stayed long enough
        for _ in range(40):
            if not known.unread:
                break
            await pilot.press("pageup")
            await settled(pilot)
        assert known.read_seq == 130
        await wait_for(pilot, lambda: min(in_view(app)) <= first)


@pytest.mark.e2e
async def test_what_slips_by_unseen_stays_unread_below_a_line() -> None:
    client, known = unread(0, read=30)
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await wait_text(pilot, "line 30.")
        await settled(pilot)
        for number in range(31, 131):
            client.say("bob", f"line {number}.", tell=True)
        await wait_text(pilot, "line 130.")
        await settled(pilot)
        assert (known.read_seq, known.unread) == (30, 100)
        await pilot.press("alt+n")
        await wait_text(pilot, "─ new", "line 31.")


@pytest.mark.e2e
async def test_what_came_while_nobody_looked_is_read_as_far_as_it_is_in_view() -> None:
    client, known = unread(0, read=30)
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await wait_text(pilot, "line 30.")
        await settled(pilot)
        app.app_focus = False
        app.chat.view.focus_lost()
        for number in range(31, 91):
            client.say("bob", f"line {number}.", tell=True)
            await pilot.pause(0.001)
        await wait_text(pilot, "line 90.")
        await settled(pilot)
        app.app_focus = True
        app.chat.view.mark_read()
        await settled(pilot)
        assert known.read_seq == 30
        await pilot.press("alt+n")
        await wait_text(pilot, "─ new", "line 31.")
        await wait_for(pilot, lambda: known.read_seq == max(in_view(app)))


@pytest.mark.e2e
async def test_what_comes_behind_the_list_of_a_narrow_terminal_is_not_read() -> None:
    client, known = unread(0, read=5)
    app = scenes.app(client)
    async with app.run_test(size=(40, 20)) as pilot:
        app.chat.open("bob")
        await wait_text(pilot, "line 5.")
        await pilot.press("ctrl+b")
        await wait_gone(pilot, "Message bob")
        client.say("bob", "line 6.", tell=True)
        await wait_text(pilot, "line 6.")  # the list's last line
        await settled(pilot)
        assert known.unread == 1
        await pilot.press("ctrl+b")
        await wait_for(pilot, lambda: not known.unread)


@pytest.mark.e2e  # it takes too long for the fast part
async def test_three_thousand_from_a_server_are_read_as_they_come_into_view(tmp_path: Path) -> None:
    async with serving(f"sqlite:///{tmp_path}/chat.db", accounts="open", limits=False) as server:
        async with ChatClient(server.url, user="alice", password=""):
            pass
        lines = [f"line {number}." for number in range(1, 3001)]
        await say_many(server.url, "bob", "alice", lines)
        client = ChatClient(server.url, user="alice", password="")
        app = ChatApp(client, Settings(reduced_motion=True, theme="pychat-dark"))
        async with (
            ChatClient(server.url, user="bob", password="") as bob,
            app.run_test(size=(80, 24)) as pilot,
        ):
            await wait_text(pilot, "● alice", "999+")
            await start_with(pilot, "bob")
            await wait_text(pilot, "line 1.")
            alice = bob.conversation
            await wait_for(pilot, lambda: peer_read(alice("alice")) > 0)
            for _ in range(8):
                await pilot.press("pagedown")
            await wait_for(pilot, lambda: peer_read(alice("alice")) == max(in_view(app)))
            read = peer_read(alice("alice"))
            await pilot.press("ctrl+end")
            await wait_text(pilot, "line 3000.")
            await bob.send("alice", "line 3001.")
            await wait_text(pilot, "line 3001.")
            await settled(pilot)
            assert peer_read(alice("alice")) == read
            await pilot.press("alt+n")
            await wait_text(pilot, f"line {read + 1}.")


def peer_read(conversation: ConversationInfo | None) -> int:
    assert conversation is not None
    return conversation.peer_read_seq
