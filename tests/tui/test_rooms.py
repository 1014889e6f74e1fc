"""Topics, invitations and removals in the terminal, with a real server."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from pychat.client import ChatClient
from pychat.tui.app import ChatApp
from pychat.tui.settings import Settings
from pychat.tui.text.names import Name, name_of
from tests.serving import serving
from tests.tui.driving import wait_for, wait_gone, wait_text


def test_a_private_room_has_its_name_and_the_beginning_of_its_id() -> None:
    assert name_of("#private:0a1b2c3d4e5f", "Board") == Name("Board", "#private:0a1b…")
    assert name_of("#private:0a1b2c3d4e5f", "\u3164") == Name("#private:0a1b2c3d4e5f")
    assert name_of("#tea", "Tea room") == Name("#tea")


async def run(pilot: Pilot[None], command: str) -> None:
    app = pilot.app
    assert isinstance(app, ChatApp)
    app.chat.view.composer.load(command)
    await pilot.press("enter")


async def told(pilot: Pilot[None], text: str) -> None:
    """Until a notice says so."""
    await wait_for(pilot, lambda: any(text in each.message for each in pilot.app._notifications))


@pytest.mark.e2e
async def test_rooms_with_members() -> None:
    async with serving(accounts="open", limits=False) as server:
        client = ChatClient(server.url, user="alice", password="")
        app = ChatApp(client, Settings(reduced_motion=True, theme="pychat-dark"))
        async with (
            ChatClient(server.url, user="bob", password="") as bob,
            app.run_test(size=(100, 24)) as pilot,
        ):
            await wait_text(pilot, "● alice")
            app.chat.open("ALL")
            await run(pilot, "/kick bob")
            await told(pilot, "This is no room")
            await run(pilot, "/join tea")
            await wait_text(pilot, "#tea")
            await run(pilot, "/join private:x")
            await told(pilot, "there is no room #private:x")
            await run(pilot, "/join Tea")
            await wait_for(pilot, lambda: app.chat.current == "#tea")
            await run(pilot, "/topic Tea at five")
            await wait_text(pilot, "#tea  Tea at five")
            await run(pilot, "/invite bob")
            await told(pilot, "Invited bob to #tea")
            await bob.join_room("tea")
            await run(pilot, "/kick bob")
            await told(pilot, "Removed bob from #tea")
            await wait_for(pilot, lambda: bob.conversation("#tea") is None)

            board = await bob.create_private_room("Board")
            await bob.invite(board, "alice")
            await told(pilot, f"bob invited you to #{board}")
            await run(pilot, f"/join {board}")
            await wait_text(pilot, "Board #private:")
            await bob.kick(board, "alice")
            await told(pilot, f"bob removed you from #{board}")
            await wait_gone(pilot, "Board")
