"""The terminal client's costs at 100 and at 100,000 messages: ``python -m benchmarks.terminal``.

Prints medians in milliseconds from the call to the painted frame, and the process's memory.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual import events
from textual.geometry import Size

from pychat.client.events import MessageAdded
from pychat.client.models import Message
from pychat.tui.app import ChatApp
from pychat.tui.settings import Settings
from tests.tui.scripted import NOW, ScriptedClient, stopped_clock

WORDS = [
    *("a", "chat", "between", "two", "people", "who", "have", "much", "to", "say", "to", "each"),
    *("other", "and", "do", "so", "every", "day"),
]
SIZE = (100, 40)


class PaintedApp(ChatApp):
    """Tells when a frame has been painted."""

    frame = asyncio.Event()

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, renderable)
        self.frame.set()

    async def painted(self, act: Callable[[], object]) -> float:
        """Milliseconds until the frame after ``act`` is out."""
        # Keys do not come in step with the frames: the screen is updated at 60 Hz.
        await asyncio.sleep(random.uniform(0.02, 0.05))
        self.frame.clear()
        start = time.perf_counter()
        act()
        await self.frame.wait()
        return (time.perf_counter() - start) * 1000


def message(seq: int) -> Message:
    own = seq % 7 < 3
    text = " ".join(WORDS[(seq + word) % len(WORDS)] for word in range(3 + seq % 23))
    return Message(
        "bob", "alice" if own else "bob", text, f"c{seq}", f"bob-{seq}", seq,
        NOW - 1e7 + seq * 60, own=own,
    )  # fmt: skip


def resident() -> float:
    """Megabytes of this process."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) / 1024


async def measure(count: int) -> dict[str, float]:
    client = ScriptedClient()
    client.say("bob", "hello", at=NOW - 2e7)
    client.log["bob"] = [message(seq) for seq in range(1, 101)]
    app = PaintedApp(client, Settings(reduced_motion=True), clock=stopped_clock())  # type: ignore[arg-type] # the same face
    async with app.run_test(size=SIZE) as pilot:
        app.chat.open("bob")
        await pilot.pause()
        log = app.chat.view.log_view
        for start in range(101, count + 1, 1000):
            log.append(message(seq) for seq in range(start, min(start + 1000, count + 1)))
            await asyncio.sleep(0)
        await pilot.pause(0.3)
        gc.collect()
        memory = resident()
        result: dict[str, list[float]] = {"append": [], "scroll": [], "resize": [], "key": []}
        for number in range(100):
            added = message(count + number + 1)
            result["append"].append(await app.painted(lambda added=added: log.append([added])))  # type: ignore[misc]
        for number in range(100):
            step = log.scroll_page_up if number % 8 < 4 else log.scroll_page_down
            result["scroll"].append(await app.painted(lambda step=step: step(animate=False)))  # type: ignore[misc]
        log.scroll_to_end()
        await pilot.pause()
        for number in range(20):
            size = Size(SIZE[0] - 1 - number % 2, SIZE[1])
            result["resize"].append(
                await app.painted(
                    lambda size=size: app.post_message(events.Resize(size, size))  # type: ignore[misc]
                )
            )
            await pilot.pause()
        app.chat.view.composer.focus()
        await pilot.pause()
        for number in range(100):
            key = "abcdefgh "[number % 9]
            name = "space" if key == " " else key
            result["key"].append(
                await app.painted(
                    lambda name=name, key=key: app.post_message(events.Key(name, key))  # type: ignore[misc]
                )
            )
        burst = await flood(app, client, count)
        medians = {name: statistics.median(values) for name, values in result.items()}
        return {**medians, "burst key": burst, "memory": memory}


async def flood(app: PaintedApp, client: ScriptedClient, count: int) -> float:
    """Median of key to paint while 1,000 messages a second come in, for three seconds."""
    times: list[float] = []
    seq = count + 1000
    end = time.perf_counter() + 3
    while time.perf_counter() < end:
        for _ in range(50):
            seq += 1
            client.tell(MessageAdded(message(seq)))
        await asyncio.sleep(0.05)
        times.append(await app.painted(lambda: app.post_message(events.Key("x", "x"))))
    return statistics.median(times)


def main() -> None:
    small, large = asyncio.run(measure(100)), asyncio.run(measure(100_000))
    print(f"{'':10} {'100':>9} {'100,000':>9} {'ratio':>7}")
    for name in small:
        unit = "MB" if name == "memory" else "ms"
        ratio = large[name] / small[name]
        print(f"{name:10} {small[name]:6.2f} {unit} {large[name]:6.2f} {unit} {ratio:6.2f}")


if __name__ == "__main__":
    main()
