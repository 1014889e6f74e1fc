"""Tests of all stores: search."""

from __future__ import annotations

from random import Random

import pytest
from rich._emoji_codes import EMOJI

from pychat.server.store.records import Account, ConversationRecord, NewEdit
from pychat.server.store.sqlite import SQLiteStore
from pychat.server.store.terms import Query, terms
from tests.server.store.conftest import Populated, removed


async def found(
    chat: Populated, account: Account, text: str, conversation: ConversationRecord | None = None
) -> list[str]:
    """Return the texts of all matches, read page by page. Checks that they are the same before
    and after indexing."""
    texts = await pages(chat, account, text, conversation)
    if isinstance(chat.store, SQLiteStore):
        await chat.store.index()
        assert await pages(chat, account, text, conversation) == texts
    return texts


async def pages(
    chat: Populated, account: Account, text: str, conversation: ConversationRecord | None
) -> list[str]:
    texts: list[str] = []
    cursor = None
    while True:
        page, cursor = await chat.store.search(
            account.key,
            text,
            conversation=conversation.key if conversation else None,
            cursor=cursor,
            limit=2,
        )
        texts += [message.data for message in page]
        if cursor is None:
            return texts


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("hel", "Hello there"),
        ("THERE hello", "Hello there"),
        ("cafe", "un Café noir"),
        ("CAFÉ", "cafe\u0301 crème"),
        ("strasse", "Die Straße"),
        ("привет", "Привет, мир"),
        ("ёж", "Еж"),
        ("ﬁn", "final"),
        ("foo", "snake_foo"),
        ("2026", "in 2026-11"),
        ("한", "대한민국"),
        ("국", "대한민국"),
        ("민국", "대한민국"),
        ("한민국", "대한민국"),
        ("本", "日本語"),
        ("本語", "これは日本語です"),
        ("がく", "がくせい"),
        ("中", "在中国"),
        ("สวัส", "สวัสดีครับ"),
        ("हिन्दी", "यह हिन्दी है"),
        ("😀", "well 😀"),
        ("日本 foo", "foobar 日本"),
        ("❤️", "I ❤ it"),
        ("❤", "I ❤️ it"),
        ("⭐", "three⭐⭐⭐"),
        ("‼", "now‼️"),
        ("™", "pychat™"),
        ("👍", "fine 👍🏽"),
        ("👍🏽", "fine 👍🏽"),
        ("👩‍🚀", "an 👩🏽‍🚀"),
        ("🚀", "an 👩🏽‍🚀"),
        ("👩", "an 👩🏽‍🚀"),
        ("🇩🇪", "🇫🇷🇩🇪🇮🇹"),
        ("1️⃣", "first 1⃣"),
        ("#️⃣", "#️⃣topic"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "it comes home 🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
        ("क्ष", "क्‍षमा"),
    ],
)
async def test_finds(chat: Populated, text: str, data: str) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, "something else", data, "另外 다른")
    assert await found(chat, alice, text) == [data]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("ello", "Hello there"),
        ("hello you", "Hello there"),
        ("한국", "한민국"),
        ("한민국", "한민 그리고 민국"),
        ("かく", "がくせい"),
        ("!?", "what!?"),
        ("👍🏽", "fine 👍"),
        ("👍🏽", "fine 👍🏻"),
        ("👩‍🚀", "a 👩 in a 🚀"),
        ("🇪🇸", "🇩🇪🇸🇪"),
        ("1️⃣", "1 of 2️⃣"),
        ("1", "only 1️⃣"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁳󠁣󠁴󠁿 and 🏴‍☠️"),
        ("", "anything"),
        ("  ", "anything"),
        ('"', 'a " quote'),
    ],
)
async def test_does_not_find(chat: Populated, text: str, data: str) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, data)
    assert await found(chat, alice, text) == []


@pytest.mark.e2e
def test_every_emoji_is_found() -> None:
    """At any place and in any presentation. The index must have all terms of the query."""
    assert len(EMOJI) > 3000
    for emoji in EMOJI.values():
        query = Query(emoji)
        assert query.terms, ascii(emoji)
        for text in (emoji, f"hi{emoji}!", f"日本{emoji}語", emoji.replace("\ufe0f", "")):
            assert query.matches(text), (ascii(emoji), text)
            known = terms(text)
            for term in query.terms:
                beginnings = {each[: len(term.text)] for each in known}
                assert term.text in (beginnings if term.prefix else known), ascii(emoji)


