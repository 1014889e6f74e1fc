"""The WebSocket transport: queued packets out in one write per turn, messages in."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from pychat.server.engine.codec.frame import close_frame, ping_frame, pong_frame
from pychat.server.engine.codec.packet import AnyPacket, BinaryPacket, text_packet
from pychat.server.engine.session import (
    MAX_WAITING,
    PARSE_ERROR,
    PONG_PROBE,
    SLOW_CONSUMER,
    TRANSPORT_CLOSE,
    EngineSession,
)

logger = logging.getLogger("pychat.engine")


class BufferedWriter(Protocol):
    """A connection with queued data."""

    def flush(self) -> None:
        """Write the queued data at once."""


class Flusher:
    """Flushes all connections with queued data, once in each turn of the event loop."""

    __slots__ = ("_loop", "waiting")

    def __init__(self) -> None:
        self.waiting: list[BufferedWriter] = []
        """Scheduled connections. The list object never changes: WebSockets hold it."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, writer: BufferedWriter) -> None:
        """Schedule a connection that had nothing queued before."""
        if not self.waiting:
            self.wake()
        self.waiting.append(writer)

    def wake(self) -> None:
        """Flush in the loop's next turn."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        # A callback of one writer may add others, which are flushed in the next turn.
        writers = self.waiting.copy()
        self.waiting.clear()
        for writer in writers:
            try:
                # A failure of one connection must not affect the others.
                writer.flush()
            except Exception:
                logger.exception("writing to a connection failed")


# Close codes, RFC 6455, section 7.4.1.
OK: Final = 1000
PROTOCOL_ERROR: Final = 1002
INVALID_TEXT: Final = 1007
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011


class Owner(Protocol):
    """The collection that a WebSocket belongs to."""

    def closing(self, socket: WebSocket) -> None:
        """The socket has sent a close frame. Abort it if the client does not answer in time."""

    def gone(self, socket: WebSocket) -> None:
        """The connection has ended."""

    def upgraded(self, socket: WebSocket) -> None:
        """The socket has stopped probing: it is its session's transport now."""


class WebSocket:
    """One WebSocket: the transport of a session, or a probe that may become it.

    A probing socket answers ``2probe`` and waits for ``5`` (the upgrade of Engine.IO). Messages
    come from a reader: picows' parser (``takeover``) or aiohttp (``public``).
    """

    # Slots are read faster than a dict, and every frame reads several.
    __slots__ = (
        "_flusher",
        "_frames",
        "_max_payload",
        "_owner",
        "_probed",
        "_waiting",
        "closing",
        "probing",
        "receive",
        "session",
        "stalled",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(
        self,
        session: EngineSession,
        flusher: Flusher,
        max_payload: int,
        owner: Owner,
        *,
        probing: bool,
    ) -> None:
        self.session = session
        self.probing = probing
        self._probed = False
        self.receive = self._probe if probing else session.receive
        """Called with each text message."""
        self._flusher = flusher
        self._waiting = flusher.waiting
        self._max_payload = max_payload
        self._owner = owner
        self._frames: list[bytes] = []
        self.closing = False
        """A close frame was sent, or the connection is gone. Messages are no longer handled."""
        self.stalled = False
        """More than MAX_WAITING bytes wait in the transport: the next write ends the session."""

    def start(self) -> None:
        """Bound what may wait in the transport, once that is set."""
        self.transport.set_write_buffer_limits(high=MAX_WAITING, low=MAX_WAITING - 1)

    # --- out

    def send(self, packet: AnyPacket) -> None:
        """Queue a packet for this loop turn's write."""
        session = self.session
        if isinstance(packet, BinaryPacket) and session.handshake.base64:
            packet = text_packet(packet.base64(session.protocol))
        self.send_frame(packet.frame_for(session.protocol))

    def send_frame(self, frame: bytes) -> None:
        """Queue an encoded frame for this loop turn's write."""
        if self.closing:
            return
        frames = self._frames
        if not frames:
            # Flusher.add, inlined: this runs for every message and recipient.
            waiting = self._waiting
            if not waiting:
                self._flusher.wake()
            waiting.append(self)
        frames.append(frame)

    def ping(self, payload: bytes) -> None:
        """Queue a ping frame behind the packets that wait."""
        self.send_frame(ping_frame(payload))

    def flush(self) -> None:
        """Write the queued frames. Does nothing on a transport that is gone."""
        frames = self._frames
        if not frames:
            return
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        if self.stalled:
            self.session.end(SLOW_CONSUMER)
            return
        # A closing transport accepts the data and drops it.
        self.transport.write(data)

    def close(self, code: int = OK) -> None:
        """Write the queued frames and a close frame. The owner aborts if no answer comes."""
        if self.closing:
            return
        if not self.stalled:
            self.flush()
        self.closing = True
        transport = self.transport
        if transport.is_closing():
            return
        transport.write(close_frame(code))
        self._owner.closing(self)

    def abort(self) -> None:
        """End the connection at once and drop the queued frames."""
        self.closing = True
        self._frames = []
        self.transport.abort()

    # --- in; called by the reader

    def receive_binary(self, message: bytes) -> None:
        """Handle a binary message. In Engine.IO 3 it starts with the packet type."""
        if self.probing:
            self.failed(PROTOCOL_ERROR)
        elif self.session.protocol == 4:
            self.session.receive_binary(message)
        elif message[:1] == b"\x04":
            self.session.receive_binary(message[1:])
        else:
            self.failed(PROTOCOL_ERROR)

    def receive_ping(self, payload: bytes) -> None:
        """Answer a ping frame."""
        self.send_frame(pong_frame(payload))

    def receive_close(self, code: int) -> None:
        """Answer the client's close frame with the same code and end the session."""
        self.close(code)
        if not self.transport.is_closing():
            self.transport.close()
        if not self.probing:
            self.session.end(TRANSPORT_CLOSE)

    def is_too_large(self, size: int) -> bool:
        """Close the connection if a message of that many bytes exceeds the limit."""
        first = self.session.first_payload
        if size <= (self._max_payload if first is None else first):
            return False
        self.failed(TOO_BIG)
        return True

    def failed(self, code: int) -> None:
        """Close with that code and end the session: the client violated the protocol."""
        self.close(code)
        if not self.probing:
            self.session.end(PARSE_ERROR)

    def disconnected(self) -> None:
        """The connection has ended."""
        self.closing = True
        # Socket and session refer to each other until a full garbage collection.
        self._frames = []
        self._owner.gone(self)
        if not self.probing:
            self.session.end(TRANSPORT_CLOSE)

    def _probe(self, text: str) -> None:
        polling = self.session.polling
        if polling is None or not self.session.open:
            self.close()
        elif text == "2probe" and not self._probed:
            self._probed = True
            self.send(PONG_PROBE)
            polling.begin_upgrade()
        elif text == "5" and self._probed:
            self.probing = False
            self.receive = self.session.receive
            self._owner.upgraded(self)
            self.session.upgrade(self)
        else:
            self.close(PROTOCOL_ERROR)
