"""One client's Engine.IO session, sans-I/O: what its packets do, over whichever transport."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from multidict import CIMultiDict

from pychat.server.engine.codec.packet import (
    CLOSE,
    MESSAGE,
    NOOP,
    PING,
    PONG,
    UPGRADE,
    AnyPacket,
    MalformedPacket,
    read_base64,
    text_packet,
)
from pychat.server.engine.polling.queue import CLOSE_PACKET, NOOP_PACKET, Polling
from pychat.server.engine.proof import Proof

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


BYTES_PER_CREDIT: Final = 512


class ReadAllowance(Protocol):
    """How fast a client is read, in credits: 1 for each packet and 1 per BYTES_PER_CREDIT of it."""

    left: float
    """Credits until reading must pause: below 0."""

    def pause(self) -> float:
        """Start the next allowance. Return seconds to wait before reading on, perhaps 0."""


class Layer(Protocol):
    """Whoever stands on the sessions: Socket.IO."""

    def opened(self, session: EngineSession) -> None: ...

    def text(self, session: EngineSession, text: str) -> None:
        """A message, its ``4`` included."""

    def binary(self, session: EngineSession, data: bytes) -> None: ...

    def closed(self, session: EngineSession, reason: str) -> None: ...


class Heartbeat(Protocol):
    """Who watches that the client is there."""

    def answered(self, session: EngineSession) -> None:
        """Engine.IO 4: a pong has come. 3: a ping has."""

    def overdue(self, session: EngineSession) -> bool:
        """Engine.IO 3: whether the client's ping should have come some time ago."""

    def ended(self, session: EngineSession, *, lingers: bool) -> None:
        """It is over; it lingers until a poll has fetched its last packet."""


class Carrier(Protocol):
    """The websocket of a session."""

    def send(self, packet: AnyPacket) -> None: ...

    def send_frame(self, frame: bytes) -> None:
        """The same with a packet of text, as a frame."""

    def ping(self, payload: bytes) -> None:
        """A ping frame, whose pong the session is told of."""

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


class EngineSession:
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
        "proof",
        "protocol",
        "sid",
        "silent",
        "unanswered_pings",
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
        self.allowance: ReadAllowance | None = None
        self.first_payload: int | None = None
        """Bytes that it may send in one piece until it is admitted, None from then on."""
        self.silent = False
        """Opened by a request whose sender has not shown that it has read the answer."""
        self.proof: Proof | None = None
        """Made when it is asked for."""
        self.unanswered_pings = 0
        """Engine.IO 4: pings sent less pongs received."""

    def send(self, packet: AnyPacket) -> None:
        """Queues it."""
        if self.carrier is not None:
            self.carrier.send(packet)
        elif self.polling is not None and self.open:
            if self.polling.waiting > MAX_WAITING:
                self.end(SLOW_CONSUMER)
            else:
                self.polling.send(packet)

    def ping(self) -> None:
        """Engine.IO 4: a ping, which the client's script answers."""
        self.unanswered_pings += 1
        self.send(PING_PACKET)

    def when_received(self, callback: Callable[[], None]) -> None:
        """Call back when the client has shown that it processed all that was sent until now.

        Perhaps at once. Not at all if the session ends first, or if this is called again before.
        """
        if self.open:
            if self.proof is None:
                self.proof = Proof(self)
            self.proof.ask(callback)

    def ping_frame(self, payload: bytes) -> None:
        """Send a ping frame, if the session has a WebSocket."""
        if self.carrier is not None:
            self.carrier.ping(payload)

    @property
    def heartbeat_overdue(self) -> bool:
        """Engine.IO 3: whether the client's ping is late."""
        return self.heartbeat.overdue(self)

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
            if self.unanswered_pings:
                self.unanswered_pings -= 1
                if self.proof is not None:
                    self.proof.pong()
        elif kind == PING and self.protocol == 3:
            self.heartbeat.answered(self)
            if self.proof is not None:
                self.proof.heartbeat()
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

    def pong_frame(self, payload: bytes) -> None:
        """The websocket has answered a ping frame with that payload."""
        if self.proof is not None:
            self.proof.pong_frame(payload)

    def receive_binary(self, data: bytes) -> None:
        """The data of a binary message."""
        if self.open:
            self.layer.binary(self, data)

    def upgrade(self, carrier: Carrier) -> None:
        """From polling to the websocket, with everything that waits."""
        polling, self.polling = self.polling, None
        self.carrier = carrier
        if polling is not None:
            for packet in polling.detach():
                carrier.send(packet)
            if self.proof is not None:
                # The client upgrades after the answer to its last poll.
                self.proof.upgraded(polling.given)

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
        self.proof = None
        self.heartbeat.ended(self, lingers=by_server and self.polling is not None)
        if self.carrier is not None:
            if reason in (PING_TIMEOUT, SLOW_CONSUMER):
                self.carrier.abort()
            else:
                self.carrier.close()
        elif self.polling is not None:
            self.polling.close(CLOSE_PACKET if by_server else NOOP_PACKET)
        self.layer.closed(self, reason)
