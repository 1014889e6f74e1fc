"""Clients that write to themselves over one transport, and what that cost."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from picows import WSFrame, WSMsgType, WSTransport

from benchmarks.relay.client import Client, message
from benchmarks.relay.polling import PollingClient
from benchmarks.relay.processes import Server

TRANSPORTS: Final = ("polling", "websocket")
PER_SECOND: Final = 1.0
"""Messages of each client."""
SPARED: Final = 200.0
"""Messages per second at most, of all together: the load generator must not be the limit."""
# tcpi_bytes_acked and tcpi_bytes_received in the kernel's struct tcp_info.
_COUNTERS: Final = struct.Struct("=120xQQ")


class Measured(Struct):
    """Of one transport and number of clients."""

    transport: str
    clients: int
    messages: int
    p50: float
    """Milliseconds from sending a message to receiving it."""
    p95: float
    headers: float
    """Bytes a message, both ways, that are neither the message nor its answer."""


class Writer:
    """A client that writes to itself. ``payload``: bytes of packets, both ways."""

    def __init__(self, name: str, send: Callable[[bytes], None], sockets: list[Any]) -> None:
        self.latencies: list[float] = []
        self.payload = 0
        self.received = asyncio.Semaphore(0)
        self._packet = message(name, name)
        self._send = send
        self._sockets = sockets
        self._sent: deque[float] = deque()

    def write(self) -> None:
        self._sent.append(time.perf_counter())
        self.payload += len(self._packet)
        self._send(self._packet)

    def on_message(self) -> None:
        self.latencies.append(time.perf_counter() - self._sent.popleft())
        self.received.release()

    def bytes_on_the_wire(self) -> int:
        """What the kernel has counted on this client's connections, both ways."""
        return sum(
            sum(_COUNTERS.unpack_from(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)))
            for each in self._sockets
        )


class _CountingClient(Client):
    writer: Writer | None = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.writer is not None:
            self.writer.payload += len(frame.get_payload_as_bytes())
        super().on_ws_frame(transport, frame)


class _CountingPolling(PollingClient):
    writer: Writer | None = None

    def _polled(self, body: bytes) -> None:
        if self.writer is not None:
            self.writer.payload += len(body)
        super()._polled(body)


async def connected(transport: str, port: int, name: str) -> Writer:
    """Connect and log in."""
    if transport == "websocket":
        client = await _CountingClient.connect(port)
        assert isinstance(client, _CountingClient)
        await client.login(name, 1)
        sockets = [client.transport.underlying_transport.get_extra_info("socket")]
        writer = Writer(name, lambda packet: client.transport.send(WSMsgType.TEXT, packet), sockets)
        client.writer, client.on_message = writer, writer.on_message
        return writer
    polling = await _CountingPolling.connect(port, 4, name, 1)
    assert isinstance(polling, _CountingPolling)
    sockets = [each.transport.get_extra_info("socket") for each in (polling._polls, polling._posts)]
    writer = Writer(name, polling.send, sockets)
    polling.writer, polling.on_message = writer, writer.on_message
    return writer


async def measure(transport: str, clients: int, seconds: float) -> Measured:
    """Let each client write once per second, or less often if there are many."""
    with Server("chat") as server:
        writers: list[Writer] = []
        for start in range(0, clients, 50):
            names = [f"u{n}" for n in range(start, min(start + 50, clients))]
            writers += await asyncio.gather(*(connected(transport, server.port, n) for n in names))
        await _write(writers, seconds=1.0)  # everything is warm after this
        for writer in writers:
            writer.latencies.clear()
            writer.payload = 0
        total = -sum(writer.bytes_on_the_wire() for writer in writers)
        await _write(writers, seconds)
        latencies = sorted(each for writer in writers for each in writer.latencies)
        total += sum(writer.bytes_on_the_wire() for writer in writers)
        payload = sum(writer.payload for writer in writers)
    count = len(latencies)
    return Measured(
        transport,
        clients,
        count,
        latencies[count // 2] * 1000,
        latencies[int(count * 0.95)] * 1000,
        (total - payload) / count,
    )


async def _write(writers: list[Writer], seconds: float) -> None:
    """Messages at even intervals, each client in turn, until all have come back."""
    rate = min(len(writers) * PER_SECOND, SPARED)
    count = max(int(rate * seconds), 10)
    began = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(began + number / rate - time.perf_counter())
        writers[number % len(writers)].write()
    for number in range(count):
        await writers[number % len(writers)].received.acquire()
    await asyncio.sleep(0.2)  # for what follows a message: the next poll, the answer
