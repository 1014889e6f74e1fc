"""Two users who message each other while the server is attacked, in a process of their own.

``python -m tests.attack.bystander URL``: talks until standard input ends, then prints one line of
JSON: how many messages, how many were lost, and how long they took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from tests.attack.wire import browsing, connect

EVERY_SECONDS = 0.01


class Experience(msgspec.Struct):
    """Times in milliseconds, from sending to the answer."""

    messages: int
    failed: int
    p50: float
    p99: float
    longest: float

    def __str__(self) -> str:
        return f"others: p50 {self.p50:.1f}, p99 {self.p99:.1f}, longest {self.longest:.0f} ms"


class Bystanders:
    """``experience`` is there after the context has been left."""

    experience: Experience


@asynccontextmanager
async def bystanders(url: str) -> AsyncIterator[Bystanders]:
    """They talk inside the context."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.attack.bystander", url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    watched = Bystanders()
    try:
        assert (await process.stdout.readline()) == b"ready\n"
        yield watched
        process.stdin.close()
        watched.experience = msgspec.json.decode(await process.stdout.read(), type=Experience)
    finally:
        if process.returncode is None:
            process.stdin.close()
            await process.wait()


async def talk(url: str) -> Experience:
    loop = asyncio.get_running_loop()
    end = loop.run_in_executor(None, sys.stdin.read)
    times: list[float] = []
    failed = 0
    async with browsing() as web:
        users = [await connect(web, url) for _ in range(2)]
        names = [f"bystander {number}" for number in range(2)]
        for user, name in zip(users, names, strict=True):
            await user.login(name)
        print("ready", flush=True)
        number = 0
        while not end.done():
            user, sender, recepient = users[number % 2], names[number % 2], names[1 - number % 2]
            number += 1
            message = {"sender": sender, "recepient": recepient, "command": "chat", "data": "hi"}
            started = time.perf_counter()
            try:
                answer = await user.ask("message", message)
                failed += answer["code"] != "200"
            except Exception:
                failed += 1
                break
            times.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(EVERY_SECONDS)
    times.sort()
    if not times:
        times = [float("inf")]
    return Experience(
        len(times), failed, times[len(times) // 2], times[int(len(times) * 0.99)], times[-1]
    )


if __name__ == "__main__":
    print(json.dumps(msgspec.to_builtins(asyncio.run(talk(sys.argv[1])))))
