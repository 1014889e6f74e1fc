"""Logging in as somebody else or somewhere else, and profiles: nothing of two accounts mixes."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from pychat.cli.credentials import tokens as tokenkeeper
from pychat.cli.credentials.accounts import TerminalAccounts
from pychat.cli.settings import files as settings
from pychat.client import ChatClient
from pychat.client.models import ConnectionState, UserInfo
from pychat.server.app import ChatServer
from pychat.tui.app import ChatApp
from pychat.tui.model.accounts import TerminalAccount
from pychat.tui.settings import Settings
from tests.serving import serving
from tests.tui.driving import screen_text, start_with, wait_for, wait_gone, wait_text, write


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(limits=False) as running:
        yield running


@pytest.fixture
async def elsewhere() -> AsyncIterator[ChatServer]:
    async with serving(limits=False) as running:
        yield running


async def claim(server: ChatServer, *ids: str, password: str = "") -> None:
    for id in ids:
        async with ChatClient(server.url, user=id, password=password or f"that of {id}"):
            pass


async def ids(server: ChatServer) -> list[str]:
    """The ids of all accounts."""
    async with ChatClient(server.url, user="bystander", password="a good password") as client:
        return [user.id for user in await client.users() if user.id != "bystander"]


def app_for(url: str, user: str = "alice") -> ChatApp:
    accounts = TerminalAccounts()
    account = accounts.open(url, user)
    chosen = Settings(reduced_motion=True, theme="pychat-dark")
    return ChatApp(account.client, chosen, state=account.state, accounts=accounts)


def profiles(home: Path, text: str, *, secret: str = "") -> None:
    """The user's pychat.toml; ``secret`` lies beside it in a file of this name."""
    folder = home / "config" / "pychat"
    folder.mkdir(parents=True)
    (folder / "pychat.toml").write_text(text)
    (home / "secret").write_text(secret)
    settings._found.cache_clear()
    settings._read.cache_clear()


async def fill(pilot: Pilot[None], **fields: str) -> None:
    """What is in a field goes, as somebody does it who types over it."""
    for id, text in fields.items():
        field = pilot.app.screen.query_one(f"#{id}", Input)
        field.focus()
        field.select_all()
        await write(pilot, text)


def values(app: ChatApp) -> dict[str | None, str]:
    return {field.id: field.value for field in app.screen.query(Input)}


@pytest.mark.e2e
async def test_the_id_can_be_changed_and_what_was_typed_stays(server: ChatServer) -> None:
    await claim(server, "bob")
    app = app_for(server.url)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Log in", server.url, "alice")
        await fill(pilot, user="bob", password="wrong")
        await pilot.press("enter")
        await wait_text(pilot, "wrong id or password")
        assert values(app) == {"server": server.url, "user": "bob", "password": "wrong"}
        await write(pilot, "that of bob")
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, bob", "● bob")
        assert app.client.user == "bob"
    again = app_for(server.url, "bob")
    async with again.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Welcome, bob")
        await wait_for(pilot, lambda: again.client.status.state is ConnectionState.ONLINE)


@pytest.mark.e2e
async def test_an_account_is_created_after_a_question(server: ChatServer) -> None:
    await claim(server, "bob")
    app = app_for(server.url, "bobb")
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Log in")
        await fill(pilot, password="that of bob")
        await pilot.press("enter")
        await wait_text(pilot, "There is no account bobb", "Create account bobb")
        await fill(pilot, user="bob")
        await wait_gone(pilot, "There is no account")
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, bob", "● bob")
    assert await ids(server) == ["bob"]


@pytest.mark.e2e
async def test_the_question_is_answered_with_enter(server: ChatServer) -> None:
    app = app_for(server.url)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_text(pilot, "Log in")
        await fill(pilot, password="short")
        await pilot.press("enter")
        await wait_text(pilot, "There is no account alice", "Create account alice")
        await pilot.press("enter")
        await wait_text(pilot, "the password must have at least 8 characters")
        await write(pilot, "that of alice")
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, alice", "account alice created")
    assert await ids(server) == ["alice"]


