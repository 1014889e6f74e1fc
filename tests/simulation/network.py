"""The simulated network: links that delay, break at any packet, and look open when they are not."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from tests.simulation.loop import SimulatedLoop

if TYPE_CHECKING:
    from tests.simulation.node import Node

encode = msgspec.json.encode
decode = msgspec.json.decode

LATENCIES = (0.0005, 0.003, 0.02, 0.1)
"""Seconds; a schedule draws one, and each packet takes up to that long."""
SLOW_PACKET = 30.0
"""How many times longer a slow packet takes."""
UNNOTICED = 45.0
"""Seconds for which one end of a broken link may go on as if it were whole: the heartbeat's."""


class Packet:
    """An event on its way to clients, encoded once."""

    __slots__ = ("data", "event")

    def __init__(self, event: str, payload: bytes) -> None:
        self.event = event
        self.data: Any = decode(payload)


class Client(Protocol):
    """What a link hands its packets to."""

    def arrived(self, event: str, data: Any) -> None: ...

    def acknowledged(self, ack_id: int, answer: Any) -> None: ...

    def lost(self, link: Link) -> None:
        """The link has ended, as the client sees it."""


class Network:
    """Every link between clients and the node that is up."""

    def __init__(self, loop: SimulatedLoop, draw: Random, faults: Counter[str]) -> None:
        self._loop = loop
        self._draw = draw
        self.faults = faults
        self.scale = draw.choice(LATENCIES)
        self.slow = draw.choice((0.0, 0.01, 0.1))
        self.node: Node | None = None
        self.links: list[Link] = []

    def latency(self) -> float:
        draw = self._draw.random
        latency = draw() * self.scale
        if self.slow and draw() < self.slow:
            self.faults["slow packet"] += 1
            latency *= SLOW_PACKET
        return latency

    def calm(self) -> None:
        """No more delays than a good line has."""
        self.scale, self.slow = LATENCIES[0], 0.0

    async def connect(self, client: Client, name: str) -> Link:
        """Raises ConnectionRefusedError while no node is up."""
        await asyncio.sleep(self.latency())
        node = self.node
        if node is None or not node.accepts:
            raise ConnectionRefusedError
        link = Link(self, self._loop, node, client, name)
        self.links.append(link)
        node.connected(link.server)
        return link

    def stall(self, name: str, seconds: float) -> None:
        """Nothing arrives at this device for so long, then everything at once."""
        for link in self.links:
            if link.server.user_agent == name:
                link.stall(seconds)

    def break_one(self) -> None:
        """Some link carries nothing more; each end learns of it when it does."""
        links = [link for link in self.links if link.whole]
        if links:
            self._draw.choice(links).cut(self._draw)


class ServerEnd:
    """The chat's Connection of a link."""

    __slots__ = (
        "_ledger",
        "_link",
        "_node",
        "closed",
        "context",
        "remote_address",
        "sid",
        "user_agent",
    )

    def __init__(self, link: Link, node: Node, name: str) -> None:
        self._link = link
        self._node = node
        self._ledger = node.ledger
        self.sid = f"s{node.next_number()}"
        self.context: Any = None
        self.remote_address = "192.0.2.1"
        self.user_agent = name
        self.closed = False
        """By the chat, or noticed as gone."""

    def send(self, packet: Packet) -> None:
        if not self.closed:
            self._ledger.sent(self, packet)
            self._link.send_down(packet)

    def when_received(self, callback: Callable[[], None]) -> None:
        if not self.closed:
            self._link.prove(callback)

    def acknowledge(self, ack_id: int, payload: bytes) -> None:
        if self._node.gone:
            return
        answer = decode(payload)
        self._ledger.answered(self, ack_id, answer)
        if not self.closed:
            self._link.send_down((ack_id, answer))

    def admit(self) -> None:
        pass

    def close(self) -> None:
        if not self.closed and not self._node.gone:
            self.closed = True
            self._ledger.closed(self)
            self._link.close_down()


