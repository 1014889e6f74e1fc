"""The terminal client's costs at 100 and at 100,000 messages: ``python -m benchmarks.terminal``.

Prints medians from the call to the painted frame, in milliseconds of time and of CPU, and the
process's memory. ``followed``: 100,000 messages have come in while the end was in view.
``scrolled``: somebody has scrolled up through all of them; scrolling, resizing and keys are then
measured at the oldest, appending at the end.

``python -m benchmarks.terminal --conversations 2000`` compares an account of 20 conversations with
one of 2,000: until the first painted frame, and the CPU time of all that follows from the key or
event.
"""

from __future__ import annotations

import asyncio
import gc
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from msgspec import Struct
from textual import events
from textual.geometry import Size

from pychat.client import ChatClient
from pychat.client.events import MessageAdded
from pychat.client.models import ConversationInfo, HistoryPage, MessageInfo
from pychat.client.storage.sqlite import SQLiteCache
from pychat.protocol import PresencePayload
from pychat.tui.app import ChatApp
from pychat.tui.log.widget import MessageLog
from pychat.tui.settings import Settings
from pychat.tui.widgets.conversation_list import ConversationList
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

    def __init__(self, client: ChatClient | ScriptedClient) -> None:
        super().__init__(client, Settings(reduced_motion=True), clock=stopped_clock())  # type: ignore[arg-type] # the same face
        self.frame = asyncio.Event()

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, renderable)
        self.frame.set()

    async def settled(self, act: Callable[[], object]) -> Cost:
        """Time until the first frame, CPU time until nothing is left to do. What changes nothing
        in view paints no frame."""
        await asyncio.sleep(random.uniform(0.02, 0.05))
        self.frame.clear()
        start, cpu = time.perf_counter(), time.process_time()
        act()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.15):
                await self.frame.wait()
        wall = time.perf_counter() - start
        await asyncio.sleep(0.1)
        return wall * 1000, (time.process_time() - cpu) * 1000

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


# --- many conversations -------------------------------------------------------------------


class LocalClient(ChatClient):
    """Has ``count`` conversations in its cache, and connects nowhere."""

    def __init__(self, folder: Path, count: int) -> None:
        path = folder / "cache.db"
        super().__init__("127.0.0.1:9", user="alice", password="unused", cache=path)
        cache = SQLiteCache(path)
        cache.open(self.server, self.user)
        for number in range(count):
            cache.save_conversation(self.conversation_with(number))
        cache.flush()
        cache.close()

    def conversation_with(self, number: int) -> ConversationInfo:
        name = f"person{number}"
        text = " ".join(WORDS[(number + word) % len(WORDS)] for word in range(12))
        last = MessageInfo(name, name, text, f"c{number}", f"{number}-9", 9, NOW - number * 60)
        unread = 2 if number % 50 == 7 else 0
        alias = f"{WORDS[number % len(WORDS)].title()} Number {number}"
        return ConversationInfo(
            name, alias, last_seq=9, read_seq=9 - unread, unread=unread, last=last
        )

    def start(self, *, connect: bool = True) -> None:
        super().start(connect=False)


async def measure_conversations(count: int) -> Result:
    """Keys and events with so many conversations in the list."""
    with TemporaryDirectory() as folder:
        client = LocalClient(Path(folder), count)
        app = PaintedApp(client)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause(0.5)
            app.chat.open("person3")
            await pilot.pause(0.3)
            gc.collect()
            memory = resident()
            costs: dict[str, list[Cost]] = {}

            async def act(name: str, action: Callable[[], object], times: int = 20) -> None:
                for _ in range(times):
                    costs.setdefault(name, []).append(await app.settled(action))

            def key(name: str, character: str | None = None) -> Callable[[], object]:
                return lambda: app.post_message(events.Key(name, character))

            for _ in range(5):
                await act("open the switcher", key("ctrl+k"), 1)
                for letter in "number":
                    await act("a letter in the switcher", key(letter, letter), 1)
                await pilot.press("escape")
                await pilot.pause()
            await act("Alt+↓", key("alt+down"))
            await act("Ctrl+G", key("ctrl+g"))
            for _ in range(5):
                await pilot.press("ctrl+p")
                await pilot.pause(0.1)
                for letter in "number":
                    await act("a letter in the palette", key(letter, letter), 1)
                await pilot.press("escape")
                await pilot.pause()
            app.chat.query_one(ConversationList).focus()
            await act("↓ in the list", key("down"))
            app.chat.view.composer.focus()
            numbers = iter(range(10, 10_000))
            roster = client._core.roster

            def said() -> None:
                name = f"person{count // 2}"
                seq = next(numbers)
                roster.arrived(MessageInfo(name, name, "hello", f"c-{seq}", f"1-{seq}", seq, NOW))

            await act("a message arrives", said)

            def presence(number: int) -> None:
                name = f"person{number % count}"
                online = next(numbers) % 2 == 0
                roster.presence(PresencePayload(name, name, online, None))

            await act("somebody comes or goes", lambda: presence(next(numbers)))
            for _ in range(20):  # 50 of them in each frame
                for number in range(50):
                    presence(number)
                await act("a key while many come and go", key("x", "x"), 1)
        medians = {
            name: (median(wall for wall, _ in values), median(cpu for _, cpu in values))
            for name, values in costs.items()
        }
        return Result(medians, memory)


def print_conversations(counts: list[int]) -> None:
    results = [in_process(count, "conversations") for count in counts]
    print(f"{'conversations':30}" + "".join(f"{count:>22,}" for count in counts))
    for name in results[0].medians:
        costs = [result.medians[name] for result in results]
        print(f"{name:30}" + "".join(f"{wall:10.1f} ({cpu:6.1f}) ms" for wall, cpu in costs))
    print(f"{'memory, MB':30}" + "".join(f"{result.memory:22.0f}" for result in results))


def in_process(count: int, how: str) -> Result:
    """Each on its own, so that none inherits another's memory."""
    command = [sys.executable, "-m", "benchmarks.terminal", str(count), how]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return msgspec.json.decode(output, type=Result)


def main() -> None:
    if sys.argv[1:2] == ["--conversations"]:
        print_conversations(sorted({20, int(sys.argv[2])}))
        return
    if "conversations" in sys.argv:
        result = asyncio.run(measure_conversations(int(sys.argv[1])))
        sys.stdout.buffer.write(msgspec.json.encode(result))
        return
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
