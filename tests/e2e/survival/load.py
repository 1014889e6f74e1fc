"""A small town that talks all the time, whatever happens to its server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.e2e.survival.people import Ledger, OriginalPage, Program, Terminal

PATIENCE = 60.0
ROOM = "town"


class Town:
    """``stop`` ends the talk and returns once everybody has everything."""

    def __init__(self, ledger: Ledger, terminals: Sequence[Terminal], pages: Sequence[str]) -> None:
        self.ledger = ledger
        self.terminals = terminals
        self.quiet = asyncio.Event()
        self.over = asyncio.Event()
        self.writers: list[asyncio.Task[None]] = []
        self.readers: list[asyncio.Task[None]] = []
        self._pages = pages

    async def stop(self) -> None:
        self.quiet.set()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self.writers)
            for terminal in self.terminals:
                await terminal.settled()
            while not self._has_all():
                await self.ledger.news()
        self.over.set()
        await asyncio.gather(*self.readers)

    def assert_nothing_wrong(self) -> None:
        """Nobody has given up, was refused for good, or had to start anew."""
        for task in (*self.writers, *self.readers):
            if task.done():
                task.result()
        for terminal in self.terminals:
            assert (terminal.resets, terminal.failed) == (0, [])

    def _has_all(self) -> bool:
        acknowledged = self.ledger.acknowledged.keys()
        for page in self._pages:
            given = set(self.ledger.given[page])
            if any(f">{page} " in text and text not in given for text in acknowledged):
                return False
        for terminal in self.terminals:
            user = terminal.client.user
            shown = self.ledger.shown[user]
            texts = {text for entries in shown.values() for _, text in entries}
            for text in acknowledged:
                to = text.partition(">")[2].partition(" ")[0]
                if to in (user, "ALL", f"#{ROOM}") and text not in texts:
                    return False
        return True


@asynccontextmanager
async def talking(
    url: str, *, terminals: int = 4, pause: float = 0.005, slow: float = 0.02
) -> AsyncIterator[Town]:
    """So many terminals that write to each other, to a room and to all, a pause apart; a program
    and an original page that write to them (``slow`` apart), a terminal and an original page."""
    ledger = Ledger()
    ids = [f"terminal{number}" for number in range(terminals)]
    people = [Terminal(ledger, url, id, pause) for id in ids]
    town = Town(ledger, people, ["reader"])
    reader = OriginalPage(ledger, url, "reader", slow)
    try:
        await asyncio.gather(*(each.client.connect() for each in people))
        await people[0].client.create_room(ROOM, "Town")
        for each in people[1:]:
            await each.client.join_room(ROOM)
        town.readers = [asyncio.create_task(reader.read(town.over))]
        await reader.known.wait()
        program = Program(ledger, url, "program", slow)
        page = OriginalPage(ledger, url, "page", slow)
        town.writers += [
            asyncio.create_task(program.write("reader", town.quiet)),
            asyncio.create_task(page.write(ids[0], town.quiet)),
        ]
        # Once the store is away they cannot log in any more.
        await ledger.acknowledged_by("program", "page")
        for each, id in zip(people, ids, strict=True):
            others = [other for other in ids if other != id]
            to = [*others, "reader", f"#{ROOM}", "ALL"]
            town.writers.append(asyncio.create_task(each.write(to, town.quiet)))
        yield town
    finally:
        for task in (*town.writers, *town.readers):
            task.cancel()
        await asyncio.gather(*town.writers, *town.readers, return_exceptions=True)
        await asyncio.gather(*(each.close() for each in people))