class Link:
    """One connection. Each direction keeps its order, or ends."""

    def __init__(
        self, network: Network, loop: SimulatedLoop, node: Node, client: Client, name: str
    ) -> None:
        self._network = network
        self._loop = loop
        self._node = node
        self._client = client
        self.server = ServerEnd(self, node, name)
        self._up: deque[Callable[[], None]] = deque()
        self._down: deque[Callable[[], None]] = deque()
        self._up_at = self._down_at = 0.0
        self._proof: Callable[[], None] | None = None
        self.whole = True
        self._client_open = True
        self._told_server = False

    # --- what the ends send ---

    def send_up(self, event: str, payload: Any, ack_id: int | None) -> None:
        if self._client_open:
            body = encode(payload)
            self._put_up(lambda: self._node.event(self.server, event, body, ack_id))

    def send_down(self, packet: Packet | tuple[int, Any]) -> None:
        self._put_down(lambda: self._arrive(packet))

    def prove(self, callback: Callable[[], None]) -> None:
        """Calls back when the client has all that was sent until now, and that is known here."""
        self._proof = callback
        self._put_down(lambda: self._put_up(lambda: self._proven(callback)))

    def _proven(self, callback: Callable[[], None]) -> None:
        if callback is self._proof and not self._told_server:
            self._proof = None
            callback()

    def close_up(self) -> None:
        """The client leaves; what it sent before still arrives."""
        if self._client_open:
            self._client_open = False
            self._put_up(lambda: self._tell_server("the client left"))

    def close_down(self) -> None:
        """The server closes; what it sent before still arrives."""
        self._put_down(self._tell_client)
        self._loop.call_later(self._network.latency(), self._tell_server, "closed by the server")

    def cut(self, draw: Random) -> None:
        """Nothing gets through any more but the first few packets that are under way."""
        if not self.whole:
            return
        faults = self._network.faults
        faults["link broken"] += 1
        self._break(int(draw.random() * (len(self._up) + 1)))
        while len(self._down) > int(draw.random() * 4):
            self._down.pop()
        for tell in (self._tell_client, lambda: self._tell_server("lost")):
            delay = draw.choice((0.0, 0.0, 0.01, 0.3, draw.random() * UNNOTICED))
            if delay > 1.0:
                faults["half-open link"] += 1
            self._loop.call_later(delay, tell)

    def end(self, delay: float) -> None:
        """The node's process is gone."""
        self._break(0)
        self._told_server = True
        self.server.closed = True
        self._loop.call_later(delay, self._tell_client)

    def stall(self, seconds: float) -> None:
        self._down_at = self._loop.time() + seconds

    def heal(self) -> None:
        """Where only one end knows of a break, the other one learns of it now."""
        if not self.whole:
            self._tell_server("lost")
            self._tell_client()

    def _break(self, kept: int) -> None:
        self.whole = False
        while len(self._up) > kept:
            self._up.pop()

    # --- how it gets there ---

    def _put_up(self, arrive: Callable[[], None]) -> None:
        if self.whole:
            self._up.append(arrive)
            self._up_at = max(self._up_at, self._loop.time() + self._network.latency())
            self._loop.call_at(self._up_at, self._take_up)

    def _put_down(self, arrive: Callable[[], None]) -> None:
        if self.whole:
            self._down.append(arrive)
            self._down_at = max(self._down_at, self._loop.time() + self._network.latency())
            self._loop.call_at(self._down_at, self._take_down)

    def _take_up(self) -> None:
        if self._up:
            self._up.popleft()()

    def _take_down(self) -> None:
        if self._down:
            self._down.popleft()()

    def _arrive(self, packet: Packet | tuple[int, Any]) -> None:
        if self._client_open:
            if isinstance(packet, Packet):
                self._client.arrived(packet.event, packet.data)
            else:
                self._client.acknowledged(*packet)

    def _tell_client(self) -> None:
        if self._client_open:
            self._client_open = False
            self._client.lost(self)
            if self.whole:
                self._put_up(lambda: self._tell_server("the client left"))

    def _tell_server(self, reason: str) -> None:
        if not self._told_server:
            self._told_server = True
            self.whole = False
            self.server.closed = True
            self._network.links.remove(self)
            self._node.disconnected(self.server, reason)
            self._loop.call_later(self._network.latency(), self._tell_client)
