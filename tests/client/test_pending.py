"""Changes that were made offline, on a real server: what it makes of them, and what others see."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pychat.client import ChatClient, RequestRefused
from pychat.client.events import ChangeRefused, MessageChanged
from pychat.client.models import ConnectionState, MessageInfo
from tests.client.watcher import Watcher, started
from tests.serving import serving


def person(url: str, id: str, cache: Path | None = None) -> ChatClient:
    return ChatClient(url, user=id, password="", cache=cache)


async def messages(client: ChatClient, name: str) -> list[MessageInfo]:
    return (await client.history(name)).messages


async def nothing_waits(watcher: Watcher) -> None:
    async with asyncio.timeout(30):
        while watcher.client.status.waiting:
            await watcher.next(object)


async def test_changes_made_offline_reach_the_server_after_a_restart(tmp_path: Path) -> None:
    store, cache = f"sqlite:///{tmp_path}/chat.db", tmp_path / "cache.db"
    async with serving(store, accounts="open") as server:
        port = server.port
        async with person(server.url, "bob"), started(person(server.url, "alice", cache)) as alice:
            await alice.state(ConnectionState.ONLINE)
            for text in ("first", "second"):
                await alice.client.send("bob", text)
    async with started(person(server.url, "alice", cache)) as alice:
        first, second = alice.client.cached_messages("bob")
        alice.client.post_edit(first, "first, edited")
        alice.client.post_reaction(first, "👍")
        alice.client.post_edit(first, "first, edited twice")
        alice.client.post_removal(second)
        third = alice.client.post("bob", "third", reply_to=1)
        alice.client.post_edit(third, "third, never sent before")
    async with started(person(server.url, "alice", cache)) as alice:
        shown = alice.client.cached_messages("bob")
        assert [each.text for each in shown] == [
            "first, edited twice",
            "",
            "third, never sent before",
        ]
        async with serving(store, port=port, accounts="open") as server:
            await nothing_waits(alice)
            async with person(server.url, "bob") as bob:
                one, two, three = await messages(bob, "alice")
                assert (one.text, one.edited is not None) == ("first, edited twice", True)
                assert [(each.emoji, each.by) for each in one.reactions] == [("👍", ("alice",))]
                assert two.removed
                assert (three.text, three.edited) == ("third, never sent before", None)
                assert max(one.rev, two.rev) == 3
            assert not [each for each in alice.seen if isinstance(each, ChangeRefused)]


async def test_two_devices_that_edit_the_same_text_do_not_overwrite_each_other(
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache.db"
    async with serving(accounts="open") as server, person(server.url, "alice") as phone:
        async with started(person(server.url, "alice", cache)) as laptop:
            await laptop.state(ConnectionState.ONLINE)
            sent = await laptop.client.send("ALL", "old")
            await phone.edit(sent.id, "from the phone")
            await laptop.changed(text="from the phone")
            await laptop.client.edit(sent, "from the laptop")
        offline = person(server.url, "alice", cache)
        laptop = Watcher(offline)
        offline.start(connect=False)
        offline.post_edit(sent, "again from the laptop")
        await phone.edit(sent.id, "again from the phone")
        offline.start()
        refused = await laptop.next(ChangeRefused)
        assert refused.reason == (
            "edit of “from the laptop” refused: the message has been edited meanwhile"
        )
        (message,) = offline.cached_messages("ALL")
        assert message.text == "again from the phone"
        await offline.close()


async def test_a_change_of_a_message_that_is_hidden_now_does_not_show_it() -> None:
    async with (
        serving(accounts="open") as server,
        started(person(server.url, "alice")) as alice,
        person(server.url, "bob") as bob,
    ):
        await alice.state(ConnectionState.ONLINE)
        sent = await bob.send("alice", "hidden")
        await alice.added("hidden")
        await alice.client.block("bob")
        events = alice.client.events()
        with pytest.raises(RequestRefused):
            await alice.client.react(sent, "👍")
        changed = [each.message for each in events._queue if isinstance(each, MessageChanged)]
        assert changed[-1].removed
        assert changed[-1].text == ""