async def test_some_of_every_kind_of_emoji_are_found(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    some = sorted(set(EMOJI.values()))[::60]
    await chat.say(pair, alice, *(f"here {emoji} there" for emoji in some))
    if isinstance(chat.store, SQLiteStore):
        await chat.store.index()
    for emoji in some:
        texts = await pages(chat, alice, emoji, None)
        assert f"here {emoji} there" in texts, ascii(emoji)


async def test_matches_of_all_conversations_are_sorted_newest_first(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    everyone = await chat.store.everyone()
    await chat.say(pair, alice, "tea 1")
    await chat.say(everyone, bob, "tea 2", "coffee", "tea 3")
    await chat.say(pair, bob, "tea 4", "tea 5")
    assert await found(chat, alice, "tea") == [f"tea {n}" for n in (5, 4, 3, 2, 1)]
    assert await found(chat, alice, "tea", pair) == ["tea 5", "tea 4", "tea 1"]
    assert await found(chat, alice, "tea", everyone) == ["tea 3", "tea 2"]


async def test_a_page_may_contain_unindexed_and_indexed_messages(
    chat: Populated,
) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, *(f"tea {n}" for n in range(1, 4)))
    if isinstance(chat.store, SQLiteStore):
        await chat.store.index()
    await chat.say(pair, alice, *(f"tea {n}" for n in range(4, 7)))
    first, cursor = await chat.store.search(
        alice.key, "tea", conversation=None, cursor=None, limit=2
    )
    if isinstance(chat.store, SQLiteStore):
        await chat.store.index()
    rest, end = await chat.store.search(
        alice.key, "tea", conversation=None, cursor=cursor, limit=10
    )
    assert [m.data for m in first + rest] == [f"tea {n}" for n in range(6, 0, -1)]
    assert end is None


async def test_a_removed_message_is_removed_from_the_index(chat: Populated) -> None:
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, "tea 1", "tea 2", "tea 3")
    assert await found(chat, alice, "tea") == ["tea 3", "tea 2", "tea 1"]
    await removed(chat.store, pair.key, 2)
    assert await found(chat, alice, "tea") == ["tea 3", "tea 1"]
    await removed(chat.store, pair.key, 2)
    assert await found(chat, alice, "tea") == ["tea 3", "tea 1"]


async def test_only_readable_messages_are_found(chat: Populated) -> None:
    alice, bob, pair = await chat.pair()
    carol = await chat.account("carol")
    await chat.say(pair, alice, "secret between two")
    assert await found(chat, carol, "secret") == []
    assert await found(chat, carol, "secret", pair) == []
    assert await found(chat, bob, "secret") == ["secret between two"]

    room = await chat.store.create_room("lounge", "Lounge", alice.key)
    await chat.say(room.conversation, alice, "secret before")
    await chat.store.join_room(room.conversation, carol.key)
    await chat.say(room.conversation, alice, "secret after")
    assert await found(chat, carol, "secret") == ["secret after"]
    await chat.store.leave_room(room.conversation, carol.key)
    assert await found(chat, carol, "secret") == []


async def test_an_invalid_cursor(chat: Populated) -> None:
    alice = await chat.account("alice")
    with pytest.raises(ValueError, match="cursor"):
        await chat.store.search(alice.key, "x", conversation=None, cursor="?", limit=5)


async def test_edits_are_found_by_every_word_and_prefix(chat: Populated) -> None:
    random = Random(14)
    words = [f"{first}{rest}" for first in "abcö한" for rest in ("", "n", "nd", "ndrew", "ndrews")]
    words += [word + "1" for word in words]
    texts = [" ".join(random.sample(words, 5)) for _ in range(40)]
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, *texts)
    if isinstance(chat.store, SQLiteStore):
        await chat.store.index()
    for _ in range(6):
        edited = random.sample(range(len(texts)), 15)
        for n in edited:
            kept = texts[n].split()[1:]
            texts[n] = " ".join({*kept, *random.sample(words, random.randint(0, 2))}) or "empty"
        await chat.change(*(NewEdit(pair.key, n + 1, alice.key, texts[n], 0) for n in edited))
    for wanted in {word[:length] for word in words for length in (1, 2, 3, 5, 6)}:
        expected = [text for text in reversed(texts) if Query(wanted).matches(text)]
        assert await found(chat, alice, wanted) == expected, wanted