@pytest.mark.e2e  # it takes too long for the fast part
async def test_a_repeated_login_that_is_refused_is_told(server: ChatServer) -> None:
    port = server.port
    await server.stop()
    app = app_for(f"http://127.0.0.1:{port}")
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Log in")
        await fill(pilot, password="that of alice")
        await pilot.press("enter")
        await wait_text(pilot, "does not answer", "(retrying)")
        async with serving(port=port) as again:
            await wait_text(pilot, "there is no account alice")
            await pilot.press("enter")
            await wait_text(pilot, "Create account alice")
            await pilot.press("enter")
            await wait_text(pilot, "Welcome, alice")
            assert await ids(again) == ["alice"]


@pytest.mark.e2e
async def test_the_server_can_be_changed(server: ChatServer, elsewhere: ChatServer) -> None:
    await claim(elsewhere, "alice", "dana")
    app = app_for(server.url)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Log in")
        for typed, said in (
            ("chat example", "is not a server's address"),
            ("127.0.0.1:1", "http://127.0.0.1:1 does not answer"),
        ):
            await fill(pilot, server=typed, password="that of alice")
            await pilot.press("enter")
            await wait_text(pilot, said)
            assert values(app) == {"server": typed, "user": "alice", "password": "that of alice"}
        assert app.client.server == server.url
        await fill(pilot, server=elsewhere.url.removeprefix("http://"))
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, alice")
        assert app.client.server == elsewhere.url
        await start_with(pilot, "dana")


@pytest.mark.e2e
async def test_without_an_id_the_form_asks_for_it(server: ChatServer, own_folders: Path) -> None:
    await claim(server, "alice")
    app = app_for(server.url, "")
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Log in", server.url)
        await wait_for(pilot, lambda: app.focused is app.screen.query_one("#user"))
        assert values(app) == {"server": server.url, "user": "", "password": ""}
        await pilot.press("enter")
        await wait_text(pilot, "Enter your id")
        await write(pilot, "alice")
        await pilot.press("enter")
        await wait_text(pilot, "Enter a password")
        await write(pilot, "that of alice")
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, alice", "● alice")
    again = app_for(server.url)
    async with again.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Welcome, alice", "● alice")


@pytest.mark.e2e
async def test_a_server_that_is_away_is_said_at_once_and_no_more_when_it_is_back(
    server: ChatServer,
) -> None:
    port = server.port
    await server.stop()
    app = app_for(f"http://127.0.0.1:{port}")
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Log in", "does not answer", "Retrying")
        await write(pilot, "half of a pass")
        async with serving(port=port):
            await wait_gone(pilot, "does not answer")
            await wait_gone(pilot, "Retrying")
        await wait_text(pilot, "does not answer")
        assert app.screen.query_one("#password", Input).value == "half of a pass"


@pytest.mark.e2e
async def test_the_server_that_was_typed_is_the_one_that_is_looked_for(
    server: ChatServer, elsewhere: ChatServer
) -> None:
    await server.stop()
    app = app_for(server.url)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "does not answer")
        await fill(pilot, server=elsewhere.url)
        await wait_gone(pilot, "does not answer")
        await pilot.press("tab")
        await fill(pilot, server=server.url)
        await pilot.press("tab")
        await wait_text(pilot, f"{server.url} does not answer")
        await fill(pilot, server="no server")
        await pilot.press("tab")
        await wait_text(pilot, "is not a server's address")


@pytest.mark.e2e
async def test_what_is_missing_is_said_where_it_is(server: ChatServer) -> None:
    app = app_for(server.url)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Log in")
        await pilot.press("enter")
        await wait_text(pilot, "Enter a password")
        await fill(pilot, user=" ")
        await pilot.press("enter")
        await wait_text(pilot, "Enter your id")
        assert app.focused is app.screen.query_one("#user")


