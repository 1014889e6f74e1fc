"""A chat of any size for the store's benchmarks: users, conversations, words as people use them."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TypeVar

from pychat.server.store import Store
from pychat.server.store.records import Account, CursorMove, NewMessage

VOCABULARY = 50_000
SYLLABLES = [
    c + v
    for c in [
        "b",
        "c",
        "d",
        "f",
        "g",
        "h",
        "k",
        "l",
        "m",
        "n",
        "p",
        "r",
        "s",
        "t",
        "v",
        "w",
        "th",
        "st",
        "tr",
        "ch",
    ]
    for v in "aeiou"
]
BATCH = 10_000
MAX_BURST = 9
UNREAD = (0, 0, 0, 1, 3, 10)


T = TypeVar("T")


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


class Corpus:
    """Every tenth message goes to ALL, the others to pairs; every fifth is Korean. Words follow
    Zipf's law. ``users`` and pairs grow with the messages: 100 messages a pair, 10 pairs a user,
    but the first user has a tenth of all. Nearly all of it is read."""

    def __init__(self, messages: int) -> None:
        self.messages = messages
        self.random = random.Random(42)
        self.words = self._words(lambda: "".join(self._some(SYLLABLES, 1, 4)))
        hangul = [chr(c) for c in range(0xAC00, 0xAC00 + 11_172, 37)]
        self.korean = self._words(lambda: "".join(self._some(hangul, 1, 4)))
        self._weights = list(accumulate(1 / (rank + 2) for rank in range(VOCABULARY)))
        self.accounts: list[Account] = []
        self.pairs: list[tuple[int, int, int]] = []

    def _some(self, parts: list[str], low: int, high: int) -> list[str]:
        return self.random.choices(parts, k=self.random.randint(low, high))

    def _words(self, make: object) -> list[str]:
        assert callable(make)
        words: dict[str, None] = {}
        while len(words) < VOCABULARY:
            words[make()] = None
        return list(words)

    def word(self, words: list[str]) -> str:
        """A word, the common ones most often."""
        return words[bisect(self._weights, self.random.random() * self._weights[-1])]

    def text(self) -> str:
        words = self.korean if self.random.random() < 0.2 else self.words
        return " ".join(self.word(words) for _ in range(self.random.randint(2, 18)))

    async def fill(self, store: Store) -> None:
        users = max(20, min(20_000, self.messages // 500))
        for numbers in _chunks(range(users), 1_000):
            self.accounts += await asyncio.gather(
                *(store.create_account(f"user{n}", f"User {n}", None, 0) for n in numbers)
            )
        wanted: dict[tuple[int, int], None] = {}
        # The first user takes part in a tenth of all conversations.
        while len(wanted) < max(30, self.messages // 100):
            a = 0 if self.random.random() < 0.1 and len(wanted) < users else None
            a = self.random.randrange(users) if a is None else a
            b = self.random.randrange(users)
            if len(wanted) >= users * (users - 1) // 2:
                break
            if a != b:
                wanted[min(a, b), max(a, b)] = None
        for chunk in _chunks(list(wanted), 1_000):
            keys = [(self.accounts[a].key, self.accounts[b].key) for a, b in chunk]
            opened = await asyncio.gather(*(store.open_pair(*pair) for pair in keys))
            self.pairs += [(pair.key, *keys) for pair, keys in zip(opened, keys, strict=True)]
        everyone = (await store.everyone()).key
        last_seqs = Counter[int]()
        for batch in self._batches(everyone):
            await store.append(batch)
            last_seqs.update(message.conversation for message in batch)
        members = [(key, account) for key, *pair in self.pairs for account in pair]
        members += [(everyone, account.key) for account in self.accounts]
        moves = [
            CursorMove(key, account, seq, max(0, seq - self.random.choice(UNREAD)))
            for key, account in members
            if (seq := last_seqs[key])
        ]
        for chunk in _chunks(moves, 1_000):
            await store.move_cursors(chunk)

    def _batches(self, everyone: int) -> Iterator[list[NewMessage]]:
        batch: list[NewMessage] = []
        count = 0
        while count < self.messages:
            # People talk in bursts: several messages of a conversation in a row.
            burst = self.random.randint(1, MAX_BURST)
            if self.random.random() < 0.1:
                conversation = everyone
                senders = [self.random.choice(self.accounts).key for _ in range(2)]
            else:
                conversation, *senders = self.random.choice(self.pairs)
            for _ in range(min(burst, self.messages - count)):
                client_id = self.random.randbytes(16)
                sender = self.random.choice(senders)
                sent_at = 1_700_000_000_000 + count
                batch.append(NewMessage(conversation, sender, client_id, sent_at, self.text()))
                count += 1
            if len(batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch
