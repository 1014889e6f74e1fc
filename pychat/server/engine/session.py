"""One client's Engine.IO session, sans-I/O: what its packets do, over whichever transport."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from multidict import CIMultiDict

from pychat.server.engine.pace import Allowance
from pychat.server.engine.packet import (
    CLOSE,
    MESSAGE,
    NOOP,
    PING,
    PONG,
    UPGRADE,
    AnyPacket,
    MalformedPacket,
    Packet,
    read_base64,
    text_packet,
)
from pychat.server.engine.payload import DecoderV3

NOOP_PACKET: Final = text_packet(b"6")
CLOSE_PACKET: Final = text_packet(b"1")
PING_PACKET: Final = text_packet(b"2")
PONG_PROBE: Final = text_packet(b"3probe")

# Why a session ended, in Socket.IO's words.
TRANSPORT_CLOSE: Final = "transport close"
TRANSPORT_ERROR: Final = "transport error"
PING_TIMEOUT: Final = "ping timeout"
PARSE_ERROR: Final = "parse error"
SLOW_CONSUMER: Final = "slow consumer"
FORCED_CLOSE: Final = "forced close"
SERVER_SHUTDOWN: Final = "server shutting down"

MAX_WAITING: Final = 2**20
"""Bytes that may wait for a reader; one that has more waiting and gets more is cut."""


class Layer(Protocol):
    """Whoever stands on the sessions: Socket.IO."""

    def opened(self, session: Session) -> None: ...

    def text(self, session: Session, text: str) -> None:
        """A message, its ``4`` included."""

    def binary(self, session: Session, data: bytes) -> None: ...

    def closed(self, session: Session, reason: str) -> None: ...


class Heartbeat(Protocol):
    """Who watches that the client is there."""

    def answered(self, session: Session) -> None:
        """Engine.IO 4: a pong has come. 3: a ping has."""

    def ended(self, session: Session, *, lingers: bool) -> None:
        """It is over; it lingers until a poll has fetched its last packet."""


class Carrier(Protocol):
    """The websocket of a session."""

    def send(self, packet: AnyPacket, written: Callable[[], None] | None = None) -> None: ...

    def send_frame(self, frame: bytes, written: Callable[[], None] | None = None) -> None:
        """The same with a packet of text, as a frame."""

    def close(self) -> None:
        """Once what waits has been written."""

    def abort(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Handshake:
    """The request that opened a session, kept small: one for every connected client."""

    head: bytes
    query: str
    remote_address: str
    base64: bool = False

    @property
    def headers(self) -> CIMultiDict[str]:
        """The request's, parsed anew."""
        headers: CIMultiDict[str] = CIMultiDict()
        for line in self.head.decode("utf-8", "surrogateescape").split("\r\n"):
            name, _, value = line.partition(": ")
            headers.add(name, value)
        return headers


