"""Search, links, notifications, keys, themes, help: what is around the conversation."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.widgets import Input, TextArea

from pychat.client import ChatClient
from pychat.client.errors import ChatClientError
from pychat.client.events import (
    CacheLost,
    ConversationChanged,
    ConversationsLoaded,
    MessageAdded,
)
from pychat.client.models import (
    ConnectionState,
    ConversationInfo,
    RoomInfo,
    SearchPage,
    Status,
    UserInfo,
)
from pychat.protocol import NotifyLevel
from pychat.tui.app import ChatApp
from pychat.tui.commands.keys import KEYS
from pychat.tui.model.accounts import TerminalAccount
from pychat.tui.model.saved_state import SavedState
from pychat.tui.settings import Settings
from pychat.tui.terminal.notifications import Notifications
from pychat.tui.terminal.probe import read_answers
from pychat.tui.themes import ThemeError, load_theme
from pychat.tui.widgets.conversation_list import ConversationList
from tests.tui import scenes
from tests.tui.driving import screen_text, wait_for, wait_gone, wait_text, write
from tests.tui.scripted import NOW, ScriptedClient, stopped_clock


@pytest.mark.e2e
async def test_search_goes_from_hit_to_hit_into_what_was_not_loaded() -> None:
    client = ScriptedClient()
    for number in range(400):
        client.say("bob", "needle here" if number in (5, 200, 390) else f"hay {number}")
    app = scenes.app(client)
    client.cached_messages = lambda name, limit=500: client.log[name][-50:]  # type: ignore[method-assign, misc]
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await pilot.press("ctrl+f")
        await write(pilot, "needle")
        await pilot.press("enter")
        await wait_text(pilot, "1 of 3", "needle here", "hay 391")
        await pilot.press("enter")
        await wait_text(pilot, "2 of 3", "needle here", "hay 201")
        await pilot.press("up")
        await wait_text(pilot, "3 of 3", "needle here", "hay 6")
        await pilot.press("enter")
        await wait_text(pilot, "1 of 3, newest", "hay 391")
        await pilot.press("down")
        await wait_text(pilot, "3 of 3, oldest", "hay 6")
        await pilot.press("down")
        await wait_text(pilot, "2 of 3", "hay 201")
        await pilot.press("escape")
        await wait_gone(pilot, "2 of 3")
        assert app.focused is app.chat.view.composer


@pytest.mark.e2e
async def test_a_search_goes_on_beyond_the_first_page_of_hits() -> None:
    client = ScriptedClient()
    for number in range(250):
        client.say("bob", f"needle {number}", own=True)
    search = client.search

    async def by_page(text: str, *, cursor: str = "", limit: int = 50, **where: Any) -> SearchPage:
        start = int(cursor or 0)
        found = (await search(text, limit=1000, **where)).messages
        more = str(start + limit) if start + limit < len(found) else ""
        return SearchPage(found[start : start + limit], more)

    client.search = by_page  # type: ignore[method-assign] # as the server does
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await pilot.press("ctrl+f")
        await write(pilot, "needle")
        await pilot.press("enter")
        await wait_text(pilot, "1 of 100+")
        await pilot.press("down")
        await wait_text(pilot, "100 of 100+, oldest so far", "needle 150")
        await pilot.press("up")
        await wait_text(pilot, "101 of 200+", "needle 149")


@pytest.mark.e2e
@pytest.mark.parametrize("no_color", ["", "1"])
@pytest.mark.parametrize("theme", ["pychat-dark", "pychat-light"])
async def test_the_hit_that_the_search_is_at_stands_out(
    monkeypatch: pytest.MonkeyPatch, theme: str, no_color: str
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    client = ScriptedClient()
    for text in ("a needle first", "words between", "and the second needle"):
        client.say("bob", text, own=True)

    async def by_word(text: str, **where: Any) -> SearchPage:
        words = text.split()
        log = reversed(client.log["bob"])
        return SearchPage([each for each in log if all(word in each.text for word in words)])

    client.search = by_word  # type: ignore[method-assign] # as the server does
    app = scenes.app(client, theme)

    def looks() -> dict[str, tuple[Any, ...]]:
        found = {}
        for strip in app.screen._compositor.render_strips():
            text = "".join(segment.text for segment in strip)
            for segment in strip:
                if segment.text == "needle" and segment.style is not None and "of 2" not in text:
                    style = segment.style
                    bar = "▌" in text[: text.index("needle")]
                    key = "first" if "first" in text else "second"
                    found[key] = (style.bgcolor, style.bold, style.underline, bar)
        return found

    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await pilot.press("ctrl+f")
        await write(pilot, "needle a")
        await pilot.press("enter")
        await wait_text(pilot, "1 of 2", "words between")
        at, other = looks()["second"], looks()["first"]
        assert (at[3], other[3]) == (True, False)
        assert all(one != another for one, another in zip(at[:3], other[:3], strict=True))
        await pilot.press("up")
        await wait_text(pilot, "2 of 2")
        assert (looks()["first"], looks()["second"]) == (at, other)


@pytest.mark.e2e
async def test_what_is_found_too_late_moves_nobody_from_where_they_went() -> None:
    client = ScriptedClient()
    client.say("bob", "a needle")
    client.say("carol", "hello")
    asked, answer = asyncio.Event(), asyncio.Event()
    search, ended = client.search, asyncio.Event()

    async def slow(text: str, **where: Any) -> SearchPage:
        asked.set()
        try:
            await answer.wait()
            return await search(text, **where)
        finally:
            ended.set()

    client.search = slow  # type: ignore[method-assign] # as on a slow line
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await pilot.press("ctrl+f")
        await write(pilot, "needle")
        await pilot.press("enter")
        await asked.wait()
        app.chat.open("carol")
        await write(pilot, "for carol")
        answer.set()
        await ended.wait()
        await pilot.pause()
        assert app.chat.current == "carol"
        assert app.chat.view.composer.text == "for carol"


@pytest.mark.e2e
async def test_links_are_chosen_and_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    app = scenes.app(scenes.world())
    opened: list[str] = []
    monkeypatch.setattr(app, "open_url", lambda url, **_: opened.append(url))
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await pilot.press("ctrl+o")
        await wait_text(pilot, "Enter: open   C: copy", "https://example.org/drafts/42")
        await pilot.press("c")
        assert app.clipboard == "https://example.org/drafts/42"
        await pilot.press("ctrl+o")
        await wait_text(pilot, "Enter: open")
        await pilot.press("enter")
        assert opened == ["https://example.org/drafts/42"]


@pytest.mark.e2e
async def test_the_switcher_finds_people_and_says_when_nobody_is_called_so() -> None:
    client = scenes.world()
    client.people = [UserInfo("ruben", "Rubén", False)]
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+k")
        await write(pilot, "rbn")
        await wait_text(pilot, "Rubén  ruben")
        await pilot.press("ctrl+u")
        await write(pilot, "nobody")
        await wait_text(pilot, "No results for nobody")
        await pilot.press("ctrl+u")
        await write(pilot, "ruben")
        await wait_text(pilot, "Rubén")
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.chat.current == "ruben")


@pytest.mark.e2e
async def test_unread_conversations_come_first_and_one_key_goes_there() -> None:
    app = scenes.app(scenes.world())
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "· 2 unread")
        assert app.title == "(2) pychat"
        await pilot.press("ctrl+g")
        await wait_for(pilot, lambda: app.chat.current == "mina")
        await wait_gone(pilot, "unread")
        await wait_for(pilot, lambda: app.title == "pychat")


@pytest.mark.e2e
async def test_narrow_terminals_show_one_pane_at_a_time() -> None:
    app = scenes.app(scenes.world())
    async with app.run_test(size=(40, 20)) as pilot:
        assert "Everyone" in screen_text(app)
        await pilot.press("down", "down", "enter")
        await wait_text(pilot, "Bob Marsh bob  online", "Message Bob Marsh")
        assert "Everyone" not in screen_text(app)
        await pilot.press("escape")
        await wait_text(pilot, "Everyone")
        await pilot.press("ctrl+b")
        await wait_text(pilot, "Message Bob Marsh")


@pytest.mark.e2e
async def test_help_and_palette_come_from_the_key_table() -> None:
    app = scenes.app(scenes.world(), keys={"search": "f4"})
    async with app.run_test(size=(100, 120)) as pilot:
        app.chat.open("bob")
        await pilot.press("f1")
        await wait_text(pilot, *(key.does for key in KEYS), "/msg ID [TEXT]")
        assert re.search(r"F4 +Search this conversation", screen_text(app))
        await pilot.press("escape", "f4")
        assert app.focused is app.chat.query_one("#search-query")
        await pilot.press("escape", "ctrl+p")
        await write(pilot, "copy a link")
        await wait_text(pilot, "Open or copy a link")
        await pilot.press("enter")
        await wait_text(pilot, "Enter: open   C: copy")


async def test_offline_says_since_when_what_waits_and_when_it_tries() -> None:
    client = scenes.world()
    client.status = Status(ConnectionState.OFFLINE, NOW - 600, retry_at=NOW + 4, waiting=2)
    app = scenes.app(client)
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_text(pilot, "offline since 14:20 · retrying in 4 s · 2 unsent")


@pytest.mark.e2e
async def test_messages_notify_only_while_nobody_looks() -> None:
    client = scenes.world()
    app = scenes.app(client, muted=["tove"])
    told: list[tuple[str, str]] = []
    app.notifications.send = lambda title, text: told.append((title, text))  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        client.say("bob", "seen", tell=True)
        await pilot.pause(0.1)
        app.app_focus = False
        client.say("bob", "un\x1b]2;x\x07seen", tell=True)
        client.say("#release", "news", sender="tove", tell=True)
        client.say("tove", "muted", tell=True)
        client.say("bob", "mine", own=True, tell=True)
        await wait_for(pilot, lambda: len(told) >= 2)
        assert told == [("Bob Marsh (bob)", "un]2;xseen"), ("Tove in #release", "news")]


@pytest.mark.e2e
async def test_previews_can_be_off() -> None:
    client = scenes.world()
    app = scenes.app(client, previews=False)
    told: list[tuple[str, str]] = []
    app.notifications.send = lambda title, text: told.append((title, text))  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        app.app_focus = False
        client.say("bob", "secret", tell=True)
        await wait_for(pilot, lambda: told)
        assert told == [("pychat", "New message")]


def test_notifications_are_sequences_and_come_one_at_a_time() -> None:
    written: list[str] = []
    now = [100.0]
    notifications = Notifications(
        ["bell", "osc9", "osc777"], written.append, lambda: now[0], environment={}
    )
    notifications.send("Bob", "hi; there")
    assert written == ["\a", "\x1b]9;Bob: hi; there\a", "\x1b]777;notify;Bob;hi; there\a"]
    notifications.send("Bob", "again")
    assert len(written) == 3
    now[0] += 3
    notifications.send("Bob", "later")
    assert len(written) == 6


def test_tmux_gets_them_wrapped() -> None:
    written: list[str] = []
    notifications = Notifications(
        ["osc9"], written.append, lambda: 0.0, environment={"TMUX": "/tmp/x"}
    )
    notifications.send("Bob", "hi")
    assert written == ["\x1bPtmux;\x1b\x1b]9;Bob: hi\a\x1b\\"]


@pytest.mark.e2e
async def test_what_came_while_away_stands_below_a_line() -> None:
    client = scenes.world()
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await pilot.pause()
        app.chat.view.focus_lost()
        client.say("bob", "while you were away", tell=True)
        await wait_text(pilot, "─ new", "while you were away")


@pytest.mark.e2e
async def test_a_hole_is_never_shown_as_if_nothing_were_missing() -> None:
    client = ScriptedClient()
    for number in range(1, 31):
        client.say("bob", f"line {number}")
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await wait_text(pilot, "line 30")
        for number in range(31, 600):
            client.say("bob", f"line {number}")
        client.cached_messages = lambda name, limit=500: client.log[name][-20:]  # type: ignore[method-assign, misc]
        client.say("bob", "line 600", tell=True)
        await wait_text(pilot, "line 599", "line 600")
        opened = app.chat.view.conversations.opened("bob")
        assert opened is not None
        shown = [message.seq for message in opened.transcript]
        assert shown == list(range(shown[0], 601))


@pytest.mark.e2e
async def test_a_first_conversation_that_is_unread_whole_opens_at_its_first_message() -> None:
    client = ScriptedClient()
    for number in range(100):
        client.say("bob", f"line {number}")
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await wait_text(pilot, "line 0", "line 9", "↓")
        known = client.conversation("bob")
        assert known is not None
        await wait_for(pilot, lambda: 0 < known.read_seq < 100)


@pytest.mark.e2e
async def test_what_comes_below_a_dialog_is_read_when_it_closes() -> None:
    client = scenes.world()
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await wait_text(pilot, "Message Bob Marsh")
        await pilot.press("f1")
        await wait_text(pilot, "Ctrl+K")
        client.say("bob", "below the help", tell=True)
        await pilot.pause(0.6)
        bob = client.conversation("bob")
        assert bob is not None
        assert bob.unread == 1
        await pilot.press("escape")
        await wait_for(pilot, lambda: not bob.unread)


@pytest.mark.e2e
async def test_long_unread_opens_where_it_begins() -> None:
    client = ScriptedClient()
    for number in range(100):
        client.say("bob", f"line {number}")
    known = client.conversation("bob")
    assert isinstance(known, ConversationInfo)
    known.read_seq, known.unread = 40, 60
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await wait_text(pilot, "─ new", "line 40", "↓")
        assert "line 99" not in screen_text(app).split("Message")[0].splitlines()[-3]
        assert known.read_seq < 100


def test_the_theme_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "state.json"
    remembered = SavedState(path)
    remembered.theme = "nord"
    again = SavedState(path)
    assert again.theme == "nord"
    path.write_text("{broken")
    assert SavedState(path).theme == ""


@pytest.mark.e2e
async def test_what_an_older_version_muted_moves_to_the_server(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"muted":["bob","tove","nobody"],"theme":"nord"}')
    client = scenes.world()
    tove = client.conversation("tove")
    assert tove is not None
    tove.notify = NotifyLevel.MENTIONS
    settings = Settings(reduced_motion=True)
    app = ChatApp(client, settings, clock=stopped_clock(), state=path)  # type: ignore[arg-type]
    async with app.run_test(size=(80, 24)) as pilot:
        client.set_connection(client.status)
        client.tell(ConversationsLoaded(client.conversations))
        await wait_for(pilot, lambda: SavedState(path).muted == [])
        levels = {each.name: each.notify for each in client.known if each.notify != "all"}
        assert levels == {"bob": "muted", "tove": "mentions"}
        assert SavedState(path).theme == "nord"


@pytest.mark.e2e
async def test_mentions_may_be_all_that_notifies() -> None:
    client = scenes.world()
    app = scenes.app(client)
    told: list[tuple[str, str]] = []
    app.notifications.send = lambda title, text: told.append((title, text))  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await client.set_notify("#release", NotifyLevel.MENTIONS)
        await client.set_notify("bob", NotifyLevel.MUTED)
        app.app_focus = False
        client.say("bob", "muted", tell=True)
        client.say("#release", "news", sender="tove", tell=True)
        mention = client.say("#release", "@alice look", sender="tove")
        mention.mentioned = True
        known = client.conversation("#release")
        assert known is not None
        known.unread_mentions = 1
        client.tell(MessageAdded(mention))
        client.tell(ConversationChanged(known))
        await wait_for(pilot, lambda: bool(told))
        assert told == [("Tove in #release", "@alice look")]
        # Two in a conversation of the scene, and the mention.
        await wait_for(pilot, lambda: app.title == "(3) pychat")


@pytest.mark.e2e
async def test_a_theme_that_was_chosen_is_taken_again_and_auto_is_no_choice(tmp_path: Path) -> None:
    path = tmp_path / "state.json"

    def app() -> ChatApp:
        client = scenes.world()
        settings = Settings(reduced_motion=True)
        return ChatApp(client, settings, clock=stopped_clock(), state=path)  # type: ignore[arg-type]

    first = app()
    async with first.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        assert first.theme == "pychat-dark"
        assert SavedState(path).theme == ""
        first.chat.open("bob")
        first.chat.view.composer.load("/theme nord")
        await pilot.press("enter")
        await wait_for(pilot, lambda: SavedState(path).theme == "nord")
    again = app()
    async with again.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        assert again.theme == "nord"


def test_a_theme_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nprimary = "#336699"\ndark = false\nbackground = "#ffffff"\n')
    theme = load_theme(path)
    assert (theme.name, theme.dark) == ("mine", False)
    path.write_text('name = "mine"\nprimary = "notacolour"\n')
    with pytest.raises(ThemeError, match=r"mine\.toml"):
        load_theme(path)
    path.write_text('name = "mine"\n')
    with pytest.raises(ThemeError, match="primary"):
        load_theme(path)


@pytest.mark.parametrize(
    ("answer", "light"),
    [
        (b"\x1b]11;rgb:ffff/ffff/ffff\x07\x1b[?62;c", True),
        (b"\x1b]11;rgb:1e/1e/2e\x1b\\\x1b[?1;2c", False),
        (b"\x1b]11;rgba:fdfd/f6f6/e3e3/ffff\x07", True),
        (b"\x1b[?62;c", None),
        (b"", None),
    ],
)
def test_light_or_dark_is_read_from_the_terminals_answer(answer: bytes, light: bool | None) -> None:
    assert read_answers(answer).is_light is light


def test_settings_name_the_key_that_is_wrong() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.notify"):
        msgspec.convert({"notify": ["smoke"]}, Settings)
    with pytest.raises(msgspec.ValidationError, match="them"):
        msgspec.convert({"them": "dark"}, Settings)


async def crash() -> None:
    password = "hunter2"
    raise RuntimeError(f"the cause has {len(password)} letters")


async def test_a_crash_leaves_a_line_a_log_and_a_status(
    capsys: pytest.CaptureFixture[str], own_folders: Path
) -> None:
    app = scenes.app(scenes.world())

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await wait_text(pilot, "● alice")
            app.call_later(crash)
            await wait_for(pilot, lambda: app.return_code)

    with pytest.raises(RuntimeError, match="the cause"):
        await run()
    assert app.return_code == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert "pychat: stopped by an internal error; see" in shown
    assert "hunter2" not in shown
    check_crash_log(own_folders)


@pytest.mark.e2e
async def test_an_error_in_the_background_is_told_and_kept_and_the_app_goes_on(
    own_folders: Path,
) -> None:
    app = scenes.app(scenes.world())
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_text(pilot, "● alice")
        asyncio.get_running_loop().call_soon(crash().send, None)
        await wait_text(pilot, "Internal error; see")
        app.chat.open("bob")
        await wait_text(pilot, "Message Bob Marsh")
    check_crash_log(own_folders)


def check_crash_log(home: Path) -> None:
    log = next(home.rglob("terminal.log"))
    assert "RuntimeError: the cause has 7 letters" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.e2e
async def test_a_cache_that_fails_later_is_told_and_the_app_goes_on() -> None:
    client = scenes.world()
    app = scenes.app(client)
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        await wait_text(pilot, "● alice")
        client.tell(CacheLost("cache.db cannot be used any more (database or disk is full)"))
        await wait_text(pilot, "cache.db cannot be used any more", "unsent")


@pytest.mark.e2e
async def test_a_damaged_cache_is_told_and_the_app_starts(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    path.write_bytes(b"\xa5" * 5_000)
    client = ChatClient("http://127.0.0.1:9", user="alice", password="", cache=path)
    app = ChatApp(TerminalAccount(client, cache=path), Settings(reduced_motion=True))
    async with app.run_test(size=(120, 24), notifications=True) as pilot:
        await wait_text(pilot, "offline", "is damaged or not a pychat cache", "cache.db.unusable-1")


async def test_a_client_that_cannot_start_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = scenes.world()

    def start(*, connect: bool) -> None:
        raise ChatClientError("this client was closed: make a new one")

    monkeypatch.setattr(client, "start", start)
    app = scenes.app(client)
    await app.run_async(headless=True, size=(80, 24))
    assert app.return_code == 1
    output = capsys.readouterr()
    assert "textual" not in output.out + output.err
    assert "pychat: this client was closed: make a new one" in output.out + output.err
    assert "Traceback" not in output.out + output.err


@pytest.mark.e2e  # it takes too long for the fast part
async def test_any_size_is_survived() -> None:
    app = scenes.app(scenes.world())
    async with app.run_test(size=(300, 60)) as pilot:
        await wait_text(pilot, "● alice")
        app.chat.open("bob")
        await wait_text(pilot, "Ship it when you are ready")
        for size in [(1, 1), (12, 4), (40, 8), (300, 5), (20, 60), (80, 24)]:
            await pilot.resize_terminal(*size)
            await pilot.press("pageup", "ctrl+end", "ctrl+b", "ctrl+b")
        await wait_text(pilot, "Ship it when you are ready")


@pytest.mark.e2e
async def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = scenes.app(scenes.world())
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        app.chat.open("bob")
        await wait_text(pilot, "Ship it when you are ready")
        colours = set(re.findall(r"#[0-9a-f]{6}\b", app.export_screenshot(simplify=True)))
        window = {
            "#ff5f57",
            "#febc2e",
            "#28c840",
            "#c5c8c6",
        }  # the frame that Rich draws around a picture
        assert not {c for c in colours - window if not c[1:3] == c[3:5] == c[5:7]}


@pytest.mark.e2e
async def test_the_help_key_closes_the_help_and_nothing_typed_in_it_goes_anywhere() -> None:
    client = scenes.world()
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await pilot.press("f1")
        await wait_text(pilot, "Find or start a chat")
        await pilot.press("ctrl+k", "ctrl+p")
        await write(pilot, "mina quits")
        await pilot.press("enter")
        assert len(app.screen_stack) == 2
        await pilot.press("f1")
        await wait_gone(pilot, "Find or start a chat")
        assert (app.chat.current, app.chat.view.composer.text) == ("bob", "")
        assert client.typed == []


@pytest.mark.e2e
@pytest.mark.parametrize("opens", ["ctrl+k", "ctrl+o"])
async def test_nothing_opens_over_a_chooser(opens: str) -> None:
    app = scenes.app(scenes.world())
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await pilot.press(opens)
        await wait_for(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("f1", "ctrl+p", "ctrl+k", "ctrl+o", "ctrl+f", "alt+down")
        await pilot.pause()
        assert (len(app.screen_stack), app.chat.current) == (2, "bob")
        await pilot.press("escape")
        assert app.focused is app.chat.view.composer


@pytest.mark.e2e
@pytest.mark.parametrize("size", [(80, 24), (40, 20)])
async def test_what_is_typed_while_nothing_is_open_waits_for_whom_one_opens(
    size: tuple[int, int],
) -> None:
    client = scenes.world()
    client.drafts["mina"] = "one thing more"
    app = scenes.app(client)
    async with app.run_test(size=size, notifications=True) as pilot:
        await wait_text(pilot, "mina")
        await write(pilot, "hello theree")
        await pilot.press("backspace", "enter")
        await wait_text(pilot, "hello there", "Ctrl+K", "Choose a chat")
        assert "theree" not in screen_text(app)
        assert (app.chat.current, client.typed) == ("", [])
        await pilot.press("ctrl+q")
    again = scenes.app(client)
    async with again.run_test(size=size) as pilot:
        await wait_text(pilot, "hello there")
        await pilot.press("down", "enter")
        await wait_for(pilot, lambda: again.chat.current == "mina")
        assert again.chat.view.composer.text == "one thing more\nhello there"
        again.chat.open("bob")
        assert again.chat.view.composer.text == ""
        again.chat.open("mina")
        assert again.chat.view.composer.text == "one thing more\nhello there"


@pytest.mark.e2e
async def test_what_is_typed_in_the_list_goes_into_the_open_conversation() -> None:
    app = scenes.app(scenes.world())
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("bob")
        await wait_text(pilot, "Message Bob Marsh")
        app.chat.query_one(ConversationList).focus()
        await pilot.pause()
        await write(pilot, "all of it, in order")
        await wait_for(pilot, lambda: app.focused is app.chat.view.composer)
        await wait_for(pilot, lambda: app.chat.view.composer.text == "all of it, in order")


@pytest.mark.e2e
async def test_what_is_told_does_not_cover_what_one_writes() -> None:
    app = scenes.app(scenes.world())
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.chat.open("bob")
        app.notify("Somebody is not muted any more, and this takes more than one line to say.")
        await wait_text(pilot, "not muted")
        shown = screen_text(app).splitlines()
        assert any("not muted" in row for row in shown[:4])
        assert "Message Bob Marsh" in screen_text(app)


@pytest.mark.e2e
async def test_ones_own_messages_from_another_device_are_not_new() -> None:
    client = scenes.world()
    bob = client.conversation("bob")
    assert bob is not None
    client.say("bob", "from my phone", own=True)
    client.say("bob", "an answer to it")
    bob.read_seq, bob.unread = 9, 1
    app = scenes.app(client)
    async with app.run_test(size=(80, 40)) as pilot:
        app.chat.open("bob")
        await wait_text(pilot, "─ new", "an answer to it")
        shown = screen_text(app)
        assert shown.rindex("from my phone") < shown.rindex("─ new") < shown.rindex("an answer")
        await wait_for(pilot, lambda: not bob.unread)
        app.chat.view.focus_lost()
        client.say("bob", "and once more", own=True, tell=True)
        await wait_text(pilot, "and once more")
        assert "─ new" not in screen_text(app)
        client.say("bob", "heard", tell=True)
        await wait_text(pilot, "heard", "─ new")
        shown = screen_text(app)
        assert shown.rindex("and once more") < shown.rindex("─ new") < shown.rindex("heard")


@pytest.mark.e2e
async def test_a_narrow_help_keeps_its_two_columns_apart() -> None:
    app = scenes.app(scenes.world())
    async with app.run_test(size=(40, 20)) as pilot:
        await wait_text(pilot, "F1 help")
        await pilot.press("f1")
        await wait_text(pilot, "Ctrl+K")
        rows = screen_text(app).splitlines()
        at, row = next((n, row) for n, row in enumerate(rows) if "Mute or unmute" in row)
        column, after = row.index("Mute"), rows[at + 1]
        assert after[:column].strip(" ▌▐█") == ""
        assert after[column:].strip()


@pytest.mark.e2e
async def test_the_palette_goes_to_people_rooms_and_themes_whatever_they_are_called() -> None:
    client = scenes.world()
    client.people = [UserInfo("zoe", "Zoë [b]x[/] \x1b]2;owned\x07", online=True)]
    client.all_rooms = [RoomInfo("zoo", "All [/x] animals", "bob")]
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        for typed, shown, opened in (
            ("marsh", "Bob Marsh  bob", "bob"),
            ("zo", "Zoë [b]x[/] ]2;owned  zoe", "zoe"),
            ("animals", "#zoo  All [/x] animals", "#zoo"),
        ):
            await pilot.press("ctrl+p")
            await write(pilot, typed)
            await wait_text(pilot, shown)
            await pilot.press("enter")
            await wait_for(pilot, lambda opened=opened: app.chat.current == opened)  # type: ignore[misc] # bound now
        await pilot.press("ctrl+p")
        await write(pilot, "nord")
        await wait_text(pilot, "Theme")
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.theme == "nord")


@pytest.mark.e2e
@pytest.mark.parametrize("still", [True, False])
async def test_no_cursor_blinks_with_reduced_motion(still: bool) -> None:
    settings = Settings(theme="pychat-dark", reduced_motion=still)
    app = ChatApp(scenes.world(), settings, clock=stopped_clock())  # type: ignore[arg-type] # same face
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        app.chat.open("bob")
        await wait_for(pilot, lambda: isinstance(app.focused, TextArea))
        assert isinstance(app.focused, TextArea)
        assert app.focused.cursor_blink is not still
        for key in ("ctrl+f", "ctrl+k", "ctrl+p"):
            await pilot.press(key)
            await wait_for(pilot, lambda: isinstance(app.focused, Input))
            assert isinstance(app.focused, Input)
            assert app.focused.cursor_blink is not still, key
            await pilot.press("escape")
            await wait_for(pilot, lambda: isinstance(app.focused, TextArea))
