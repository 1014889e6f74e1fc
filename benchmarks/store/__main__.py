"""How the SQLite store answers at different sizes: python -m benchmarks.store --help.

Kept files are used again: filling ten million messages takes twenty minutes of CPU time. They are
read once before anything is measured: what is compared is the store, not the disk.
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


class Sized:
    """A store of so many messages, and what is asked of it, by name."""

    def __init__(self, path: Path, messages: int) -> None:
        self.path = path
        self.messages = messages
        self.result: dict[str, str] = {}
        self.asks: dict[str, Ask] = {}
        self._corpus = Corpus(messages)

    async def fill(self) -> None:
        store = SQLiteStore(self.path, durability="normal")
        await store.open()
        started = perf_counter()
        await self._corpus.fill(store)
        self.result["append µs/message"] = f"{self._per_message(started):.1f}"
        started = perf_counter()
        await store.index()
        self.result["index µs/message"] = f"{self._per_message(started):.1f}"
        await store.close()

    def _per_message(self, started: float) -> float:
        return (perf_counter() - started) / self.messages * 1e6

    async def open(self, rounds: int) -> SQLiteStore:
        self.result["bytes/message"] = f"{self.path.stat().st_size / self.messages:.0f}"
        with self.path.open("rb") as file:
            while file.read(1 << 20):
                pass
        store = SQLiteStore(self.path)
        started = perf_counter()
        await store.open()
        self.result["start-up ms"] = f"{(perf_counter() - started) * 1000:.1f}"
        await store.index()
        busiest, *others = [account async for account in store.all_accounts()]
        random = self._corpus.random
        pairs: list[int] = []
        while len(pairs) < rounds:
            page, _ = await store.conversations(random.choice(others).key, cursor=None, limit=50)
            found = [summary.conversation for summary in page]
            pairs += [each.key for each in found if each.kind is ConversationKind.PAIR]

        async def history() -> None:
            key = random.choice(pairs)
            last = await store.last_seq(key)
            before = random.choice([None, random.randint(1, last)])
            await store.history(key, first_seq=1, before=before, after=None, limit=50)

        async def conversations() -> None:
            await store.conversations(random.choice(others).key, cursor=None, limit=50)

        async def conversations_of_the_busiest() -> None:
            await store.conversations(busiest.key, cursor=None, limit=50)

        self.asks = {
            "history": history,
            "conversations": conversations,
            "conversations of the busiest": conversations_of_the_busiest,
            **{
                f"search: {name}": ask
                for name, ask in searches(store, self._corpus, busiest, others, pairs).items()
            },
        }
        return store

    def tell(self, name: str, times: list[float]) -> None:
        """Of seconds."""
        times.sort()
        p50, p95, p99 = (times[int(len(times) * at)] * 1000 for at in (0.5, 0.95, 0.99))
        self.result[name] = f"{p50:.2f} / {p95:.2f} / {p99:.2f}"


async def measure(stores: list[Sized], rounds: int) -> None:
    """All of them in turns, so that they see the same noise."""
    opened = [await store.open(rounds) for store in stores]
    for name in stores[0].asks:
        times: list[list[float]] = [[] for _ in stores]
        # The first half is to warm up.
        for n in range(2 * rounds):
            for store, values in zip(stores, times, strict=True):
                started = perf_counter()
                await store.asks[name]()
                if n >= rounds:
                    values.append(perf_counter() - started)
        for store, values in zip(stores, times, strict=True):
            store.tell(name, values)
    for each in opened:
        await each.close()


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
        stores = [Sized(folder / f"{count}.db", count) for count in messages]
        for store in stores:
            if not store.path.exists():
                console.print(f"filling {store.messages:,} messages …", style="dim")
                asyncio.run(store.fill())
        asyncio.run(measure(stores, rounds))
    table = Table("times: p50 / p95 / p99 ms", *[f"{count:,}" for count in messages])
    for name in {name: None for store in stores for name in store.result}:
        table.add_row(name, *[store.result.get(name, "") for store in stores])
    console.print(table)


main()