class Session:
    """State: ``open`` until it is closed by either side, then its end has been told."""

    __slots__ = (
        "__weakref__",
        "allowance",
        "carrier",
        "context",
        "first_payload",
        "handshake",
        "heartbeat",
        "layer",
        "open",
        "polling",
        "protocol",
        "sid",
    )

    def __init__(
        self, sid: str, protocol: int, handshake: Handshake, layer: Layer, heartbeat: Heartbeat
    ) -> None:
        self.sid = sid
        self.protocol = protocol
        self.handshake = handshake
        self.layer = layer
        self.heartbeat = heartbeat
        self.open = True
        self.carrier: Carrier | None = None
        self.polling: Polling | None = None
        self.context: Any = None
        self.allowance: Allowance | None = None
        self.first_payload: int | None = None
        """Bytes that it may send in one piece until it is admitted, None from then on."""

    def send(self, packet: AnyPacket, written: Callable[[], None] | None = None) -> None:
        """Queues it; ``written`` is called once the transport has taken it."""
        if self.carrier is not None:
            self.carrier.send(packet, written)
        elif self.polling is not None and self.open:
            if self.polling.waiting > MAX_WAITING:
                self.end(SLOW_CONSUMER)
            else:
                self.polling.send(packet, written)

    def receive(self, packet: str) -> None:
        """A packet of text. What may not come now ends the session."""
        if not self.open:
            return
        if packet.startswith(MESSAGE):
            self.layer.text(self, packet)
            return
        kind = packet[:1]
        if kind == PONG and self.protocol == 4:
            self.heartbeat.answered(self)
        elif kind == PING and self.protocol == 3:
            self.heartbeat.answered(self)
            self.send(text_packet(b"3" + packet[1:].encode()))
        elif kind == "b":
            try:
                data = read_base64(packet, self.protocol)
            except MalformedPacket:
                self.end(PARSE_ERROR)
            else:
                self.layer.binary(self, data)
        elif kind == CLOSE:
            self.end(TRANSPORT_CLOSE)
        elif kind not in (NOOP, UPGRADE) or len(packet) != 1:
            self.end(PARSE_ERROR)

    def receive_binary(self, data: bytes) -> None:
        """The data of a binary message."""
        if self.open:
            self.layer.binary(self, data)

    def upgrade(self, carrier: Carrier) -> None:
        """From polling to the websocket, with everything that waits."""
        polling, self.polling = self.polling, None
        self.carrier = carrier
        if polling is not None:
            for packet, written in polling.detach():
                carrier.send(packet, written)

    def close(self, reason: str = FORCED_CLOSE) -> None:
        """The server's close: what waits is still written."""
        self._finish(reason, by_server=True)

    def end(self, reason: str) -> None:
        """The client is gone, or is to be."""
        self._finish(reason, by_server=False)

    def _finish(self, reason: str, *, by_server: bool) -> None:
        if not self.open:
            return
        self.open = False
        self.heartbeat.ended(self, lingers=by_server and self.polling is not None)
        if self.carrier is not None:
            if reason in (PING_TIMEOUT, SLOW_CONSUMER):
                self.carrier.abort()
            else:
                self.carrier.close()
        elif self.polling is not None:
            self.polling.close(CLOSE_PACKET if by_server else NOOP_PACKET)
        self.layer.closed(self, reason)


class Polling:
    """What waits for the next poll, and the poll that waits for it."""

    __slots__ = (
        "_callbacks",
        "_last",
        "closing",
        "decoder",
        "on_ready",
        "packets",
        "polled",
        "posted",
        "upgrading",
        "waiting",
    )

    def __init__(self, protocol: int) -> None:
        self.packets: list[AnyPacket] = []
        self.waiting = 0
        self.on_ready: Callable[[], None] | None = None
        self.polled = False
        """Whether a poll is open; it is until it has been answered."""
        self.posted = False
        """Whether a POST is open."""
        self.decoder = DecoderV3() if protocol == 3 else None
        self.closing = False
        self.upgrading = False
        self._callbacks: list[tuple[int, Callable[[], None]]] = []
        self._last: Packet | None = None

    @property
    def ready(self) -> bool:
        """Whether a poll would be answered at once."""
        return bool(self.packets) or self._last is not None

    @property
    def ended(self) -> bool:
        """Whether the last packet has been fetched."""
        return self.closing and not self.ready

    def send(self, packet: AnyPacket, written: Callable[[], None] | None = None) -> None:
        """Into the next poll's answer."""
        self.packets.append(packet)
        self.waiting += packet.size
        if written is not None:
            self._callbacks.append((len(self.packets) - 1, written))
        self._wake()

    def take(self) -> tuple[list[AnyPacket], list[Callable[[], None]]]:
        """Everything that waits, and whom to tell when it is written."""
        packets, self.packets = self.packets, []
        if not packets and self._last is not None:
            packets, self._last = [self._last], None
        callbacks, self._callbacks = self._callbacks, []
        self.waiting = 0
        return packets, [written for _, written in callbacks]

    def begin_upgrade(self) -> None:
        """The open poll, and each one that comes, is answered at once."""
        self.upgrading = True
        if self.polled and not self.packets:
            self.send(NOOP_PACKET)

    def detach(self) -> list[tuple[AnyPacket, Callable[[], None] | None]]:
        """What waits, for another transport; an open poll gets a noop."""
        callbacks = dict(self._callbacks)
        waiting = [
            (packet, callbacks.get(index))
            for index, packet in enumerate(self.packets)
            if packet is not NOOP_PACKET
        ]
        self.packets, self._callbacks, self.waiting = [], [], 0
        if self.polled:
            self.send(NOOP_PACKET)
        return waiting

    def close(self, last: Packet) -> None:
        """Ends with that packet, alone in the open poll or a later one.

        JS clients that get a close beside other packets drop these.
        """
        self.closing = True
        self._last = last
        self._wake()

    def _wake(self) -> None:
        on_ready, self.on_ready = self.on_ready, None
        if on_ready is not None:
            on_ready()