@pytest.mark.e2e  # it takes too long for the fast part
async def test_nothing_of_the_account_before_is_left(server: ChatServer) -> None:
    await claim(server, "alice", "bob", "carol")
    first = app_for(server.url)
    async with first.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Log in")
        await fill(pilot, password="that of alice")
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, alice")
        await start_with(pilot, "bob")
        await write(pilot, "between alice and bob")
        await pilot.press("enter")
        await wait_text(pilot, "✓")
        await write(pilot, "a draft of hers")
        await wait_for(pilot, lambda: first.client.draft("bob"))
        await first.client.logout()
        await wait_text(pilot, "Log in")
        await fill(pilot, user="carol", password="that of carol")
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, carol", "● carol")
        assert "bob" not in screen_text(first)
        assert first.client.conversation("bob") is None
        assert first.chat.current == ""
        await start_with(pilot, "bob")
        assert "hers" not in screen_text(first)
    again = app_for(server.url)
    async with again.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Log in")
        await fill(pilot, password="that of alice")
        await pilot.press("enter")
        await wait_text(pilot, "bob", "draft")


@pytest.mark.e2e
async def test_the_form_closes_when_the_server_comes_back(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with serving(store) as server:
        await claim(server, "alice")
        port = server.port
    app = app_for(f"http://127.0.0.1:{port}")
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Log in")
        await fill(pilot, password="that of alice")
        await pilot.press("enter")
        await wait_text(pilot, "does not answer", "(retrying)")
        async with serving(store, port=port):
            await wait_text(pilot, "Welcome, alice")


@pytest.mark.e2e  # it takes too long for the fast part
async def test_profiles_are_gone_to_and_come_back_from(
    server: ChatServer, elsewhere: ChatServer, own_folders: Path
) -> None:
    await claim(server, "alice", "bob")
    await claim(elsewhere, "boss")
    await claim(elsewhere, "asmith", password="of asmith")
    profiles(
        own_folders,
        f'[profiles.home]\nuser = "alice"\nserver = "{server.url}"\n'
        f'[profiles.work]\nuser = "asmith"\nserver = "{elsewhere.url}"\n'
        f'password-file = "{own_folders}/secret"\n',
        secret="of asmith",
    )
    app = app_for(server.url)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Log in")
        await fill(pilot, password="that of alice")
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, alice")
        await start_with(pilot, "bob")
        await write(pilot, "/profile nowhere")
        await pilot.press("enter")
        await write(pilot, "/profile work")
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, asmith", "● asmith")
        assert "bob" not in screen_text(app)
        await start_with(pilot, "boss")
        await write(pilot, "half a word")
        await pilot.press("ctrl+p")
        await write(pilot, "home")
        await wait_text(pilot, f"Profile: alice on {server.url}")
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, alice")
        await wait_gone(pilot, "boss")
        await pilot.press("ctrl+p")
        await write(pilot, "work")
        await wait_text(pilot, "Profile: asmith on")
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, asmith")
        await start_with(pilot, "boss")
        await wait_text(pilot, "half a word")


@pytest.mark.e2e
async def test_a_profile_that_cannot_be_opened_leaves_this_one(
    server: ChatServer, own_folders: Path
) -> None:
    await claim(server, "alice")
    profiles(
        own_folders,
        '[profiles.bad]\nuser = "asmith"\nserver = "no server"\n',
    )
    app = app_for(server.url)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_text(pilot, "Log in")
        await fill(pilot, password="that of alice")
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, alice")
        app.account_switcher.open_profile("bad")
        await wait_text(pilot, "is not a server's address")
        assert app.client.user == "alice"
        assert app.client.status.state is ConnectionState.ONLINE


@pytest.mark.e2e
async def test_a_form_that_goes_because_its_account_got_in_says_what_had_failed(
    elsewhere: ChatServer, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with serving(store) as server:
        await claim(server, "alice")
        port = server.port
    await claim(elsewhere, "bob")
    app = app_for(f"http://127.0.0.1:{port}")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_text(pilot, "Log in")
        await fill(pilot, password="that of alice")
        await pilot.press("enter")
        await wait_text(pilot, "(retrying)")
        await fill(pilot, server=elsewhere.url, user="bob", password="wrong")
        await pilot.press("enter")
        await wait_text(pilot, "wrong id or password")
        async with serving(store, port=port):
            await wait_text(pilot, "Welcome, alice", "wrong id or password", "with the saved login")


async def at_home(
    server: ChatServer, elsewhere: ChatServer, home: Path, *, asmith: str = "one for both"
) -> ChatApp:
    """Profiles home, alice's, which is open, and work, asmith's. ``asmith``: her password."""
    for one in (server, elsewhere):
        await claim(one, "bob")
    await claim(server, "alice", password="one for both")
    await claim(elsewhere, "asmith", password=asmith)
    profiles(
        home,
        f'[profiles.home]\nuser = "alice"\nserver = "{server.url}"\n'
        f'password-file = "{home}/secret"\n'
        f'[profiles.work]\nuser = "asmith"\nserver = "{elsewhere.url}"\n'
        f'password-file = "{home}/secret"\n',
        secret="one for both",
    )
    accounts = TerminalAccounts()
    account = accounts.open_profile("home")
    chosen = Settings(reduced_motion=True, theme="pychat-dark")
    return ChatApp(account.client, chosen, state=account.state, accounts=accounts)


@pytest.mark.e2e
async def test_escape_goes_back_to_where_one_was(
    server: ChatServer, elsewhere: ChatServer, own_folders: Path
) -> None:
    app = await at_home(server, elsewhere, own_folders, asmith="another one")
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Welcome, alice", "● alice")
        await start_with(pilot, "bob")
        await write(pilot, "half a word")
        home = app.client
        app.account_switcher.open_profile("work")
        await wait_text(pilot, "Log in", "asmith", "Esc: back to alice")
        await wait_for(pilot, lambda: "wrong id or password" in screen_text(app))
        await pilot.press("escape")
        await wait_text(pilot, "● alice", "half a word")
        assert app.client is home
        assert app.client.status.state is ConnectionState.ONLINE
        async with ChatClient(server.url, user="bob", password="that of bob") as bob:
            await bob.send("alice", "said once")
        await wait_text(pilot, "said once")
        assert screen_text(app).count("said once") == 2  # in the list and in the log
        app.account_switcher.open_profile("work")
        await wait_text(pilot, "Esc: back to alice")
        await fill(pilot, password="another one")
        await pilot.press("enter")
        await wait_text(pilot, "● asmith")
        await wait_for(pilot, lambda: home.status.state is ConnectionState.CLOSED)
        await app.client.logout()
        await wait_text(pilot, "Log in")
        await pilot.press("escape")
        await wait_text(pilot, "Log in")
        assert "back to" not in screen_text(app)


@pytest.mark.e2e
async def test_the_account_before_is_gone_back_to_by_its_id_too(
    server: ChatServer, elsewhere: ChatServer, own_folders: Path
) -> None:
    app = await at_home(server, elsewhere, own_folders, asmith="another one")
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        home = app.client
        app.account_switcher.open_profile("work")
        await wait_text(pilot, "Esc: back to alice")
        await fill(pilot, server=server.url, user="alice", password="whatever")
        await pilot.press("enter")
        await wait_text(pilot, "Welcome, alice", "● alice")
        assert app.client is home
        assert not home.cache_locked


@pytest.mark.e2e
async def test_accounts_that_are_changed_at_once_are_changed_one_by_one(
    server: ChatServer, elsewhere: ChatServer, own_folders: Path
) -> None:
    app = await at_home(server, elsewhere, own_folders)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Welcome, alice")
        opened = [app.client]
        assert app.accounts is not None
        open_profile = app.accounts.open_profile

        def noted(name: str) -> TerminalAccount:
            account = open_profile(name)
            opened.append(account.client)
            return account

        app.accounts.open_profile = noted  # type: ignore[method-assign] # to know them all
        for name in ("work", "home", "work", "home", "work"):
            app.account_switcher.open_profile(name)
        await wait_for(pilot, lambda: len(opened) == 6)
        await wait_text(pilot, "Welcome, asmith", "● asmith")
        last = app.client
        await wait_for(
            pilot,
            lambda: all(
                each.status.state is ConnectionState.CLOSED or each.status.reason == "not started"
                for each in opened
                if each is not last
            ),
        )
        assert last.status.state is ConnectionState.ONLINE
        assert not any(each.cache_locked for each in opened)
        app.account_switcher.open_profile("work")
        await wait_for(pilot, lambda: len(opened) == 7)
        assert app.client is last


@pytest.mark.e2e  # it takes too long for the fast part
@pytest.mark.parametrize("key", ["escape", "alt+down", "ctrl+b", "pageup", "ctrl+end"])
async def test_keys_and_sizes_while_an_account_is_changed_end_nothing(
    server: ChatServer, elsewhere: ChatServer, own_folders: Path, key: str
) -> None:
    app = await at_home(server, elsewhere, own_folders)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Welcome, alice")
        before = app.chat.view
        app.account_switcher.open_profile("work")
        while app.chat.view is before or not app.chat.view.is_mounted:
            app.post_message(events.Key(key, None))
            await asyncio.sleep(0)
        await pilot.resize_terminal(90, 24)
        await wait_text(pilot, "● asmith")
        await start_with(pilot, "bob")


@pytest.mark.e2e
async def test_what_is_said_to_somebody_goes_out_from_the_account_where_it_was_written(
    server: ChatServer, elsewhere: ChatServer, own_folders: Path
) -> None:
    app = await at_home(server, elsewhere, own_folders)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Welcome, alice")
        await start_with(pilot, "bob")
        asked, answer, alices = asyncio.Event(), asyncio.Event(), app.client

        async def slow(query: str = "", limit: int = 50) -> list[UserInfo]:
            asked.set()
            await answer.wait()
            return [UserInfo("bob", "", online=False)]

        alices.users = slow  # type: ignore[method-assign] # as on a slow line
        await write(pilot, "/msg bob from alice")
        await pilot.press("enter")
        await asked.wait()
        app.account_switcher.open_profile("work")
        await wait_text(pilot, "Welcome, asmith")
        answer.set()
        await pilot.pause()
        assert app.chat.current == ""
    async with ChatClient(server.url, user="bob", password="that of bob") as bob:
        page = await bob.history("alice")
        assert [message.text for message in page.messages] == ["from alice"]
    async with ChatClient(elsewhere.url, user="bob", password="that of bob") as bob:
        assert bob.conversation("asmith") is None


def test_a_profile_is_completed_from_ones_own_settings(own_folders: Path) -> None:
    profiles(
        own_folders,
        'user = "alice"\nserver = "https://chat.example.org"\n'
        '[profiles.second]\nuser = "asmith"\n'
        '[profiles.lab]\nserver = "http://127.0.0.1:4000"\n',
    )
    accounts = TerminalAccounts()
    assert accounts.profiles == {
        "second": "asmith on https://chat.example.org",
        "lab": "alice on http://127.0.0.1:4000",
    }
    assert accounts.open_profile("second").client.server == "https://chat.example.org"


async def test_a_login_that_has_ended_is_not_kept_by_a_slow_keyring(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str] = []
    asked, unlocked, ended = threading.Event(), threading.Event(), threading.Event()

    def keep(server: str, user: str, token: str) -> None:
        if token:
            asked.set()
            unlocked.wait(10)
        kept.append(token)
        if not token:
            ended.set()

    monkeypatch.setattr(tokenkeeper, "keep_token", keep)
    client = TerminalAccounts().open(server.url, "alice").client
    await client.login("that of alice")
    await asyncio.to_thread(asked.wait, 10)
    await client.logout()
    await client.close()
    assert not await asyncio.to_thread(ended.wait, 0.2)
    unlocked.set()
    await asyncio.to_thread(ended.wait, 10)
    assert kept[-1] == ""


@pytest.mark.e2e
async def test_what_a_thread_tells_is_shown_and_waits_for_nothing(server: ChatServer) -> None:
    app = app_for(server.url)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_text(pilot, "Log in")
        assert app.accounts is not None
        thread = threading.Thread(
            target=app.accounts.tell, args=("The login could not be kept",), daemon=True
        )
        thread.start()
        thread.join(10)  # the app's loop stands still until then
        assert not thread.is_alive()
        await wait_text(pilot, "The login could not be kept")


@pytest.mark.e2e
@pytest.mark.filterwarnings("error")
async def test_an_account_that_is_gone_to_as_the_app_ends_leaves_nothing_over(
    server: ChatServer, elsewhere: ChatServer, own_folders: Path
) -> None:
    app = await at_home(server, elsewhere, own_folders)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Welcome, alice")
        app.account_switcher.open_profile("work")
        app.exit()
    gc.collect()
