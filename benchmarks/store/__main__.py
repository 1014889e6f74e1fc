"""How the SQLite store answers at different sizes: python -m benchmarks.store --help.

Kept files are used again: filling ten million messages takes most of an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks.store.corpus import Corpus
from pychat.server.store.records import Account, ConversationKind
from pychat.server.store.sqlite import SQLiteStore

Ask = Callable[[], Awaitable[Any]]
console = Console()


async def times(ask: Ask, rounds: int) -> list[float]:
    """Milliseconds, sorted."""
    found = []
    for _ in range(rounds):
        started = perf_counter()
        await ask()
        found.append((perf_counter() - started) * 1000)
    return sorted(found)


def p(values: list[float], percent: float) -> float:
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


async def measure(path: Path, messages: int, rounds: int, *, fill: bool) -> dict[str, str]:
    corpus = Corpus(messages)
    result: dict[str, str] = {}
    if fill:
        store = SQLiteStore(path, durability="normal")
        await store.open()
        started = perf_counter()
        await corpus.fill(store)
        result["append µs/message"] = f"{(perf_counter() - started) / messages * 1e6:.1f}"
        started = perf_counter()
        await store.index()
        result["index µs/message"] = f"{(perf_counter() - started) / messages * 1e6:.1f}"
        await store.close()
    store = SQLiteStore(path)
    started = perf_counter()
    await store.open()
    result["start-up ms"] = f"{(perf_counter() - started) * 1000:.1f}"
    await store.index()
    accounts = [account async for account in store.all_accounts()]
    random = corpus.random

    keys: list[int] = []
    while len(keys) < rounds:
        page, _ = await store.conversations(random.choice(accounts).key, cursor=None, limit=50)
        keys += [s.conversation.key for s in page if s.conversation.kind is ConversationKind.PAIR]

    async def history() -> None:
        key = random.choice(keys)
        last = await store.last_seq(key)
        before = random.choice([None, random.randint(1, last)])
        await store.history(key, first_seq=1, before=before, after=None, limit=50)

    async def conversations() -> None:
        await store.conversations(random.choice(accounts).key, cursor=None, limit=50)

    for name, ask in (("history", history), ("conversations", conversations)):
        values = await times(ask, rounds)
        result[f"{name} p50/p99 ms"] = f"{p(values, 50):.2f} / {p(values, 99):.2f}"

    async def search(account: Account, text: str) -> None:
        await store.search(account.key, text, conversation=None, cursor=None, limit=50)

    async def searches(text: Callable[[], str]) -> None:
        values = await times(lambda: search(accounts[0], text()), rounds // 2)
        values += await times(lambda: search(random.choice(accounts), text()), rounds // 2)
        values.sort()
        result[f"search {text.__doc__} p50/p95 ms"] = f"{p(values, 50):.2f} / {p(values, 95):.2f}"

    def common() -> str:
        """common word"""
        return corpus.word(corpus.words)

    def rare() -> str:
        """any word"""
        return random.choice(corpus.words)

    def beginning() -> str:
        """beginning of 1 to 4"""
        return random.choice(corpus.words)[: random.randint(1, 4)]

    def two() -> str:
        """two words"""
        return f"{corpus.word(corpus.words)} {corpus.word(corpus.words)}"

    def one_syllable() -> str:
        """one Korean character"""
        return random.choice(random.choice(corpus.korean))

    def korean() -> str:
        """Korean word"""
        return corpus.word(corpus.korean)

    def nothing() -> str:
        """what is not there"""
        return "qqqzzz"

    for text in (common, rare, beginning, two, one_syllable, korean, nothing):
        await searches(text)
    await store.close()
    return result


@click.command()
@click.option(
    "--messages", "-n", multiple=True, type=int, default=(10_000, 1_000_000), show_default=True
)
@click.option("--rounds", default=400, show_default=True)
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep the files here."
)
def main(messages: tuple[int, ...], rounds: int, keep: Path | None) -> None:
    """Sizes, start-up, history, conversations and search, at each number of messages."""
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        results = []
        for count in messages:
            console.print(f"{count:,} messages …", style="dim")
            path = folder / f"{count}.db"
            result = asyncio.run(measure(path, count, rounds, fill=not path.exists()))
            result["bytes/message"] = f"{path.stat().st_size / count:.0f}"
            results.append(result)
    table = Table("", *[f"{count:,}" for count in messages])
    for name in {name: None for result in results for name in result}:
        table.add_row(name, *[result.get(name, "") for result in results])
    console.print(table)


main()
