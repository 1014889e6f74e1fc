"""Parts of the engine without sockets: layer, heartbeat, carrier and transport that record."""

from __future__ import annotations

import asyncio
from typing import Any

from pychat.server.engine.codec.frame import ping_frame
from pychat.server.engine.codec.packet import AnyPacket
from pychat.server.engine.session import EngineSession, Handshake
from pychat.server.engine.socketio.connection import SocketConnection


class Layer:
    """Writes down what the session tells it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def opened(self, session: EngineSession) -> None:
        self.told.append(("opened", None))

    def text(self, session: EngineSession, text: str) -> None:
        self.told.append(("text", text))

    def binary(self, session: EngineSession, data: bytes) -> None:
        self.told.append(("binary", data))

    def closed(self, session: EngineSession, reason: str) -> None:
        self.told.append(("closed", reason))


class Heartbeat:
    """Counts."""

    def __init__(self) -> None:
        self.answers = 0
        self.lingers: bool | None = None
        self.late = False

    def answered(self, session: EngineSession) -> None:
        self.answers += 1

    def overdue(self, session: EngineSession) -> bool:
        return self.late

    def ended(self, session: EngineSession, *, lingers: bool) -> None:
        self.lingers = lingers


class Carrier:
    """A websocket that takes everything."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.end = ""

    def send(self, packet: AnyPacket) -> None:
        self.send_frame(packet.frame_for(4))

    def send_frame(self, frame: bytes) -> None:
        self.sent.append(frame)

    def ping(self, payload: bytes) -> None:
        self.send_frame(ping_frame(payload))

    def close(self) -> None:
        self.end = "closed"

    def abort(self) -> None:
        self.end = "aborted"


class Transport:
    """asyncio's, writing to a list."""

    def __init__(self) -> None:
        self.written = b""
        self.closing = False

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def get_protocol(self) -> None:
        return None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        return None


class Echo:
    """A Handler that sends everything back."""

    def connected(self, connection: SocketConnection) -> None:
        connection.context = 0

    def event(
        self, connection: SocketConnection, event: str, payload: bytes, ack_id: int | None
    ) -> None:
        connection.context += 1
        connection.acknowledge(ack_id or 0, payload)

    def disconnected(self, connection: SocketConnection, reason: str) -> None:
        connection.context = None


def session(protocol: int = 4) -> tuple[EngineSession, Layer, Heartbeat]:
    """Fresh, on no transport."""
    layer, heartbeat = Layer(), Heartbeat()
    return (
        EngineSession("sid", protocol, Handshake(b"", "", ""), layer, heartbeat),
        layer,
        heartbeat,
    )
