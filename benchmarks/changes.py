"""What edits and reactions cost beside messages: ``python -m benchmarks.changes --help``.

The chat runs in this process, without sockets: clients are function calls. Each figure is the CPU
time of the process per request, and its ratio to a message. It includes the store's threads, and
SQLite's search index, which gets messages later than their edits.

With one request in flight, each of 20 senders waits for its answer before the next one. With 50 in
flight, one client sends 50 requests at once and waits for all answers. The messages that are
changed were stored and indexed for the search before.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import msgspec

from pychat.server.chat import Chat
from pychat.server.store.base import Store
from pychat.server.store.memory import MemoryStore
from pychat.server.store.sqlite import SQLiteStore

SENDERS = 20
AT_ONCE = 50
TEXT = "message {} of a benchmark that nobody reads"
KINDS = ("message", "edit", "reaction")
STORES = ("memory", "sqlite")

encode = msgspec.json.encode


class BenchmarkClient:
    """A client, and its connection as the chat sees it."""

    def __init__(self, chat: Chat, id: str) -> None:
        self.id = self.sid = id
        self.context: Any = None
        self.remote_address = "127.0.0.1"
        self.user_agent = "benchmark"
        self._chat = chat
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        chat.connected(self)

    # --- called by the chat ---
    def send(self, packet: object) -> None: ...

    def when_received(self, callback: Callable[[], None]) -> None:
        callback()

    def acknowledge(self, ack_id: int, payload: bytes) -> None:
        self._waiting.pop(ack_id).set_result(payload)

    def admit(self) -> None: ...

    def close(self) -> None: ...

    # --- called by the benchmark ---
    def start(self, event: str, payload: bytes) -> asyncio.Future[bytes]:
        ack_id = next(self._ids)
        answer = self._waiting[ack_id] = asyncio.get_running_loop().create_future()
        self._chat.event(self, event, payload, ack_id)
        return answer

    async def ask(self, event: str, fields: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = msgspec.json.decode(await self.start(event, encode(fields)))
        assert answer["code"] in ("200", "202"), answer
        return answer

    def message(self, to: str, number: int) -> tuple[str, bytes]:
        fields = {"sender": self.id, "recepient": to, "command": "chat"}
        fields |= {"clientId": str(uuid4()), "data": TEXT.format(number)}
        return "message", encode(fields)


Request = tuple[str, bytes]


class Measurement:
    """The requests of all senders against one store."""

    def __init__(self, store: Store, chat: Chat, requests: int) -> None:
        self._store = store
        self._senders = [BenchmarkClient(chat, f"sender{n}") for n in range(SENDERS)]
        self._readers = [BenchmarkClient(chat, f"reader{n}") for n in range(2 * SENDERS)]
        """Two for each sender: messages that are changed go to one, new ones to the other. The
        memory store keeps a limited number in a conversation."""
        self._requests = requests
        self._ids: list[list[str]] = [[] for _ in range(SENDERS)]
        self._numbers = count(1)

    async def prepare(self) -> None:
        for client in (*self._senders, *self._readers):
            login = {"id": client.id, "password": "-", "protocol": 1, "create": True}
            await client.ask("login", login)
        for n, sender in enumerate(self._senders):
            made = [
                sender.start(*sender.message(f"reader{n}", next(self._numbers)))
                for _ in range(self._requests)
            ]
            self._ids[n] += [msgspec.json.decode(await answer)["id"] for answer in made]
        await self._store.index()

    def _planned(self, kind: str, n: int) -> list[Request]:
        """Return new requests of a sender, each of which changes something."""
        if kind == "message":
            reader = f"reader{SENDERS + n}"
            sender = self._senders[n]
            return [sender.message(reader, next(self._numbers)) for _ in range(self._requests)]
        if kind == "edit":
            return [
                ("edit", encode({"id": id, "data": TEXT.format(next(self._numbers))}))
                for id in self._ids[n]
            ]
        emoji = chr(0x1F600 + next(self._numbers) % 64)
        return [("react", encode({"id": id, "emoji": emoji, "on": True})) for id in self._ids[n]]

    async def one_in_flight(self, kind: str) -> float:
        """Return the microseconds of CPU per request."""
        planned = [self._planned(kind, n) for n in range(SENDERS)]
        began = time.process_time()
        await asyncio.gather(*map(_in_turn, self._senders, planned))
        await self._store.index()
        return (time.process_time() - began) / (SENDERS * self._requests) * 1e6

    async def at_once(self, kind: str) -> float:
        """Return the microseconds of CPU per request."""
        planned = self._planned(kind, 0)
        client = self._senders[0]
        began = time.process_time()
        for start in range(0, len(planned), AT_ONCE):
            answers = [client.start(*request) for request in planned[start : start + AT_ONCE]]
            _check(await asyncio.gather(*answers))
        await self._store.index()
        return (time.process_time() - began) / len(planned) * 1e6


async def _in_turn(client: BenchmarkClient, requests: Sequence[Request]) -> None:
    for request in requests:
        _check([await client.start(*request)])


def _check(answers: Sequence[bytes]) -> None:
    for answer in answers:
        assert b'"code":"20' in answer, answer


async def measure(store: Store, options: argparse.Namespace) -> dict[tuple[str, int], list[float]]:
    """Return the figures of all rounds, by kind and number in flight."""
    await store.open()
    chat = Chat(store, encode_event=lambda event, payload: payload, accounts="open")  # type: ignore[arg-type,return-value]
    await chat.start()
    measurement = Measurement(store, chat, options.requests)
    await measurement.prepare()
    figures: dict[tuple[str, int], list[float]] = {}
    for number in range(options.rounds + 1):
        for kind in KINDS:
            one = await measurement.one_in_flight(kind)
            many = await measurement.at_once(kind)
            if number:  # the first round warms up
                figures.setdefault((kind, 1), []).append(one)
                figures.setdefault((kind, AT_ONCE), []).append(many)
    await chat.stop()
    await store.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.changes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="of which the medians are shown")
    parser.add_argument("--requests", type=int, default=100, help="of each sender in a round")
    parser.add_argument("--stores", default=",".join(STORES), help="memory, sqlite")
    parser.add_argument(
        "--folder", type=Path, help="for the SQLite file, if the temporary folder is on no disk"
    )
    options = parser.parse_args()
    for name in options.stores.split(","):
        with TemporaryDirectory(dir=options.folder) as folder:
            store = MemoryStore() if name == "memory" else SQLiteStore(Path(folder) / "chat.db")
            figures = asyncio.run(measure(store, options))
        for in_flight in (1, AT_ONCE):
            medians = {kind: statistics.median(figures[kind, in_flight]) for kind in KINDS}
            shown = ", ".join(
                f"{kind} {cost:.0f} ({cost / medians['message']:.2f})"
                for kind, cost in medians.items()
            )
            print(f"{name}, {in_flight} in flight, µs CPU (of a message): {shown}")


if __name__ == "__main__":
    main()
