"""What people may look for, from the cheapest to the most expensive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.store.corpus import VOCABULARY, Corpus
from pychat.server.store import Store
from pychat.server.store.records import Account

Ask = Callable[[], Awaitable[Any]]


def searches(
    store: Store, corpus: Corpus, busiest: Account, others: Sequence[Account], pairs: Sequence[int]
) -> dict[str, Ask]:
    """Each asks once: half of the time as the busiest account. ``pairs``: keys of conversations
    to look in."""
    random = corpus.random
    words, korean = corpus.words, corpus.korean

    async def search(text: str, *, second_page: bool = False) -> None:
        account = busiest if random.random() < 0.5 else random.choice(others)
        _, cursor = await store.search(account.key, text, conversation=None, cursor=None, limit=50)
        if second_page:
            await store.search(account.key, text, conversation=None, cursor=cursor, limit=50)

    async def within(text: str) -> None:
        found = await store.conversations_by_key([random.choice(pairs)])
        (conversation,) = found
        account = random.choice(conversation.accounts)
        await store.search(account, text, conversation=conversation.key, cursor=None, limit=50)

    def beginning() -> str:
        return random.choice(words)[: random.randint(1, 4)]

    texts: dict[str, Callable[[], str]] = {
        "the most frequent word": lambda: words[0],
        "a word as people use them": lambda: corpus.word(words),
        "any word of the vocabulary": lambda: random.choice(words),
        "a rare word": lambda: words[random.randrange(VOCABULARY // 2, VOCABULARY)],
        "beginning of 1 to 4 letters": beginning,
        "two words": lambda: f"{corpus.word(words)} {corpus.word(words)}",
        "one Korean character": lambda: random.choice(random.choice(korean)),
        "two Korean characters": lambda: random.choice(korean)[:2],
        "Korean word": lambda: corpus.word(korean),
        "English and Korean": lambda: f"{corpus.word(words)} {corpus.word(korean)}",
        "what is not there": lambda: "qqqzzz",
    }
    asks: dict[str, Ask] = {name: partial(_ask, search, text) for name, text in texts.items()}
    asks["two pages of a word"] = partial(
        _ask, partial(search, second_page=True), texts["a word as people use them"]
    )
    asks["a word in one conversation"] = partial(_ask, within, texts["a word as people use them"])
    asks["a beginning in one conversation"] = partial(_ask, within, beginning)
    return asks


async def _ask(search: Callable[[str], Awaitable[Any]], text: Callable[[], str]) -> None:
    await search(text())
