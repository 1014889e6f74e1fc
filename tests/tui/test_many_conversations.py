"""Thousands of conversations: a key or an event does work for those in view, not for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pychat.client.events import ConversationChanged
from pychat.tui.model import finder
from pychat.tui.model.finder import (
    OFFERED,
    RANKED,
    SCATTERED_AMONG,
    Finder,
    SearchTexts,
    best,
    fuzzy,
)
from pychat.tui.widgets import conversation_list
from tests.tui import scenes
from tests.tui.driving import wait_for, wait_text, write
from tests.tui.scripted import NOW, ScriptedClient

MANY = 1_000


def crowd(count: int = MANY) -> ScriptedClient:
    client = ScriptedClient()
    for number in range(count):
        client.say(f"person{number}", f"words of {number}", at=NOW - number)
    for conversation in client.known:
        conversation.read_seq, conversation.unread = conversation.last_seq, 0
    return client


class Counter:
    """Counts the calls of a function that it stands for."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.calls = 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        return self._function(*arguments, **named)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Counts the conversations that the list makes rows for."""
    counter = Counter(conversation_list.conversation_name)
    monkeypatch.setattr(conversation_list, "conversation_name", counter)
    return counter


@pytest.mark.e2e
async def test_keys_and_events_make_rows_for_what_is_in_view_only(named: Counter) -> None:
    client = crowd()
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "person3")
        assert named.calls < 100
        app.chat.open("person0")
        await wait_text(pilot, "words of 0")
        for key in ("alt+down", "alt+down", "alt+up"):
            before = named.calls
            await pilot.press(key)
            assert 0 < named.calls - before < 100
        await wait_for(pilot, lambda: app.chat.current == "person1")
        before = named.calls
        for conversation in client.known:
            conversation.online = True
            client.tell(ConversationChanged(conversation))
        await wait_text(pilot, "● person5")
        # At most thirty times a second, however long it takes to get through them.
        assert named.calls - before < MANY


@pytest.mark.e2e
async def test_the_list_shows_what_changes_in_view_and_what_it_is_scrolled_to() -> None:
    client = crowd()
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_text(pilot, "person3")
        app.chat.query_one("#list").focus()
        await pilot.press("down", "end")
        await wait_text(pilot, f"person{MANY - 1}")
        last = client.conversation(f"person{MANY - 1}")
        assert last is not None
        last.online = True
        client.tell(ConversationChanged(last))
        await wait_text(pilot, f"● {last.name}")
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.chat.current == last.name)
        await pilot.press("alt+down")
        await wait_for(pilot, lambda: app.chat.current == "person0")
        client.say("person500", "hello", tell=True)
        await wait_text(pilot, "person500", "hello")  # to the top, as it is unread
        await pilot.press("ctrl+g")
        await wait_for(pilot, lambda: app.chat.current == "person500")


@pytest.mark.e2e
async def test_a_letter_shows_the_best_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    app = scenes.app(crowd())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+k")
        await wait_text(pilot, "Search people and rooms", "person0")
        counter = Counter(finder.name_of)
        await pilot.press("7")
        await wait_text(pilot, "person17")
        monkeypatch.setattr(finder, "name_of", counter)  # all are prepared by now
        await write(pilot, "77")
        await wait_text(pilot, "person777")
        assert counter.calls == 0
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.chat.current == "person777")


# --- the finder ---------------------------------------------------------------------------


def people(*called: tuple[str, str]) -> list[SearchTexts]:
    finder = Finder()
    return [finder.texts(id, alias) for id, alias in called]


def names(query: str, among: list[SearchTexts]) -> list[str]:
    return [found.name for found in best(query, among)]


def test_what_a_search_does_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    among = people(*((f"person{number}", f"Number {number}") for number in range(5_000)))
    counter = Counter(fuzzy)
    monkeypatch.setattr(finder, "fuzzy", counter)
    for query in ("p", "person", "7", "777", "n7", "pn", "zzz", "prsn777"):
        counter.calls = 0
        assert len(best(query, among)) <= OFFERED
        assert counter.calls <= 2 * (5 * RANKED + SCATTERED_AMONG) < 2 * len(among)


def test_the_better_match_is_found_among_many() -> None:
    many = [(f"x{number}bo{number}b", "") for number in range(5_000)]
    among = people(*many, ("bob", "Robert"), ("zoe", "Bobby Tables"), ("jim", "Jim Bob"))
    assert names("bob", among)[:3] == ["bob", "zoe", "jim"]


def test_who_has_the_id_is_found_though_hundreds_are_called_so() -> None:
    among = people(*((f"troll{number}", "bob") for number in range(1_000)), ("Bob", "Robert"))
    assert names("bob", among)[0] == "Bob"
    assert names("ＢＯＢ", among)[:1] in ([], ["Bob"])


def test_everyone_is_found_by_what_it_is_called() -> None:
    among = people(("eve", "Everyone"), ("ALL", ""), ("#everyone", "Everyone"))
    assert names("everyone", among)[0] == "ALL"


def test_a_new_alias_is_found() -> None:
    kept = Finder()
    assert names("rob", [kept.texts("bob", "")]) == []
    assert names("rob", [kept.texts("bob", "Robert")]) == ["bob"]


def test_a_name_stands_once_and_hostile_ones_find_nothing_more() -> None:
    among = people(("a\nb", "\n\n"), ("b", "b\nb"))
    assert names("b", among) == ["b", "a\nb"]
    assert names("\n", among) == []
