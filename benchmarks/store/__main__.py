"""How the SQLite store answers at different sizes: python -m benchmarks.store --help.

Kept files are used again: filling ten million messages takes twenty minutes of CPU time.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from time import perf_counter

import click
from rich.console import Console
from rich.table import Table

from benchmarks.store.corpus import Corpus
from benchmarks.store.searches import Ask, searches
from pychat.server.store.records import ConversationKind
from pychat.server.store.sqlite import SQLiteStore

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
    busiest, others = accounts[0], accounts[1:]
    random = corpus.random

    keys: list[int] = []
    while len(keys) < rounds:
        page, _ = await store.conversations(random.choice(others).key, cursor=None, limit=50)
        keys += [s.conversation.key for s in page if s.conversation.kind is ConversationKind.PAIR]

    async def history() -> None:
        key = random.choice(keys)
        last = await store.last_seq(key)
        before = random.choice([None, random.randint(1, last)])
        await store.history(key, first_seq=1, before=before, after=None, limit=50)

    async def conversations() -> None:
        await store.conversations(random.choice(others).key, cursor=None, limit=50)

    async def conversations_of_the_busiest() -> None:
        await store.conversations(busiest.key, cursor=None, limit=50)

    for ask in (history, conversations, conversations_of_the_busiest):
        values = await times(ask, rounds)
        name = ask.__name__.replace("_", " ")
        result[f"{name} p50/p99 ms"] = f"{p(values, 50):.2f} / {p(values, 99):.2f}"

    for name, ask in searches(store, corpus, busiest, others, keys).items():
        values = await times(ask, rounds)
        result[f"search: {name} p50/p95 ms"] = f"{p(values, 50):.2f} / {p(values, 95):.2f}"
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
