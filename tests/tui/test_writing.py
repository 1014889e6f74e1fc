"""The composer: editing, completing, recalling, commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from pychat.client.models import DeliveryStatus, UserInfo
from pychat.protocol import Availability, NotifyLevel
from pychat.tui.app import ChatApp
from pychat.tui.commands.slash import CommandError, parse, plain
from tests.tui import scenes
from tests.tui.driving import screen_text, wait_for, wait_gone, wait_text, write
from tests.tui.scripted import ScriptedClient

FAMILY = "👨\u200d👩\u200d👧\u200d👦"


@asynccontextmanager
async def with_bob(
    client: ScriptedClient | None = None, **settings: object
) -> AsyncIterator[tuple[ChatApp, Pilot[None]]]:
    app = scenes.app(client or scenes.world(), **settings)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.chat.open("bob")
        await pilot.pause()
        yield app, pilot


def sent(app: ChatApp) -> list[str]:
    log = app.client.log["bob"]  # type: ignore[attr-defined] # scripted
    return [message.text for message in log if message.own]


async def test_enter_sends_and_other_keys_make_new_lines() -> None:
    async with with_bob() as (app, pilot):
        await write(pilot, "one")
        await pilot.press("ctrl+j")
        await write(pilot, "two")
        await pilot.press("shift+enter")
        await write(pilot, "three")
        await pilot.press("enter")
        assert sent(app)[-1] == "one\ntwo\nthree"
        assert app.chat.view.composer.text == ""


@pytest.mark.e2e
async def test_nothing_is_sent_of_nothing() -> None:
    async with with_bob() as (app, pilot):
        before = sent(app)
        await pilot.press("space", "ctrl+j", "enter")
        assert sent(app) == before


@pytest.mark.e2e
async def test_keys_act_on_what_a_person_calls_a_character() -> None:
    async with with_bob() as (app, pilot):
        composer = app.chat.view.composer
        for one in (FAMILY, "🇰🇷", "e\u0301", "한"):
            composer.load(f"a{one}b")
            await pilot.press("left", "backspace")
            assert composer.text == "ab", one
            composer.load(f"a{one}b")
            await pilot.press("home", "right", "delete")
            assert composer.text == "ab", one


@pytest.mark.e2e
async def test_what_joins_and_parts_characters_can_be_typed() -> None:
    async with with_bob() as (app, pilot):
        composer = app.chat.view.composer
        persian = "می\u200cخواهم"
        await write(pilot, FAMILY + persian)
        assert composer.text == FAMILY + persian
        composer.load("")
        await write(pilot, "a" + FAMILY)
        await pilot.press("backspace")
        assert composer.text == "a"
        await write(pilot, "\u202e\u200f")  # turns text round: not even one's own
        assert composer.text == "a"


@pytest.mark.e2e
async def test_pasted_text_goes_in_once_and_harmless() -> None:
    async with with_bob() as (app, pilot):
        composer = app.chat.view.composer
        app.post_message(events.Paste("a\x1b]2;x\x07b\nc"))
        await wait_for(pilot, lambda: composer.text)
        assert composer.text == "a]2;xb\nc"


@pytest.mark.e2e
async def test_a_large_paste_is_shown_short_and_sent_in_full() -> None:
    async with with_bob() as (app, pilot):
        composer = app.chat.view.composer
        large = "word " * 20_000
        await write(pilot, "see ")
        app.post_message(events.Paste(large))
        await wait_text(pilot, "see [paste 1: 100,000 characters]")
        app.chat.open("tove")
        app.chat.open("bob")
        await pilot.pause()
        await pilot.press("enter")
        assert sent(app)[-1] == f"see {large}"
        app.post_message(events.Paste(large))
        await wait_text(pilot, "[paste 1: 100,000 characters]")
        await pilot.press("backspace")
        assert composer.text == ""


@pytest.mark.e2e
async def test_the_terminals_cursor_is_where_text_goes_in() -> None:
    async with with_bob() as (app, pilot):
        composer = app.chat.view.composer
        await write(pilot, "ab")
        await pilot.press("ctrl+j")
        await pilot.pause()
        assert app.cursor_position == composer.cursor_screen_offset
        region = composer.content_region
        assert app.cursor_position == (region.x, region.y + 1)
        await pilot.resize_terminal(60, 30)
        await pilot.pause()
        region = composer.content_region
        assert app.cursor_position == (region.x, region.y + 1)


@pytest.mark.e2e
async def test_alt_p_and_up_recall_what_was_sent() -> None:
    async with with_bob() as (app, pilot):
        composer = app.chat.view.composer
        await pilot.press("alt+p")
        assert composer.text == "Ship it when you are ready"
        await pilot.press("up", "up")
        assert composer.text.startswith("Two things")
        await pilot.press("ctrl+end")
        await pilot.press("down", "down", "down", "down", "down", "down", "down")
        assert composer.text == ""


@pytest.mark.e2e
async def test_commands_are_completed() -> None:
    async with with_bob() as (app, pilot):
        await write(pilot, "/")
        await wait_text(pilot, "/msg ID [TEXT]", "/search", "Start a chat")
        await write(pilot, "se")
        await pilot.press("tab")
        assert app.chat.view.composer.text == "/search "
        await pilot.press("ctrl+u")
        await write(pilot, "/mu")
        await pilot.press("enter")
        assert app.chat.view.composer.text == "/mute "
        await pilot.press("enter")
        await wait_text(pilot, "Bob Marsh (bob) is muted")
        assert app.client.conversation("bob").notify is NotifyLevel.MUTED  # type: ignore[union-attr]  # scripted
        await write(pilot, "/notify mentions")
        await pilot.press("enter")
        await wait_text(pilot, "@ only")
        await write(pilot, "/notify loud")
        await pilot.press("enter")
        await wait_text(pilot, "Type /notify all")


@pytest.mark.e2e
async def test_status_and_alias_are_chosen_and_shown() -> None:
    client = scenes.world()
    bob = client.conversation("bob")
    assert bob is not None
    bob.status, bob.status_text = Availability.AWAY, "back at \x1b[2Jnoon"
    async with with_bob(client) as (app, pilot):
        await wait_text(pilot, "◐ Bob Marsh bob", "away · back at [2Jnoon")
        for typed, shown in (
            ("/status dnd writing", "Your status: do not disturb · writing"),
            ("/status asleep", "Type /status away, dnd or online"),
            ("/status", "Your status: do not disturb · writing"),
            ("/alias Alice L.", "Others see you as Alice L."),
        ):
            await write(pilot, typed)
            await pilot.press("enter")
            await wait_text(pilot, shown)
        await wait_text(pilot, "● alice · do not disturb · writing")
        told: list[str] = []
        app.notifications.send = lambda title, text: told.append(text)  # type: ignore[method-assign]
        app.app_focus = False
        client.say("mina", "unheard", tell=True)
        await wait_text(pilot, "unheard")
        await client.set_status(Availability.ONLINE)
        client.say("mina", "heard", tell=True)
        await wait_for(pilot, lambda: told == ["heard"])


@pytest.mark.e2e
async def test_the_password_is_changed() -> None:
    client = scenes.world()
    async with with_bob(client) as (app, pilot):
        await write(pilot, "/password")
        await pilot.press("enter")
        await wait_text(pilot, "Change your password", "New password again")

        async def submit(*values: str) -> None:
            for id, value in zip(("current", "new", "again"), values, strict=True):
                app.screen.query_one(f"#{id}", Input).value = value
            app.screen.query_one("#again", Input).focus()
            await pilot.press("enter")

        await submit("", "new", "new")
        await wait_text(pilot, "Enter the current password")
        await submit("old", "new", "other")
        await wait_text(pilot, "The new passwords are not the same")
        await submit("wrong", "new", "new")
        await wait_text(pilot, "the password is wrong")
        assert client.password == "old"
        await submit("old", "new", "new")
        await wait_text(pilot, "The password is changed")
        assert client.password == "new"
        await wait_for(pilot, lambda: app.screen is app.chat)


@pytest.mark.e2e
async def test_emoji_by_name() -> None:
    async with with_bob() as (app, pilot):
        composer = app.chat.view.composer
        await write(pilot, "hi :tad")
        await wait_text(pilot, ":tada:")
        await pilot.press("enter")
        assert composer.text == "hi 🎉"
        await write(pilot, " :+1:")
        await wait_for(pilot, lambda: composer.text == "hi 🎉 👍")
        composer.load("")
        await write(pilot, "at 10:30:15")
        assert composer.text == "at 10:30:15"


@pytest.mark.e2e
async def test_me_and_what_only_looks_like_a_command() -> None:
    async with with_bob() as (app, pilot):
        await write(pilot, "/me waves")
        await pilot.press("enter")
        await wait_for(pilot, lambda: sent(app)[-1] == "_Alice waves_")
        app.chat.view.composer.load("/usr/bin is a folder")
        await pilot.press("enter")
        assert sent(app)[-1] == "/usr/bin is a folder"
        app.chat.view.composer.load("//me")
        await pilot.press("enter")
        assert sent(app)[-1] == "/me"
        app.chat.view.composer.load("/nonsense")
        await pilot.press("enter")
        await wait_text(pilot, "There is no command /nonsense")
        assert app.chat.view.composer.text == "/nonsense"


@pytest.mark.e2e
async def test_msg_opens_a_conversation_and_says_it() -> None:
    client = scenes.world()
    client.people = [UserInfo("zoe", "Zoë", True)]
    async with with_bob(client) as (app, pilot):
        app.chat.view.composer.load("/msg zoe hello there")
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.chat.current == "zoe")
        await wait_text(pilot, "Zoë zoe  online", "hello there")
        assert client.log["zoe"][-1].text == "hello there"


@pytest.mark.e2e
async def test_everyone_is_written_to_by_the_name_on_the_screen() -> None:
    async with with_bob() as (app, pilot):
        app.chat.view.composer.load("/msg everyone hello all")
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.chat.current == "ALL")


@pytest.mark.e2e
async def test_auto_takes_the_theme_of_the_settings_again() -> None:
    async with with_bob() as (app, pilot):
        own = app.theme
        assert "textual-dark" not in app.available_themes
        for name, taken in (("nord", "nord"), ("auto", own)):
            app.chat.view.composer.load(f"/theme {name}")
            await pilot.press("enter")
            await wait_for(pilot, lambda taken=taken: app.theme == taken)  # type: ignore[misc] # bound now
        assert app.saved.theme == ""


@pytest.mark.e2e
async def test_control_c_without_a_selection_says_how_to_quit() -> None:
    async with with_bob() as (_, pilot):
        await pilot.press("ctrl+c")
        await wait_text(pilot, "Nothing is selected. Press Ctrl+Q to quit")


@pytest.mark.e2e
async def test_control_d_deletes_to_the_right_and_quits_where_nothing_is_written() -> None:
    async with with_bob() as (app, pilot):
        await write(pilot, "ab")
        await pilot.press("ctrl+d")
        assert app.chat.view.composer.text == "ab"
        await pilot.press("home", "ctrl+d")
        assert app.chat.view.composer.text == "b"
        assert app.is_running
        await pilot.press("ctrl+d")
        assert app.chat.view.composer.text == ""
        await pilot.press("ctrl+d")
        await wait_for(pilot, lambda: not app.is_running)
        assert app.return_code == 0


@pytest.mark.e2e
async def test_control_d_quits_where_nothing_is_open() -> None:
    app = scenes.app(scenes.world())
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        await pilot.press("ctrl+d")
        await wait_for(pilot, lambda: not app.is_running)
        assert app.return_code == 0


@pytest.mark.e2e
async def test_an_id_that_nobody_has_is_said_before_one_writes() -> None:
    client = scenes.world()
    client.people = [UserInfo("zoe", "Zoë", True)]
    async with with_bob(client) as (app, pilot):
        app.chat.open("nosuch")
        await wait_text(pilot, "nosuch  no such account")
        app.chat.open("ZOE")
        await wait_gone(pilot, "no such account")
        app.chat.open("zoe")
        await wait_text(pilot, "Zoë zoe  online")


@pytest.mark.e2e
async def test_copy_takes_the_message_as_it_was_written() -> None:
    async with with_bob() as (app, pilot):
        app.chat.view.composer.load("/copy 3")
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.clipboard.startswith("Two things:\n- the *second*"))


@pytest.mark.e2e
async def test_failed_messages_are_sent_again() -> None:
    client = scenes.world()
    scenes.failing(client)
    async with with_bob(client) as (_, pilot):
        await wait_text(pilot, "too fast: try again in 4 s", "✗")
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: client.log["bob"][-1].delivery is DeliveryStatus.SENDING)
        await wait_for(pilot, lambda: "✗" not in screen_text(pilot.app))


@pytest.mark.parametrize("text", ["hello", "/", "/usr/bin", "//help", "a /help", "/Help"])
def test_messages_are_no_commands(text: str) -> None:
    assert parse(text) is None


def test_commands_say_what_they_need() -> None:
    command = parse("/msg bob hi")
    assert command is not None
    assert (command[0].name, command[1]) == ("msg", "bob hi")
    leaving = parse("/exit")
    assert leaving is not None
    assert leaving[0].name == "quit"
    with pytest.raises(CommandError, match=r"Type /msg ID \[TEXT\]"):
        parse("/msg")
    with pytest.raises(CommandError, match="no command /nope"):
        parse("/nope")
    assert plain("//x") == "/x"


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("keys", "composer", "query", "current"),
    [
        (["ctrl+f", *"line"], "", "line", "bob"),
        (["ctrl+o", "c", "ctrl+f", *"line"], "", "line", "bob"),
        (["f1", "escape", *"text"], "text", "", "bob"),
        (["ctrl+k", "escape", "ctrl+f", *"line", "escape", *"text"], "text", "", "bob"),
        (["ctrl+k", *"jan", "enter", *"hello"], "hello", "", "jan"),
        (["alt+down", *"to the next"], "to the next", "", "#release"),
    ],
)
async def test_keys_that_come_all_at_once_go_where_they_would_one_by_one(
    keys: list[str], composer: str, query: str, current: str
) -> None:
    async with with_bob() as (app, pilot):
        for key in keys:
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        chat = app.chat
        search = chat.query_one("#search-query", Input)
        await wait_for(
            pilot,
            lambda: (
                (chat.view.composer.text, search.value, chat.current) == (composer, query, current)
            ),
            f"{chat.view.composer.text!r} {search.value!r} {chat.current!r}",
        )
        assert app.screen is chat


@pytest.mark.e2e
async def test_keys_wait_for_a_busy_widget_however_long_it_takes() -> None:
    async with with_bob() as (app, pilot):
        search, view = app.chat.query_one("#search-query", Input), app.chat.view
        await pilot.press("ctrl+f", *"line")
        busy = asyncio.Event()
        view.call_later(busy.wait)  # what Esc does to the search goes through this widget
        for key in ["escape", *"text"]:
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        for _ in range(200):  # turns of the event loop: enough for keys that do not wait
            await asyncio.sleep(0)
        assert (search.value, view.composer.text) == ("line", "")
        busy.set()
        await wait_for(pilot, lambda: view.composer.text == "text")
        assert search.value == ""
