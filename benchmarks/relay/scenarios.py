"""What the servers of the comparison are put through."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable

from picows import WSMsgType

from benchmarks.relay.client import Client, Stream, message
from benchmarks.relay.polling import PollingClient
from benchmarks.relay.processes import Server

Numbers = dict[str, float]


async def connect_all(
    port: int, count: int, protocol: int, version: int | None, name: str = "u"
) -> list[Client]:
    """Clients ``u0``, ``u1``, …; not logged in if ``version`` is None."""
    clients: list[Client] = []
    for start in range(0, count, 50):
        batch = range(start, min(start + 50, count))
        clients += await asyncio.gather(*(Client.connect(port, protocol) for _ in batch))
        if version is not None:
            await asyncio.gather(*(clients[n].login(f"{name}{n}", version) for n in batch))
    return clients


def quantile(values: list[float], at: float) -> float:
    """Of seconds, in milliseconds."""
    values.sort()
    return values[min(len(values) - 1, int(len(values) * at))] * 1000


async def pairs(server: Server, options: argparse.Namespace, count: int, in_flight: int) -> Numbers:
    """One-to-one, closed loop."""
    if options.idle:
        await connect_all(server.port, options.idle, options.eio, options.login, "idle")
    clients = await connect_all(server.port, 2 * count, options.eio, options.login)
    streams = [
        Stream(clients[2 * n], clients[2 * n + 1], message(f"u{2 * n}", f"u{2 * n + 1}"))
        for n in range(count)
    ]
    for stream in streams:
        stream.keep(in_flight)
    await asyncio.sleep(1)
    for stream in streams:
        stream.latencies.clear()
    delivered, cpu, began = sum(s.delivered for s in streams), server.cpu(), time.perf_counter()
    await asyncio.sleep(options.seconds)
    delivered = sum(s.delivered for s in streams) - delivered
    cpu, elapsed = server.cpu() - cpu, time.perf_counter() - began
    for stream in streams:
        stream.stop()
    latencies = [latency for stream in streams for latency in stream.latencies]
    return {
        "µs CPU/message": cpu / delivered * 1e6,
        "messages/s": delivered / elapsed,
        "p50 ms": quantile(latencies, 0.5),
        "p99 ms": quantile(latencies, 0.99),
    }


async def at_rate(server: Server, options: argparse.Namespace, rate: float) -> Numbers:
    """One-to-one, 50 pairs, open loop; latency counts from when a message was due."""
    clients = await connect_all(server.port, 100, options.eio, options.login)
    streams = [
        Stream(clients[2 * n], clients[2 * n + 1], message(f"u{2 * n}", f"u{2 * n + 1}"))
        for n in range(50)
    ]
    began = time.perf_counter()
    sent, warm = 0, False
    while (now := time.perf_counter() - began) < options.seconds + 1:
        if not warm and now > 1:
            warm = True
            for stream in streams:
                stream.latencies.clear()
        while sent < now * rate:
            streams[sent % 50].send(began + sent / rate)
            sent += 1
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.5)
    latencies = [latency for stream in streams for latency in stream.latencies]
    return {"p50 ms": quantile(latencies, 0.5), "p99 ms": quantile(latencies, 0.99)}


async def everyone(
    server: Server, options: argparse.Namespace, count: int, in_flight: int
) -> Numbers:
    """``ALL`` to so many clients."""
    clients = await connect_all(server.port, count, options.eio, options.login)
    sender, packet = clients[0].transport, message("u0", "ALL")
    running = True

    def again() -> None:
        if running:
            sender.send(WSMsgType.TEXT, packet)

    clients[0].on_message = again
    for _ in range(in_flight):
        again()
    await asyncio.sleep(1)
    delivered, cpu, began = sum(c.messages for c in clients), server.cpu(), time.perf_counter()
    await asyncio.sleep(options.seconds)
    delivered = sum(c.messages for c in clients) - delivered
    cpu, elapsed = server.cpu() - cpu, time.perf_counter() - began
    running = False
    return {"µs CPU/delivery": cpu / delivered * 1e6, "deliveries/s": delivered / elapsed}


async def polling(server: Server, options: argparse.Namespace, protocol: int) -> Numbers:
    """One-to-one between 50 pairs that poll, closed loop: each message takes three requests."""
    # All at once: Node closes a connection that was idle for 5 s.
    clients = await asyncio.gather(
        *(PollingClient.connect(server.port, protocol, f"u{n}", options.login) for n in range(100))
    )
    delivered = 0
    for n in range(0, 100, 2):
        sender, receiver = clients[n], clients[n + 1]
        packet = message(f"u{n}", f"u{n + 1}")
        answers = [0]

        def step(
            sender: PollingClient = sender, packet: bytes = packet, answers: list[int] = answers
        ) -> None:
            nonlocal delivered
            answers[0] += 1
            if answers[0] % 2 == 0:
                delivered += 1
                sender.send(packet)

        sender.on_response = receiver.on_message = step
        sender.send(packet)
    await asyncio.sleep(1)
    before, cpu, began = delivered, server.cpu(), time.perf_counter()
    await asyncio.sleep(options.seconds)
    cpu, count = server.cpu() - cpu, delivered - before
    return {
        "µs CPU/message": cpu / count * 1e6,
        "messages/s": count / (time.perf_counter() - began),
    }


async def connects(server: Server, options: argparse.Namespace) -> Numbers:
    """CPU of a connect: handshake, open packet, namespace."""
    await connect_all(server.port, 200, options.eio, None)
    cpu = server.cpu()
    clients = await connect_all(server.port, 3000, options.eio, None)
    return {"µs CPU/connect": (server.cpu() - cpu) / len(clients) * 1e6}


async def idle(server: Server, options: argparse.Namespace) -> Numbers:
    """Memory of a connection that does nothing, in a fresh process."""
    await asyncio.sleep(1)
    memory = server.memory()
    clients = await connect_all(server.port, 5000, options.eio, None)
    await asyncio.sleep(2)
    return {"kB/connection": (server.memory() - memory) / len(clients) / 1000}


Scenario = Callable[[Server, argparse.Namespace], Awaitable[Numbers]]
SCENARIOS: dict[str, Scenario] = {
    "pairs 50 x 1": lambda s, o: pairs(s, o, 50, 1),
    "pairs 500 x 1": lambda s, o: pairs(s, o, 500, 1),
    "pairs 50 x 10": lambda s, o: pairs(s, o, 50, 10),
    "all 1000 x 1": lambda s, o: everyone(s, o, 1000, 1),
    "all 1000 x 5": lambda s, o: everyone(s, o, 1000, 5),
    "polling 50 x 1, EIO 4": lambda s, o: polling(s, o, 4),
    "polling 50 x 1, EIO 3": lambda s, o: polling(s, o, 3),
    "connects": connects,
    "idle": idle,
}
