"""The websocket transport: frames in, coalesced frames out."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from picows import WSFrame, WSMsgType, WSTransport

from pychat.server.engine.codec.frame import close_frame, ping_frame, pong_frame
from pychat.server.engine.codec.packet import AnyPacket, BinaryPacket, text_packet
from pychat.server.engine.session import (
    BYTES_PER_CREDIT,
    MAX_WAITING,
    PARSE_ERROR,
    PONG_PROBE,
    SLOW_CONSUMER,
    TRANSPORT_CLOSE,
    EngineSession,
)
from pychat.server.engine.websocket.flusher import Flusher
from pychat.server.engine.websocket.takeover import Frames, renew_parser

_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_CONTINUATION: Final = WSMsgType.CONTINUATION
_CLOSE: Final = WSMsgType.CLOSE
_PING: Final = WSMsgType.PING
_PONG: Final = WSMsgType.PONG

_OK: Final = 1000
_PROTOCOL_ERROR: Final = 1002
_INVALID_TEXT: Final = 1007
_TOO_BIG: Final = 1009

_LARGE_FRAME: Final = 64 * 1024


class Owner(Protocol):
    """Who keeps the sockets."""

    def closing(self, socket: WebSocket) -> None:
        """It has sent a close, and is to be aborted if it does not go."""

    def gone(self, socket: WebSocket) -> None:
        """Its connection has ended."""

    def upgraded(self, socket: WebSocket) -> None:
        """It probes no more: it is the session's transport."""


