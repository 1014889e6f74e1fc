"""The terminal client's costs at 100 and at 100,000 messages: ``python -m benchmarks.terminal``.

Prints medians from the call to the painted frame, in milliseconds of time and of CPU, and the
process's memory. ``followed``: 100,000 messages have come in while the end was in view.
``scrolled``: somebody has scrolled up through all of them; scrolling, resizing and keys are then
measured at the oldest, appending at the end.
"""

from __future__ import annotations

import asyncio
import gc
import random
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct
from textual import events
from textual.geometry import Size

from pychat.client.events import MessageAdded
from pychat.client.models import HistoryPage, MessageInfo
from pychat.tui.app import ChatApp
from pychat.tui.log.widget import MessageLog
from pychat.tui.settings import Settings
from tests.tui.scripted import NOW, ScriptedClient, stopped_clock

WORDS = [
    *("a", "chat", "between", "two", "people", "who", "have", "much", "to", "say", "to", "each"),
    *("other", "and", "do", "so", "every", "day"),
]
SIZE = (100, 40)

Cost = tuple[float, float]
"""Milliseconds of time and of CPU."""


class Result(Struct):
    """Medians by name; megabytes."""

    medians: dict[str, Cost]
    memory: float


class PaintedApp(ChatApp):
    """Tells when a frame has been painted."""

    def __init__(self, client: ScriptedClient) -> None:
        super().__init__(client, Settings(reduced_motion=True), clock=stopped_clock())  # type: ignore[arg-type] # the same face
        self.frame = asyncio.Event()

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, renderable)
        self.frame.set()

    async def painted(self, act: Callable[[], object]) -> Cost:
        """Until the frame after ``act`` is out."""
        # Keys do not come in step with the frames: the screen is updated at 60 Hz.
        await asyncio.sleep(random.uniform(0.02, 0.05))
        self.frame.clear()
        start, cpu = time.perf_counter(), time.process_time()
        act()
        await self.frame.wait()
        return (time.perf_counter() - start) * 1000, (time.process_time() - cpu) * 1000


class EndlessClient(ScriptedClient):
    """Has ``count`` messages with bob, each made when it is asked for: it takes no memory."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.say("bob", "hello", at=NOW - 2e7, own=True)
        self.count = count

    def cached_messages(self, name: str, limit: int = 500) -> list[MessageInfo]:
        return [message(seq) for seq in range(max(1, self.count + 1 - limit), self.count + 1)]

    async def history(
        self, name: str, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> HistoryPage:
        if after is not None:
            end = min(after + limit, self.count)
            return HistoryPage(list(map(message, range(after + 1, end + 1))), end < self.count)
        end = self.count + 1 if before is None else min(before, self.count + 1)
        start = max(1, end - limit)
        return HistoryPage(list(map(message, range(start, end))), start > 1)


def message(seq: int) -> MessageInfo:
    own = seq % 7 < 3
    text = " ".join(WORDS[(seq + word) % len(WORDS)] for word in range(3 + seq % 23))
    return MessageInfo(
        "bob", "alice" if own else "bob", text, f"c{seq}", f"bob-{seq}", seq,
        NOW - 1e7 + seq * 60, own=own,
    )  # fmt: skip


def resident() -> float:
    """Megabytes of this process."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) / 1024


async def measure(count: int, *, scrolled: bool) -> Result:
    client = EndlessClient(count if scrolled else 100)
    app = PaintedApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.chat.open("bob")
        await pilot.pause()
        log = app.chat.view.log_view
        if scrolled:
            await scroll_through(log)
        for start in range(client.count + 1, count + 1, 1000):
            log.append(message(seq) for seq in range(start, min(start + 1000, count + 1)))
            await asyncio.sleep(0)
        client.count = count
        await pilot.pause(0.3)
        gc.collect()
        memory = resident()
        costs: dict[str, list[Cost]] = {"append": [], "scroll": [], "resize": [], "key": []}
        for number in range(96):
            up = (number % 8 < 4) != scrolled
            scroll = log.scroll_page_up if up else log.scroll_page_down
            costs["scroll"].append(await app.painted(partial(scroll, animate=False)))
        for number in range(30):
            size = Size(SIZE[0] - 1 - number % 2, SIZE[1])
            resize = partial(app.post_message, events.Resize(size, size))
            costs["resize"].append(await app.painted(resize))
            await pilot.pause()
        app.chat.view.composer.focus()
        await pilot.pause()
        for number in range(100):
            key = "abcdefgh"[number % 8]
            costs["key"].append(await app.painted(partial(app.post_message, events.Key(key, key))))
        app.chat.view.go_to_end()
        await pilot.pause()
        for number in range(100):
            added = message(count + number + 1)
            costs["append"].append(await app.painted(partial(log.append, [added])))
        costs["key in a flood"] = await flood(app, client, count)
    medians = {
        name: (median(wall for wall, _ in values), median(cpu for _, cpu in values))
        for name, values in costs.items()
    }
    return Result(medians, memory)


async def scroll_through(log: MessageLog) -> None:
    """Up to the oldest message, page by page, as fast as they come."""
    while log.opened is None or log.opened.transcript.first_seq != 1:
        log.scroll_home(animate=False)
        await asyncio.sleep(0)


async def flood(app: PaintedApp, client: ScriptedClient, count: int) -> list[Cost]:
    """Keys while 1,000 messages a second come in, for three seconds."""
    costs: list[Cost] = []
    seq = count + 1000
    end = time.perf_counter() + 3
    while time.perf_counter() < end:
        for _ in range(50):
            seq += 1
            client.tell(MessageAdded(message(seq)))
        await asyncio.sleep(0.02)
        costs.append(await app.painted(partial(app.post_message, events.Key("x", "x"))))
    return costs


def in_process(count: int, how: str) -> Result:
    """Each on its own, so that none inherits another's memory."""
    command = [sys.executable, "-m", "benchmarks.terminal", str(count), how]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return msgspec.json.decode(output, type=Result)


def main() -> None:
    if len(sys.argv) > 1:
        result = asyncio.run(measure(int(sys.argv[1]), scrolled="scrolled" in sys.argv))
        sys.stdout.buffer.write(msgspec.json.encode(result))
        return
    small = in_process(100, "followed")
    followed, scrolled = in_process(100_000, "followed"), in_process(100_000, "scrolled")
    print(f"{'':16}{'100':>16}{'100,000 followed':>20}{'scrolled':>18}{'ratios of CPU':>16}")
    for name, (wall, cpu) in small.medians.items():
        print(f"{name:16}{wall:6.1f} ({cpu:4.1f}) ms", end="")
        for large in (followed, scrolled):
            print(f"{large.medians[name][0]:9.1f} ({large.medians[name][1]:4.1f}) ms", end="")
        for large in (followed, scrolled):
            print(f"{large.medians[name][1] / cpu:8.2f}", end="")
        print()
    print(
        f"memory, MB: {small.memory:.0f}; "
        f"followed {followed.memory:.0f}; scrolled {scrolled.memory:.0f}"
    )


if __name__ == "__main__":
    main()
