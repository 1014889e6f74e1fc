"""How much is unread: one number in the list, the row below, the status line and the title."""

from __future__ import annotations

import pytest

from pychat.client import ChatClient
from pychat.tui.app import ChatApp
from pychat.tui.log.widget import MessageLog
from pychat.tui.settings import Settings
from pychat.tui.text.names import unread_count
from tests.many import say_many
from tests.serving import serving
from tests.tui import scenes
from tests.tui.driving import screen_text, start_with, wait_for, wait_gone, wait_text, write
from tests.tui.scripted import ScriptedClient


def places(app: ChatApp) -> tuple[str, str, str, str]:
    """What bob's rows in the list, the row below the log, the status line and the title say of
    what is unread."""
    rows = screen_text(app).splitlines()
    width = app.chat.query_one("#list").size.width
    listed = next(n for n, row in enumerate(rows) if " bob " in row[:width])
    below = next((row[width:] for row in rows if "↓" in row), "")
    status = rows[-1].partition(" · ")[2]
    return (
        rows[listed + 1][:width].split()[-1],
        below.partition("↓ ")[2].partition(" unread")[0],
        status.partition(" unread")[0],
        app.title.partition(")")[0].lstrip("("),
    )


@pytest.mark.e2e
async def test_an_answer_clears_all_places_and_the_other_device() -> None:
    async with (
        serving(accounts="open", limits=False) as server,
        ChatClient(server.url, user="bob", password="") as bob,
    ):
        await say_many(server.url, "alice", "bob", [f"line {number}." for number in range(60)])
        phone = ChatClient(server.url, user="alice", password="")
        phone.start()
        app = ChatApp(
            ChatClient(server.url, user="alice", password=""),
            Settings(reduced_motion=True, theme="pychat-dark"),
        )
        async with app.run_test(size=(80, 24)) as pilot:
            await wait_text(pilot, "● alice")
            await start_with(pilot, "bob")
            await wait_text(pilot, "line 59.")
            app.chat.query_one(MessageLog).scroll_home(animate=False)
            await wait_text(pilot, "↓ Ctrl+End")
            for text in ("one", "two", "three"):
                await bob.send("alice", text)
            await wait_text(pilot, "↓ 3 unread")
            assert places(app) == ("3", "3", "3", "3")
            await wait_for(pilot, lambda: unread(phone) == 3)
            await write(pilot, "an answer")
            await pilot.press("enter")
            await wait_gone(pilot, "unread")
            await wait_for(pilot, lambda: unread(phone) == unread(app.client) == 0)
            assert app.title == "pychat"
            # And the other way round: what the phone answers is read here.
            app.chat.query_one(MessageLog).scroll_home(animate=False)
            await wait_text(pilot, "↓ Ctrl+End")
            await bob.send("alice", "four")
            await wait_text(pilot, "↓ 1 unread")
            assert places(app) == ("1", "1", "1", "1")
            await wait_for(pilot, lambda: unread(phone) == 1)
            phone.post("bob", "from the phone")
            await wait_gone(pilot, "unread")
            assert app.title == "pychat"
        await phone.close()


def unread(client: ChatClient, name: str = "bob") -> int:
    conversation = client.conversation(name)
    return -1 if conversation is None else conversation.unread


@pytest.mark.e2e
async def test_more_than_is_counted_is_the_same_everywhere() -> None:
    client = ScriptedClient()
    for _ in range(1000):
        client.say("bob", "again")
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.app_focus = False  # nobody looks, so nothing is read meanwhile
        app.chat.open("bob")
        await wait_text(pilot, "999+ unread")
        await wait_for(pilot, lambda: "999+" in app.title)
        assert places(app) == ("999+", "999+", "999+", "999+")


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ((), ""),
        ((0, 0), ""),
        ((1, 2), "3"),
        ((999,), "999"),
        ((1000,), "999+"),
        ((999, 999), "1998"),
        ((1000, 5), "1004+"),
    ],
)
def test_counts_are_summed(counts: tuple[int, ...], shown: str) -> None:
    assert unread_count(counts) == shown


@pytest.mark.e2e
async def test_the_list_shows_unread_mentions_beside_the_unread_messages() -> None:
    client = ScriptedClient()
    for _ in range(5):
        client.say("#r", "hello", sender="bob")
    known = client.conversation("#r")
    assert known is not None
    known.unread_mentions = 2
    async with scenes.app(client).run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "@2 5")
