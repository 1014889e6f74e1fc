"""The app on a real server: what two people see of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pychat.client import ChatClient
from pychat.client.models import ConnectionState
from pychat.server.app import ChatServer
from pychat.tui.app import ChatApp
from pychat.tui.settings import Settings
from tests.serving import serving
from tests.tui.driving import screen_text, start_with, wait_for, wait_gone, wait_text, write

PASSWORD = "correct horse"


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(accounts="open", limits=False) as running:
        yield running


@pytest.fixture
async def bob(server: ChatServer) -> AsyncIterator[ChatClient]:
    async with ChatClient(server.url, user="bob", password=PASSWORD, alias="Bob Marsh") as client:
        yield client


def app_for(server: ChatServer, user: str = "alice", **options: object) -> ChatApp:
    client = ChatClient(server.url, user=user, password=PASSWORD, **options)  # type: ignore[arg-type]
    return ChatApp(client, Settings(reduced_motion=True, theme="pychat-dark"))


async def test_two_people_talk(server: ChatServer, bob: ChatClient) -> None:
    app = app_for(server)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Welcome, alice", "● alice")
        await start_with(pilot, "bob")
        await write(pilot, "hello bob")
        await pilot.press("enter")
        await wait_text(pilot, "You  ", "hello bob", "✓")
        incoming = bob.messages()
        message = await anext(incoming)
        assert (message.sender, message.text) == ("alice", "hello bob")
        await bob.send("alice", "hello alice")
        await wait_text(pilot, "hello alice")
        await wait_for(pilot, lambda: "Bob Marsh bob  " in screen_text(app))


@pytest.mark.e2e
async def test_own_messages_show_how_far_they_are(server: ChatServer, bob: ChatClient) -> None:
    app = app_for(server)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        await start_with(pilot, "bob")
        await write(pilot, "seen")
        await pilot.press("enter")
        await wait_text(pilot, "✓")
        await bob.mark_delivered("alice", 1)
        await wait_text(pilot, "✓✓")
        await bob.mark_read("alice", 1)
        opened = app.chat.view.conversations.opened("bob")
        assert opened is not None
        await wait_for(pilot, lambda: opened.reading.read_seq == 1, "never read")


@pytest.mark.e2e
async def test_read_is_told_only_while_somebody_looks(server: ChatServer, bob: ChatClient) -> None:
    app = app_for(server)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        await start_with(pilot, "bob")
        app.app_focus = False
        await bob.send("alice", "are you there?")
        await wait_text(pilot, "are you there?")
        await wait_for(pilot, lambda: _cursor(bob, "delivered") == 1, "never delivered")
        await asyncio.sleep(0.5)  # longer than it takes to tell
        assert _cursor(bob, "read") == 0
        app.app_focus = True
        app.chat.view.mark_read()
        await wait_for(pilot, lambda: _cursor(bob, "read") == 1, "never read")


def _cursor(client: ChatClient, kind: str) -> int:
    conversation = client.conversation("alice")
    assert conversation is not None
    return conversation.peer_read_seq if kind == "read" else conversation.peer_delivered_seq


@pytest.mark.e2e
async def test_presence_and_typing_come_and_go(server: ChatServer, bob: ChatClient) -> None:
    app = app_for(server)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        await bob.send("alice", "hi")
        await wait_text(pilot, "Bob Marsh")
        await start_with(pilot, "bob")
        await wait_text(pilot, "● Bob Marsh bob  online")
        bob.typing("alice", True)
        await wait_text(pilot, "Bob Marsh bob  typing…")
        bob.typing("alice", False)
        await wait_gone(pilot, "typing…")
        await write(pilot, "h")
        await wait_for(pilot, lambda: "alice" in _typing(bob), "typing was not told")
        await bob.close()
        await wait_text(pilot, "○ Bob Marsh bob  last seen")


def _typing(client: ChatClient) -> tuple[str, ...]:
    conversation = client.conversation("alice")
    return conversation.typing if conversation is not None else ()


@pytest.mark.e2e
async def test_older_messages_come_while_scrolling_up(server: ChatServer, bob: ChatClient) -> None:
    async with ChatClient(server.url, user="alice", password=PASSWORD):
        pass
    for number in range(230):
        await bob.send("alice", f"message number {number}")
    app = app_for(server)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "Bob Marsh")
        await start_with(pilot, "bob")
        await wait_text(pilot, "message number 229")
        for _ in range(60):
            if "message number 0\n" in screen_text(app):
                break
            await pilot.press("pageup")
            await asyncio.sleep(0.02)
        await wait_text(pilot, "message number 0\n", "Today")
        await pilot.press("ctrl+end")
        await wait_text(pilot, "message number 229")


@pytest.mark.e2e
async def test_written_offline_sent_when_the_server_is_back(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with serving(store, accounts="open") as server:
        port = server.port
        async with ChatClient(server.url, user="bob", password=""):
            pass
        app = app_for(server)
        client = app.client
        async with app.run_test(size=(80, 24)) as pilot:
            await wait_text(pilot, "● alice")
            await start_with(pilot, "bob")
            await server.stop()
            await wait_text(pilot, "offline since")
            await write(pilot, "while away")
            await pilot.press("enter")
            await wait_text(pilot, "while away", "◌", "1 unsent")
            async with serving(store, port=port, accounts="open"):
                await wait_for(pilot, lambda: client.status.state is ConnectionState.ONLINE)
                await wait_text(pilot, "✓")
                await wait_gone(pilot, "waiting")


@pytest.mark.e2e
async def test_a_wrong_password_is_told_in_the_form_and_the_right_one_logs_in() -> None:
    async with serving() as server:
        async with ChatClient(server.url, user="alice", password=PASSWORD):
            pass
        client = ChatClient(server.url, user="alice")
        app = ChatApp(client, Settings(reduced_motion=True))
        async with app.run_test(size=(80, 24)) as pilot:
            await wait_text(pilot, "Log in", "alice", f":{server.port}")
            assert "not logged in" not in screen_text(app)
            await write(pilot, "wrong")
            assert "wrong" not in screen_text(app)
            await pilot.press("enter")
            await wait_text(pilot, "password")
            await wait_for(pilot, lambda: not app.screen.query_one("#submit").disabled)
            await write(pilot, PASSWORD)  # what was wrong is selected: this replaces it
            await pilot.press("enter")
            await wait_text(pilot, "Welcome, alice")
            assert client.token


async def test_a_new_account_is_told() -> None:
    async with serving() as server:
        app = ChatApp(ChatClient(server.url, user="alice"), Settings(reduced_motion=True))
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await wait_text(pilot, "Log in")
            await write(pilot, PASSWORD)
            await pilot.press("enter")
            await wait_text(pilot, "There is no account alice")
            await pilot.press("enter")
            await wait_text(pilot, "account alice created", "Welcome, alice")


@pytest.mark.e2e
async def test_drafts_stay_with_their_conversations(server: ChatServer, bob: ChatClient) -> None:
    app = app_for(server)
    async with (
        ChatClient(server.url, user="carol", password=""),
        app.run_test(size=(80, 24)) as pilot,
    ):
        await wait_text(pilot, "● alice")
        await start_with(pilot, "bob")
        await write(pilot, "for bob")
        await start_with(pilot, "carol")
        assert app.chat.view.composer.text == ""
        await write(pilot, "for carol")
        await start_with(pilot, "bob")
        assert app.chat.view.composer.text == "for bob"


@pytest.mark.e2e
async def test_a_draft_typed_right_before_quitting_is_there_again(
    server: ChatServer, bob: ChatClient, tmp_path: Path
) -> None:
    for number in range(2):
        app = app_for(server, cache=tmp_path / "alice.db")
        async with app.run_test(size=(80, 24)) as pilot:
            await wait_text(pilot, "● alice")
            await start_with(pilot, "bob")
            if number == 0:
                await write(pilot, "half a sentence")
                await pilot.press("ctrl+q")
            else:
                assert app.chat.view.composer.text == "half a sentence"


@pytest.mark.e2e
async def test_a_second_one_with_the_same_login_works_without_the_cache_file(
    server: ChatServer, bob: ChatClient, tmp_path: Path
) -> None:
    first = ChatClient(server.url, user="alice", password=PASSWORD, cache=tmp_path / "alice.db")
    first.start()
    await first.send("bob", "from the first one")
    app = app_for(server, cache=tmp_path / "alice.db")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_text(pilot, "● alice", "open in another pychat")
        await start_with(pilot, "bob")
        await wait_text(pilot, "from the first one")
        await write(pilot, "from the second")
        await pilot.press("enter")
        await wait_text(pilot, "from the second", "✓")
    await first.close()


@pytest.mark.e2e
async def test_what_a_blocked_one_wrote_is_hidden_and_comes_back(
    server: ChatServer, bob: ChatClient
) -> None:
    app = app_for(server)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        await bob.send("alice", "before")
        await bob.send("alice", "before that")
        await start_with(pilot, "bob")
        await wait_text(pilot, "before that")
        await write(pilot, "/block bob")
        await pilot.press("enter")
        await wait_text(pilot, "2 messages hidden")
        await bob.send("alice", "meanwhile")
        await write(pilot, "/unblock bob")
        await pilot.press("enter")
        await wait_text(pilot, "before that", "meanwhile")
        await wait_gone(pilot, "hidden")


@pytest.mark.e2e
async def test_people_in_rooms_have_their_aliases_and_the_rooms_name_stands_once(
    server: ChatServer, bob: ChatClient
) -> None:
    await bob.create_room("builds", "builds")
    app = app_for(server)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        await app.client.join_room("builds")
        app.chat.open("#builds")
        await bob.send("#builds", "green again")
        await wait_text(pilot, "Bob Marsh (bob): green", "green again")
        shown = screen_text(app)
        assert "#builds  builds" not in shown
        assert shown.count("Bob Marsh") == 2
        bob.typing("#builds", True)
        await wait_text(pilot, "Bob Marsh (bob) is typing…")


@pytest.mark.e2e
async def test_nobody_is_online_while_the_server_is_away(
    server: ChatServer, bob: ChatClient
) -> None:
    app = app_for(server)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        await bob.send("alice", "hi")
        await start_with(pilot, "bob")
        await wait_text(pilot, "● Bob Marsh bob  online")
        await server.stop()
        await wait_text(pilot, "offline since", "Bob Marsh bob  not connected")
        assert "●" not in screen_text(app)


@pytest.mark.e2e
async def test_search_in_all_conversations_opens_the_one_it_finds(
    server: ChatServer, bob: ChatClient
) -> None:
    app = app_for(server)
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_text(pilot, "● alice")
        await bob.send("ALL", "the needle for everyone")
        await bob.send("alice", "a needle for alice")
        await bob.create_room("hay", "Hay")
        await app.client.join_room("hay")
        app.chat.open("#hay")
        await pilot.press("ctrl+f")
        await write(pilot, "needle")
        await pilot.press("enter")
        await wait_text(pilot, "No results")
        await pilot.press("tab")
        await wait_text(pilot, "1 of 2 in all")
        assert app.chat.current == "bob"
        await pilot.press("enter")
        await wait_text(pilot, "2 of 2 in all", "the needle for everyone")
        assert app.chat.current == "ALL"
        await pilot.press("escape")
        await wait_gone(pilot, "of 2 in all")
        assert app.focused is app.chat.view.composer


@pytest.mark.e2e
async def test_who_is_blocked_is_said(server: ChatServer, bob: ChatClient) -> None:
    app = app_for(server)
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_text(pilot, "● alice")
        await bob.send("alice", "hi")
        await start_with(pilot, "bob")
        await write(pilot, "/block")
        await pilot.press("enter", "enter")
        await wait_text(pilot, "blocked · undo with /unblock bob", "Bob Marsh (bob) is blocked")
        await write(pilot, "/unblock bob")
        await pilot.press("enter")
        await wait_text(pilot, "Message Bob Marsh")
        await wait_gone(pilot, "blocked: /unblock")


@pytest.mark.e2e
async def test_a_room_that_is_left_is_closed(server: ChatServer) -> None:
    app = app_for(server)
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_text(pilot, "● alice")
        await app.client.create_room("builds", "builds")
        app.chat.open("#builds")
        await wait_text(pilot, "Message #builds")
        app.chat.view.composer.load("/leave")
        await pilot.press("enter")
        await wait_text(pilot, "To start a chat")
        assert app.chat.current == ""
        await wait_gone(pilot, "#builds  ")


@pytest.mark.e2e
async def test_a_quote_shows_its_origin_as_it_is_now(server: ChatServer, bob: ChatClient) -> None:
    app = app_for(server)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "● alice")
        origin = await bob.send("alice", "one secret")
        await start_with(pilot, "bob")
        await bob.send("alice", "an answer", reply_to=origin.seq)
        await wait_for(pilot, lambda: screen_text(app).count("one secret") == 2)
        await bob.edit(origin.id, "two secrets")
        await wait_for(pilot, lambda: screen_text(app).count("two secrets") == 2)
        await bob.remove(origin.id)
        await wait_gone(pilot, "two secrets")
        await wait_text(pilot, "an answer")


@pytest.mark.e2e
async def test_own_changes_are_shown_at_once_and_a_refused_one_is_named(
    server: ChatServer, bob: ChatClient
) -> None:
    app = app_for(server)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_text(pilot, "● alice")
        theirs = await bob.send("alice", "from bob")
        await start_with(pilot, "bob")
        await wait_text(pilot, "from bob")
        connection = app.client._core.reconnector.connection
        assert connection is not None
        connection.abort("the connection was lost")
        app.client.post_reaction(theirs.id, "🎉")
        app.client.post_edit(theirs.id, "not hers")
        await wait_for(pilot, lambda: "not hers" in screen_text(app))
        await wait_text(pilot, "edit of “from bob”")
        await wait_for(pilot, lambda: "not hers" not in screen_text(app))
        await wait_text(pilot, "from bob", "🎉 1")
        page = await bob.history("alice")
        assert [each.emoji for each in page.messages[0].reactions] == ["🎉"]
