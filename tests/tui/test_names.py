"""Who somebody is: no alias passes for another's id, for the reader or for Everyone."""

from __future__ import annotations

import pytest
from textual.widgets import OptionList

from pychat.client.models import UserInfo
from pychat.tui.text.names import Name, name_of
from tests.tui import scenes
from tests.tui.driving import screen_text, wait_for, wait_text, write
from tests.tui.scripted import NOW, ScriptedClient


def two_bobs() -> ScriptedClient:
    """The true one, and eve2, who calls herself bob and has written last."""
    client = ScriptedClient()
    client.say("bob", "from the true one", at=NOW - 60)
    client.say("eve2", "from the false one")
    client.say("ALL", "true to all", sender="bob", at=NOW - 50)
    client.say("ALL", "false to all", sender="eve2", at=NOW - 40)
    bob, eve = client.conversation("bob"), client.conversation("eve2")
    assert bob is not None
    assert eve is not None
    bob.alias, eve.alias = "Bob", "bob"
    return client


@pytest.mark.e2e
async def test_an_alias_that_is_another_word_stands_beside_the_id_everywhere() -> None:
    client = two_bobs()
    app = scenes.app(client)
    told: list[str] = []
    app.notifications.send = lambda title, text: told.append(title)  # type: ignore[method-assign]
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_text(pilot, "bob eve2", "bob (eve2): false")
        app.chat.open("eve2")
        await wait_text(pilot, "○ bob eve2", "bob eve2  14:30", "Message bob (eve2)")
        app.chat.open("ALL")
        await wait_text(pilot, "Bob  14:29", "bob eve2  14:29")
        app.app_focus = False
        client.say("eve2", "look here", tell=True)
        await wait_for(pilot, lambda: told == ["bob (eve2)"])


@pytest.mark.e2e
async def test_the_exact_id_is_found_first() -> None:
    client = two_bobs()
    app = scenes.app(client)
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.press("ctrl+k")
        await write(pilot, "bob")
        matches = app.screen.query_one(OptionList)
        await wait_for(pilot, lambda: matches.option_count == 2)
        assert "eve2" not in str(matches.get_option_at_index(0).prompt)
        assert "bob  eve2" in str(matches.get_option_at_index(1).prompt)
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.chat.current == "bob")


@pytest.mark.e2e
async def test_everyone_is_found_before_a_person_of_that_name() -> None:
    client = two_bobs()
    client.people = [UserInfo("Everyone", "", True), UserInfo("eve3", "Everyone", True)]
    app = scenes.app(client)
    async with app.run_test(size=(100, 24)) as pilot:
        for query in ("Every", "everyone"):
            await pilot.press("ctrl+k")
            await write(pilot, query)
            await wait_text(pilot, "Everyone  Everyone")
            await pilot.press("enter")
            await wait_for(pilot, lambda: app.chat.current == "ALL")
            app.chat.open("bob")


@pytest.mark.parametrize(
    ("id", "alias", "called"),
    [
        ("bob", "Bob", Name("Bob")),
        ("bob", "ＢＯＢ", Name("ＢＯＢ")),
        ("bob", "", Name("bob")),
        ("bob", "\x07\u202e", Name("bob")),
        ("eve2", "bob", Name("bob", "eve2")),
        ("eve2", "You", Name("You", "eve2")),
        ("You", "", Name("You", "You")),
        ("everyone", "Everyone", Name("Everyone", "everyone")),
        ("ALL", "", Name("Everyone")),
        ("#all", "Everyone", Name("#all")),
    ],
)
def test_the_id_is_left_out_only_where_the_alias_is_the_same_word(
    id: str, alias: str, called: Name
) -> None:
    assert name_of(id, alias) == called


def test_a_long_alias_does_not_push_the_id_away() -> None:
    name = name_of("eve2", "bob" + "\u00a0" * 40 + "!")
    assert name.fitted(18) == Name("bob…", "eve2")
    assert name_of("e" * 64, "bob").fitted(18) == Name("bob", "e" * 13 + "…")


@pytest.mark.e2e
async def test_a_long_alias_does_not_push_the_id_out_of_a_narrow_terminal() -> None:
    client = two_bobs()
    eve = client.conversation("eve2")
    assert eve is not None
    eve.alias = "bob, of whom you have heard so much, says hello"
    app = scenes.app(client)
    async with app.run_test(size=(40, 20)) as pilot:
        await wait_text(pilot, "… eve2")
        app.chat.open("eve2")
        await wait_text(pilot, "Message bob")
        rows = [row for row in screen_text(app).splitlines() if "… eve2" in row]
        assert len(rows) == 2  # the header and the head of the message
