"""One client's Engine.IO session, sans-I/O: handles its packets over either transport."""

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

# Reasons why a session ended, as Socket.IO names them.
TRANSPORT_CLOSE: Final = "transport close"
TRANSPORT_ERROR: Final = "transport error"
PING_TIMEOUT: Final = "ping timeout"
PARSE_ERROR: Final = "parse error"
SLOW_CONSUMER: Final = "slow consumer"
FORCED_CLOSE: Final = "forced close"
SERVER_SHUTDOWN: Final = "server shutting down"

MAX_WAITING: Final = 2**20
"""Bytes that may wait for a client. If more wait, the next packet ends its session."""


BYTES_PER_CREDIT: Final = 512


class ReadAllowance(Protocol):
    """How fast a client is read, in credits: 1 for each packet and 1 per BYTES_PER_CREDIT of it."""

    left: float
    """Credits until reading must pause: below 0."""

    def pause(self) -> float:
        """Start the next allowance. Return seconds to wait before reading on, perhaps 0."""


class Layer(Protocol):
    """The protocol above the sessions: Socket.IO."""

    def opened(self, session: EngineSession) -> None: ...

    def text(self, session: EngineSession, text: str) -> None:
        """A text message, with its packet type ``4``."""

    def binary(self, session: EngineSession, data: bytes) -> None: ...

    def closed(self, session: EngineSession, reason: str) -> None: ...


class Heartbeat(Protocol):
    """Watches whether the client is still there."""

    def answered(self, session: EngineSession) -> None:
        """Engine.IO 4: the client sent a pong. Engine.IO 3: it sent a ping."""

    def overdue(self, session: EngineSession) -> bool:
        """Engine.IO 3: whether the client's ping is late."""

    def ended(self, session: EngineSession, *, lingers: bool) -> None:
        """The session has ended. If it lingers, a poll may still fetch its last packet."""


class Carrier(Protocol):
    """The WebSocket of a session."""

    def send(self, packet: AnyPacket) -> None: ...

    def send_frame(self, frame: bytes) -> None:
        """Send a text packet that is already encoded as a frame."""

    def ping(self, payload: bytes) -> None:
        """Send a ping frame. The session gets the pong."""

    def close(self) -> None:
        """Close after the queued packets were written."""

    def abort(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Handshake:
    """What is kept of the request that opened a session. Small, because every client has one."""

    head: bytes
    query: str
    remote_address: str
    base64: bool = False

    @property
    def headers(self) -> CIMultiDict[str]:
        """The request's headers. They are parsed at each access."""
        headers: CIMultiDict[str] = CIMultiDict()
        for line in self.head.decode("utf-8", "surrogateescape").split("\r\n"):
            name, _, value = line.partition(": ")
            headers.add(name, value)
        return headers


class EngineSession:
    """A session is ``open`` until either side closes it. Then the layer is notified once."""

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
        """Bytes that the client may send in one piece before it is admitted, None after that."""
        self.silent = False
        """The client has not yet shown that it read the answer to the handshake."""
        self.proof: Proof | None = None
        """Created on first use."""
        self.unanswered_pings = 0
        """Engine.IO 4: pings sent minus pongs received."""

    def send(self, packet: AnyPacket) -> None:
        """Queue a packet."""
        if self.carrier is not None:
            self.carrier.send(packet)
        elif self.polling is not None and self.open:
            if self.polling.waiting > MAX_WAITING:
                self.end(SLOW_CONSUMER)
            else:
                self.polling.send(packet)

    def ping(self) -> None:
        """Engine.IO 4: send a ping, which the client's script answers."""
        self.unanswered_pings += 1
        self.send(PING_PACKET)

    def when_received(self, callback: Callable[[], None]) -> None:
        """Call back when the client has shown that it processed everything sent until now.

        Perhaps at once. Never if the session ends first, or if this is called again before that.
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
        """Handle a text packet. One that is not allowed now ends the session."""
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
        """The WebSocket has answered a ping frame with that payload."""
        if self.proof is not None:
            self.proof.pong_frame(payload)

    def receive_binary(self, data: bytes) -> None:
        """Handle the data of a binary message."""
        if self.open:
            self.layer.binary(self, data)

    def upgrade(self, carrier: Carrier) -> None:
        """Move from polling to the WebSocket, with all queued packets."""
        polling, self.polling = self.polling, None
        self.carrier = carrier
        if polling is not None:
            for packet in polling.detach():
                carrier.send(packet)
            if self.proof is not None:
                # The client upgrades after it got the answer to its last poll.
                self.proof.upgraded(polling.given)

    def close(self, reason: str = FORCED_CLOSE) -> None:
        """Close the session from the server's side. Queued packets are still written."""
        self._finish(reason, by_server=True)

    def end(self, reason: str) -> None:
        """End the session because the client has gone, or must go."""
        self._finish(reason, by_server=False)

    def abandon(self) -> None:
        """End the session after an internal error, and its connection in any case."""
        try:
            self.end(TRANSPORT_CLOSE)
        finally:
            if self.carrier is not None:
                self.carrier.abort()

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
