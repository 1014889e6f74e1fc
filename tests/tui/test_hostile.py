"""Text from hostile people, in every place where it is shown."""

from __future__ import annotations

import re

import pytest

from pychat.client.models import ConnectionState, MessageInfo, Status, UserInfo
from pychat.tui.log.rows import ReaderContext, rows_of
from pychat.tui.model.finder import fuzzy
from pychat.tui.text.names import Name
from tests.tui import scenes
from tests.tui.driving import screen_text
from tests.tui.scripted import NOW, ScriptedClient, stopped_clock

CORPUS = {
    "markup": "hi [/x] [bold]b[/] [@click=app.quit]q[/] $error [red",
    "title": "\x1b]2;owned\x07 after",
    "link": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07 after",
    "c1": "\x9b31m red \x9d2;owned\x9c",
    "c0": "a\x00b\x07c\x08d\x0be\x0cf\rg\x1b[2Jh\x7f",
    "bidi": "\u202egnp.exe\u202c \u2066x\u2069 \u200f",
    "zalgo": "z" + "\u0300" * 500 + "a" + "\u0489" * 300 + "lgo",
    "surrogates": "a\ud800b\udfffc",
    "separators": "a\u2028b\u2029c\x85d",
    "wide": "\ufdfd\U0001242b꧅" * 50,
    "joiners": "\u200d" * 400 + "👨" + "\u200d👩" * 200,
    "tabs": "\t" * 200 + "end",
    "lines": "\n" * 3000 + "end",
    "spaces": " " * 60_000 + "x",
    "megabyte": "x" * 1_000_000,
    "wide megabyte": "漢" * 300_000,
    "stars": "**" * 8000 + "a" + "_*`~" * 4000,
    "fences": "```\n" * 4000,
    "links": "http://" * 4000 + "((" * 2000,
}
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(screen: str) -> None:
    found = FORBIDDEN.search(screen)
    assert found is None, (found, screen)
    assert "\u0300" * 9 not in screen


@pytest.mark.e2e  # it takes too long for the fast part
async def test_it_is_shown_as_harmless_text_everywhere() -> None:
    client = ScriptedClient()
    for name, text in CORPUS.items():
        client.say(name, "before")
        client.say(name, text)
        client.say(name, "mine " + text, own=True)
        client.say(f"#{name}", text, sender=text[:64] or "x")
        person = client.conversation(name)
        assert person is not None
        person.alias, person.typing = text, (text,)
        client.people.append(UserInfo(f"mallory {name}", text, True))
        client.drafts[name] = text[:5000]
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        harmless(screen_text(app))
        for name, text in CORPUS.items():
            app.chat.open(name)
            await pilot.pause()
            harmless(screen_text(app))
            app.chat.view.composer.clear()  # the placeholder has the name in it
            await pilot.pause()
            harmless(screen_text(app))
            client.say(name, text, tell=True)
            app.chat.open(f"#{name}")
            await pilot.pause()
            harmless(screen_text(app))
        await pilot.press("ctrl+k")
        await pilot.pause(0.3)
        harmless(screen_text(app))
        await pilot.press("m")
        await pilot.pause(0.3)
        harmless(screen_text(app))
        await pilot.press("escape")
        await pilot.press("ctrl+p", "h", "i")
        await pilot.pause(0.3)
        harmless(screen_text(app))
    assert app.return_code in (0, None)


# What grows faster than the text would take minutes; how fast it is is for benchmarks/terminal.py.
@pytest.mark.timeout(90)
@pytest.mark.parametrize("name", ["megabyte", "wide megabyte", "lines", "spaces", "stars"])
def test_one_message_cannot_hold_the_log_up(name: str) -> None:
    reading = ReaderContext(stopped_clock(), Name)
    message = MessageInfo("bob", "bob", CORPUS[name], "c", "bob-1", 1, NOW)
    rows = rows_of(message, None, 80, reading)
    assert len(rows) < 20_000


@pytest.mark.timeout(90)
def test_a_hostile_name_cannot_stop_the_switcher() -> None:
    assert fuzzy("ababababababab", "ab" * 500 + "c")
    assert fuzzy("aaaaaaaaaaaaaz", "a" * 5000) is None


async def test_the_server_cannot_speak_to_the_terminal_either() -> None:
    client = ScriptedClient()
    client.set_connection(Status(ConnectionState.REFUSED, NOW, reason="\x1b]2;owned\x07[/x] no"))
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.2)
        assert "]2;owned[/x] no" in screen_text(app)