class WebSocket(Frames):
    """One websocket, of a session from the start or probing to become its transport.

    Without a session's upgrade it answers ``2probe`` and waits for ``5``.
    """

    # Slots, also in the base class: on the path of every frame they are read three times as fast.
    __slots__ = (
        "_closing",
        "_flusher",
        "_fragments",
        "_fragments_are_text",
        "_frames",
        "_max_payload",
        "_owner",
        "_paused",
        "_probed",
        "_receive",
        "_stalled",
        "_waiting",
        "probing",
        "session",
    )

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
        self._receive = self._probe if probing else session.receive
        self._flusher = flusher
        self._waiting = flusher.waiting
        self._max_payload = max_payload
        self._owner = owner
        self._frames: list[bytes] = []
        self._closing = False
        self._stalled = False
        self._paused = False
        self.paced = session.allowance is not None
        self._fragments: bytearray | None = None
        self._fragments_are_text = False

    # --- out

    def send(self, packet: AnyPacket) -> None:
        """Into this turn's write."""
        session = self.session
        if isinstance(packet, BinaryPacket) and session.handshake.base64:
            packet = text_packet(packet.base64(session.protocol))
        self.send_frame(packet.frame_for(session.protocol))

    def send_frame(self, frame: bytes) -> None:
        """The same with what is a frame already."""
        if self._closing:
            return
        frames = self._frames
        if not frames:
            # Flusher.add, without the call.
            waiting = self._waiting
            if not waiting:
                self._flusher.wake()
            waiting.append(self)
        frames.append(frame)

    def ping(self, payload: bytes) -> None:
        """A ping frame, behind what waits."""
        self.send_frame(ping_frame(payload))

    def flush(self) -> None:
        """Writes what waits. Does nothing on a transport that is gone."""
        frames = self._frames
        if not frames:
            return
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        if self._stalled:
            self.session.end(SLOW_CONSUMER)
            return
        # A transport that is closing takes it, and drops it.
        self.transport.write(data)

    def close(self, code: int = _OK) -> None:
        """Writes what waits, then a close; the client has some time to answer it."""
        if self._closing:
            return
        if not self._stalled:
            self.flush()
        self._closing = True
        transport = self.transport
        if transport.is_closing():
            return
        transport.write(close_frame(code))
        self._owner.closing(self)

    def abort(self) -> None:
        """At once, whatever waits."""
        self._closing = True
        self._frames = []
        self.transport.abort()

    # --- in; called by picows

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Every frame, with picows' own transport, which is not used."""
        kind = frame.msg_type
        if self._closing:
            if kind is _CLOSE:
                self.transport.close()
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.failed(_PROTOCOL_ERROR)
            return
        allowance = self.session.allowance
        if allowance is not None:
            allowance.left -= 1 + frame.payload_size // BYTES_PER_CREDIT
            if allowance.left < 0 and not self._paused:
                self._pause(allowance.pause())
        if kind is _TEXT and frame.fin and self._fragments is None:
            try:
                text = frame.get_payload_as_utf8_text()
            except UnicodeDecodeError:
                self.failed(_INVALID_TEXT)
                return
            if len(text) * 4 <= _LARGE_FRAME:
                self._receive(text)
                return
            if self._is_too_large(frame.payload_size):
                return
            self._receive(text)
        elif kind is _PING:
            self.send_frame(pong_frame(frame.get_payload_as_bytes()))
        elif kind is _PONG:
            self.session.pong_frame(frame.get_payload_as_bytes())
        elif kind is _CLOSE:
            self._peer_closed(frame.get_payload_as_bytes()[:2])
        elif kind in (_TEXT, _BINARY, _CONTINUATION):
            self._part(kind, frame.get_payload_as_bytes(), last=bool(frame.fin))
        if frame.payload_size > _LARGE_FRAME and not frame.tail_size and not self._closing:
            renew_parser(self, self._max_payload)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection is gone."""
        self._closing = True
        # It and its session keep each other until a full collection of garbage.
        self._fragments = None
        self._frames = []
        self._owner.gone(self)
        if not self.probing:
            self.session.end(TRANSPORT_CLOSE)

    def pause_writing(self) -> None:
        """More than MAX_WAITING waits: the next thing to write cuts the reader."""
        self._stalled = True

    def resume_writing(self) -> None:
        """It has read."""
        self._stalled = False

    def _pause(self, seconds: float) -> None:
        if not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(seconds, self._read_on)

    def _read_on(self) -> None:
        self._paused = False
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def failed(self, code: int) -> None:
        """What came is no frame: closes with that code."""
        self.close(code)
        if not self.probing:
            self.session.end(PARSE_ERROR)

    def start(self) -> None:
        """The transport is there: bound what may wait in it."""
        self.transport.set_write_buffer_limits(high=MAX_WAITING, low=MAX_WAITING - 1)

    def _peer_closed(self, code: bytes) -> None:
        # Its code back; picows has checked it. An empty close is answered as a normal one.
        self.close(int.from_bytes(code, "big") if code else _OK)
        if not self.transport.is_closing():
            self.transport.close()
        if not self.probing:
            self.session.end(TRANSPORT_CLOSE)

    def _part(self, kind: WSMsgType, payload: bytes, *, last: bool) -> None:
        if (kind is _CONTINUATION) != (self._fragments is not None):
            self.failed(_PROTOCOL_ERROR)
            return
        if self._fragments is None:
            self._fragments = bytearray()
            self._fragments_are_text = kind is _TEXT
        if self._is_too_large(len(self._fragments) + len(payload)):
            return
        self._fragments += payload
        if not last:
            return
        message, self._fragments = bytes(self._fragments), None
        if not self._fragments_are_text:
            self._binary(message)
            return
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self.failed(_INVALID_TEXT)
            return
        self._receive(text)

    def first_payload(self) -> int | None:
        """The session's."""
        return self.session.first_payload

    def _is_too_large(self, size: int) -> bool:
        first = self.session.first_payload
        if size <= (self._max_payload if first is None else first):
            return False
        self.failed(_TOO_BIG)
        return True

    def _binary(self, message: bytes) -> None:
        if self.probing:
            self.failed(_PROTOCOL_ERROR)
        elif self.session.protocol == 4:
            self.session.receive_binary(message)
        elif message[:1] == b"\x04":
            self.session.receive_binary(message[1:])
        else:
            self.failed(_PROTOCOL_ERROR)

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
            self._receive = self.session.receive
            self._owner.upgraded(self)
            self.session.upgrade(self)
        else:
            self.close(_PROTOCOL_ERROR)
