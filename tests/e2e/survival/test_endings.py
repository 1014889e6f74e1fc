"""Original clients of every generation, on every transport, leave in every way: nothing is lost.

``ENDINGS_ROUNDS=20`` makes each of them leave twenty times in each way.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.attack import wire
from tests.e2e.engine.matrix import GENERATIONS, TRANSPORTS, client_of
from tests.processes import Serving
from tests.proxy import Line, proxying
from tests.requirements import require_program

pytestmark = pytest.mark.e2e

SCRIPT = Path(__file__).parent / "reader.js"
SEED = 20261127
ROUNDS = int(os.environ.get("ENDINGS_ROUNDS", "1"))
ENDS = ("disconnect", "close", "kill", "dead link", "never reads")
PAUSE = 0.05
"""Seconds between two messages to each reader."""
STAYS = (2.5, 4.0)
"""Seconds that a client stays: some messages are proven when it leaves, some are not."""
GOES_ON = 0.5
"""Seconds of messages to a client that does not get them any more."""
WAIT = 60


@dataclass
class Reader:
    """One user, who comes with one generation of clients and one transport."""

    generation: str
    transport: str
    folder: Path
    sent: list[str] = field(default_factory=list)
    """Acknowledged by the server, or written by a client to itself."""
    outputs: list[Path] = field(default_factory=list)
    ends: list[str] = field(default_factory=lambda: [*ENDS] * ROUNDS)

    @property
    def id(self) -> str:
        return f"{self.generation}-{self.transport}"

    def missing(self) -> set[str]:
        return set(self.sent).difference(*map(texts_in, self.outputs))

    @asynccontextmanager
    async def client(self, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Logged in; killed at the end if it has not gone."""
        note = f"{self.id} to itself {len(self.outputs)}"
        output = self.folder / f"{self.id} {len(self.outputs)}"
        with output.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                require_program("node", "nodejs"), SCRIPT, client_of(self.generation), url,
                TRANSPORTS[self.transport], self.id, note,
                stdin=asyncio.subprocess.PIPE, stdout=file,
            )  # fmt: skip
        try:
            await until(lambda: output.read_text().startswith("in\n"))
            assert output.read_text().startswith("in\n"), "the client did not log in"
            self.outputs.append(output)
            self.sent.append(note)
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def visit(self, server: Serving) -> None:
        async with self.client(server.url):
            # Killed at once, it may not have sent its message yet.
            await until(lambda: self.sent[0] in texts_in(self.outputs[0]))

    async def live(self, server: Serving, random_: random.Random) -> None:
        """Come, stay for some time and leave, in each way."""
        random_.shuffle(self.ends)
        stays = [random_.uniform(*STAYS) for _ in self.ends]
        for end, stay in zip(self.ends, stays, strict=True):
            async with proxying(server.port) as proxy, self.client(proxy.url) as process:
                await asyncio.sleep(stay)
                if end in ("disconnect", "close"):
                    assert process.stdin is not None
                    process.stdin.write(f"{end}\n".encode())
                elif end == "kill":
                    process.kill()
                elif end == "dead link":
                    proxy.line = Line.SILENT
                else:
                    process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(GOES_ON)

    def again(self) -> dict[str, int]:
        """How many messages came again after each way to leave."""
        counts: Counter[str] = Counter()
        seen: set[str] = set()
        # The first client has nobody before it.
        for end, texts in zip(["", *self.ends], map(texts_in, self.outputs[1:]), strict=True):
            counts[end] += len(texts) - len(set(texts) - seen)
            seen.update(texts)
        return {end: counts[end] for end in ENDS}


def texts_in(output: Path) -> list[str]:
    """What a client's handler was given. A line that it was killed in is none."""
    return [line for line in output.read_text().split("\n")[:-1] if line != "in"]


async def until(condition: Callable[[], bool]) -> None:
    """Returns when it holds, or has not for some time."""
    for _ in range(WAIT * 20):
        if condition():
            break
        await asyncio.sleep(0.05)


async def write(server: Serving, readers: list[Reader], over: asyncio.Event) -> None:
    """To each reader in turn, until it is over."""
    async with wire.browsing() as http:
        client = await wire.connect(http, server.url)
        await client.login("writer")
        number = 0
        while not over.is_set():
            number += 1
            started = time.monotonic()
            for reader in readers:
                text = f"to {reader.id} {number}"
                message = {"sender": "writer", "recepient": reader.id, "data": text}
                answer = await client.ask("message", message | {"command": "chat", "type": "text"})
                assert answer["code"] in ("200", "202"), answer
                reader.sent.append(text)
            await asyncio.sleep(max(0.0, started + PAUSE - time.monotonic()))
        await client.close()


async def test_every_client_leaves_in_every_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random_ = random.Random(SEED)
    readers = [Reader(g, t, tmp_path) for g in GENERATIONS for t in TRANSPORTS]
    options = ("--store", f"sqlite:///{tmp_path}/chat.db", "--accounts", "open", "--no-limits")
    with Serving(*options) as server:
        async with AsyncExitStack() as stack:
            # Nobody can write to a user who has never been there.
            await asyncio.gather(*(reader.visit(server) for reader in readers))
            over = asyncio.Event()
            writing = asyncio.create_task(write(server, readers, over))
            async with asyncio.TaskGroup() as group:
                for reader in readers:
                    group.create_task(reader.live(server, random_))
            over.set()
            await writing
            last = [stack.enter_async_context(reader.client(server.url)) for reader in readers]
            await asyncio.gather(*last)
            await until(lambda: not any(reader.missing() for reader in readers))
    lost = {reader.id: sorted(reader.missing()) for reader in readers if reader.missing()}
    assert not lost
    for reader in readers:
        # If nothing was ever proven, each client would be sent everything once more.
        assert sum(reader.again().values()) < 2 * ROUNDS * len(reader.sent), reader.again()
    with capsys.disabled():
        print(f"\n{ROUNDS} of each, seed {SEED}, lost 0; came again after:")
        for reader in readers:
            print(f"  {reader.id:<13} of {len(reader.sent):>4}: {reader.again()}")
