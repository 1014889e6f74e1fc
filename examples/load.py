"""Load a server with clients that write to each other in pairs, and print how fast it was.

    pychat serve --store memory: --no-limits
    python load.py --clients 20 --rate 5 --seconds 10

Every second client writes `--rate` messages per second to its neighbour. Use it on servers of your
own only.
"""

import argparse
import asyncio
import time
from contextlib import AsyncExitStack

from pychat.client import ChatClient, ChatClientError


class Pair:
    """Two clients, one of which writes to the other."""

    def __init__(self, writer: ChatClient, reader: ChatClient) -> None:
        self.writer, self.reader = writer, reader
        self.stored: list[float] = []
        self.received: list[float] = []

    async def write(self, rate: float, seconds: float) -> None:
        began = time.perf_counter()
        for number in range(max(1, round(rate * seconds))):
            await asyncio.sleep(began + number / rate - time.perf_counter())
            sent = time.perf_counter()
            await self.writer.send(self.reader.user, str(sent))
            self.stored.append(time.perf_counter() - sent)

    async def read(self, count: int) -> None:
        async for message in self.reader.messages():
            if message.conversation == self.writer.user:
                self.received.append(time.perf_counter() - float(message.text))
                if len(self.received) == count:
                    return


def line(name: str, seconds: list[float]) -> str:
    times = sorted(seconds)
    p50, p95, p99 = (
        times[min(int(len(times) * q), len(times) - 1)] * 1000 for q in (0.5, 0.95, 0.99)
    )
    return f"{name:<10}{p50:8.1f}{p95:8.1f}{p99:8.1f}"


async def main(server: str, clients: int, rate: float, seconds: float) -> None:
    run = f"{time.time():.0f}"  # new accounts for each run: no messages from the last one
    async with AsyncExitStack() as stack:
        users = [
            await stack.enter_async_context(
                ChatClient(server, user=f"load-{run}-{number}", password=f"load {run} load")
            )
            for number in range(clients)
        ]
        pairs = [Pair(a, b) for a, b in zip(users[::2], users[1::2], strict=True)]
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for pair in pairs:
                tasks.create_task(pair.write(rate, seconds))
                tasks.create_task(pair.read(max(1, round(rate * seconds))))
        took = time.perf_counter() - began
    stored = [each for pair in pairs for each in pair.stored]
    received = [each for pair in pairs for each in pair.received]
    print(f"{clients} clients, {len(stored)} messages in {took:.1f} s")
    print("ms             p50     p95     p99")
    print(line("stored", stored))
    print(line("received", received))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Load a pychat server.")
    parser.add_argument("--server", default="http://127.0.0.1:3000")
    parser.add_argument("--clients", type=int, default=20, help="an even number")
    parser.add_argument("--rate", type=float, default=5.0, help="messages per second and writer")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    if options.clients < 2 or options.clients % 2 or options.rate <= 0:
        parser.error("--clients must be even, and --rate more than 0")
    try:
        asyncio.run(main(**vars(options)))
    except* ChatClientError as group:
        raise SystemExit(str(group.exceptions[0])) from None
