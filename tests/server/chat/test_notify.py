"""``notify``: which messages of a conversation a user's clients announce."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in


async def levels(client: Direct) -> dict[str, str]:
    listed = (await client.ask("conversations"))["conversations"]
    return {each["with"]: each["notify"] for each in listed if "notify" in each}


async def test_all_devices_agree_and_nobody_else_is_told() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        page, bob = Direct(chat, "alice", modern=False), await logged_in(chat, "bob")
        await page.login("")
        await alice.send_message("bob", "hello")
        await alice.ask("room", command="create", roomId="den")
        others = [len(each.order) for each in (page, bob)]
        assert await levels(alice) == {}
        for name, level in (("bob", "muted"), ("#den", "mentions"), ("ALL", "muted")):
            answer = await alice.ask("notify", **{"with": name, "level": level})
            assert (answer["code"], answer["message"]) == ("200", f"{name}: {level}")
            assert phone.of("notify")[-1] == {"with": name, "level": level}
        assert await levels(phone) == {"bob": "muted", "#den": "mentions", "ALL": "muted"}
        await phone.ask("notify", **{"with": "bob", "level": "all"})
        assert await levels(alice) == {"#den": "mentions", "ALL": "muted"}
        assert [len(each.order) for each in (page, bob)] == others


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"with": "bob", "level": "loud"}, "400"),
        ({"with": "bob"}, "400"),
        ({"with": "bob", "level": "muted"}, "404"),
        ({"with": "nobody", "level": "muted"}, "404"),
        ({"with": "#den", "level": "muted"}, "403"),
    ],
)
async def test_what_is_refused(request_: dict[str, Any], code: str) -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        await bob.ask("room", command="create", roomId="den")
        assert (await alice.ask("notify", **request_))["code"] == code


async def test_who_leaves_the_room_meanwhile_has_chosen_nothing() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        await alice.ask("room", command="create", roomId="den")
        held = store.hold("set_notify")
        asked = alice.start("notify", **{"with": "#den", "level": "muted"})
        await held.called.wait()
        assert (await phone.ask("room", command="leave", roomId="den"))["code"] == "200"
        held.answer()
        assert (await asked)["code"] == "403"
        assert phone.of("notify") == []


async def test_a_list_that_is_being_read_has_the_new_level() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        await logged_in(chat, "bob")
        await alice.send_message("bob", "hello")
        held = store.hold("conversations", done=True)
        listing = phone.start("conversations")
        await held.done.wait()
        await alice.ask("notify", **{"with": "bob", "level": "muted"})
        held.answer()
        listed = (await listing)["conversations"]
        assert [each.get("notify") for each in listed if each["with"] == "bob"] == ["muted"]
