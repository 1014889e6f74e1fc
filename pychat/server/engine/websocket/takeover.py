"""Take an accepted WebSocket out of aiohttp and read it with picows' frame parser.

All use of private parts of picows is here, and what this needs of private parts of aiohttp.
``versions`` names the versions that this was tested with; with others ``public`` is used instead.

picows only parses. The engine writes to the transport itself, because picows' own close would drop
queued frames and send code 0 where there is none.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiohttp import web
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # missing in its stubs

from pychat.server.engine.answer import Taken
from pychat.server.engine.session import BYTES_PER_CREDIT
from pychat.server.engine.websocket.transport import (
    INTERNAL_ERROR,
    INVALID_TEXT,
    OK,
    PROTOCOL_ERROR,
    TOO_BIG,
    WebSocket,
)

logger = logging.getLogger("pychat.engine")

_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_CONTINUATION: Final = WSMsgType.CONTINUATION
_CLOSE: Final = WSMsgType.CLOSE
_PING: Final = WSMsgType.PING
_PONG: Final = WSMsgType.PONG

_LARGE_FRAME: Final = 64 * 1024
_MAX_FRAME_HEAD: Final = 14

# The client's request was checked before. picows gets one that it accepts.
_REQUEST: Final = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def take_over(
    request: web.Request, accept: str, socket: WebSocket, max_payload: int
) -> TakenSocket:
    """Answer 101 and read the connection for ``socket`` from now on.

    aiohttp keeps nothing of the connection, and its runner no longer knows it. Does not suspend.
    Raises ConnectionResetError if the client has gone.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    old = request.protocol
    # Sent by the client in the same segment as the request.
    early = old._message_tail
    old._message_tail = b""
    socket.transport = transport
    transport.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
    )
    protocol = _parser(socket, max_payload)
    transport.set_protocol(protocol)
    paused = old._reading_paused or old._buffer_paused
    # connection_lost would close the transport that it knows.
    old.transport = None
    old.connection_lost(None)
    if paused:
        transport.resume_reading()
    return TakenSocket(protocol, early)


class TakenSocket(Taken):
    """The response that aiohttp gets for the handshake: nothing is left to write."""

    def __init__(self, protocol: Any, early: bytes) -> None:
        super().__init__(status=101)
        self._protocol = protocol
        self._early = early

    async def run(self) -> web.StreamResponse:
        """Read what the client sent before it had the answer. Does not suspend."""
        early, protocol = self._early, self._protocol
        self._early, self._protocol = b"", None
        while early:
            buffer = protocol.get_buffer(-1)
            part, early = early[: len(buffer)], early[len(buffer) :]
            buffer[: len(part)] = part
            protocol.buffer_updated(len(part))
        return self


class FrameReader(WSListener):
    """Turns picows' frames into messages for one WebSocket (RFC 6455, section 5)."""

    __slots__ = ("_fragments", "_fragments_are_text", "_max_frame", "_paused", "socket")

    def __init__(self, socket: WebSocket, max_frame: int) -> None:
        self.socket = socket
        self._max_frame = max_frame
        self._paused = False
        self._fragments: bytearray | None = None
        self._fragments_are_text = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Handle a frame. ``transport`` is picows' own and not used."""
        socket = self.socket
        kind = frame.msg_type
        if socket.closing:
            if kind is _CLOSE:
                socket.transport.close()
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            socket.failed(PROTOCOL_ERROR)
            return
        allowance = socket.session.allowance
        if allowance is not None:
            allowance.left -= 1 + frame.payload_size // BYTES_PER_CREDIT
            if allowance.left < 0 and not self._paused:
                self._pause(allowance.pause())
        if kind is _TEXT and frame.fin and self._fragments is None:
            try:
                text = frame.get_payload_as_utf8_text()
            except UnicodeDecodeError:
                socket.failed(INVALID_TEXT)
                return
            if len(text) * 4 <= _LARGE_FRAME:
                socket.receive(text)
                return
            if socket.is_too_large(frame.payload_size):
                return
            socket.receive(text)
        elif kind is _PING:
            socket.receive_ping(frame.get_payload_as_bytes())
        elif kind is _PONG:
            socket.session.pong_frame(frame.get_payload_as_bytes())
        elif kind is _CLOSE:
            # picows has checked the code.
            code = frame.get_payload_as_bytes()[:2]
            socket.receive_close(int.from_bytes(code, "big") if code else OK)
        elif kind in (_TEXT, _BINARY, _CONTINUATION):
            self._fragment(kind, frame.get_payload_as_bytes(), last=bool(frame.fin))
        if frame.payload_size > _LARGE_FRAME and not frame.tail_size and not socket.closing:
            self.renew_parser()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._fragments = None
        self.socket.disconnected()

    def pause_writing(self) -> None:
        self.socket.stalled = True

    def resume_writing(self) -> None:
        self.socket.stalled = False

    def renew_parser(self) -> None:
        """Replace the parser: its read buffer grows with a large frame and never shrinks.

        Called from the callback of the last frame in the buffer.
        """
        transport = self.socket.transport
        old = transport.get_protocol()
        transport.set_protocol(_parser(self.socket, self._max_frame, self))
        # The old parser is still on the stack. This is the only reference to it.
        asyncio.get_running_loop().call_soon(_drop, old)

    def _fragment(self, kind: WSMsgType, payload: bytes, *, last: bool) -> None:
        socket = self.socket
        if (kind is _CONTINUATION) != (self._fragments is not None):
            socket.failed(PROTOCOL_ERROR)
            return
        if self._fragments is None:
            self._fragments = bytearray()
            self._fragments_are_text = kind is _TEXT
        if socket.is_too_large(len(self._fragments) + len(payload)):
            return
        self._fragments += payload
        if not last:
            return
        message, self._fragments = bytes(self._fragments), None
        if not self._fragments_are_text:
            socket.receive_binary(message)
            return
        try:
            text = message.decode()
        except UnicodeDecodeError:
            socket.failed(INVALID_TEXT)
            return
        socket.receive(text)

    def _pause(self, seconds: float) -> None:
        transport = self.socket.transport
        if not transport.is_closing():
            self._paused = True
            transport.pause_reading()
            asyncio.get_running_loop().call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._paused = False
        transport = self.socket.transport
        if not transport.is_closing():
            transport.resume_reading()


def _drop(protocol: object) -> None:
    return None


class _PacedParser(WSProtocol):  # type: ignore[misc]  # picows has no types
    """Reads in small parts, so that reading can pause between frames.

    picows doubles its buffer whenever a read has filled it.
    """

    def get_buffer(self, size_hint: int) -> memoryview:
        free: memoryview = WSProtocol.get_buffer(self, size_hint)
        return free[: len(free) // 2 + 1]


class _CountingParser(_PacedParser):
    """Bounds a frame while it arrives. Its listener is an UnadmittedReader."""

    def buffer_updated(self, nbytes: int) -> None:
        if self.listener.takes(nbytes):
            WSProtocol.buffer_updated(self, nbytes)


class UnadmittedReader(WSListener):
    """Counts the bytes of an unfinished frame until the session is admitted."""

    __slots__ = ("_reader", "_unfinished")

    def __init__(self, reader: FrameReader) -> None:
        self._reader = reader
        self._unfinished = 0

    def takes(self, size: int) -> bool:
        """Whether that many more bytes are within the limit. If not, the connection is closed."""
        self._unfinished += size
        socket = self._reader.socket
        first = socket.session.first_payload
        if first is None or self._unfinished <= first + _MAX_FRAME_HEAD:
            return True
        socket.failed(TOO_BIG)
        return False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        reader = self._reader
        self._unfinished = frame.tail_size
        reader.on_ws_frame(transport, frame)
        if not frame.tail_size and reader.socket.session.first_payload is None:
            reader.renew_parser()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._reader.on_ws_disconnected(transport)

    def pause_writing(self) -> None:
        self._reader.pause_writing()

    def resume_writing(self) -> None:
        self._reader.resume_writing()


def _parser(socket: WebSocket, max_frame: int, reader: FrameReader | None = None) -> Any:
    session = socket.session
    reader = reader or FrameReader(socket, max_frame)
    listener: WSListener = reader
    kind = WSProtocol if session.allowance is None else _PacedParser
    if session.first_payload is not None:
        kind = _CountingParser
        listener = UnadmittedReader(reader)
    protocol = kind(
        None,  # host_port
        None,  # ws_path
        False,  # is_client_side
        lambda request: WSUpgradeResponseWithListener(_RESPONSE, listener),
        _Reports(socket),
        False,  # disconnect_on_exception
        None,  # websocket_handshake_timeout
        False,  # enable_auto_ping
        None,  # auto_ping_idle_timeout
        None,  # auto_ping_reply_timeout
        0,  # auto_ping_strategy
        False,  # enable_auto_pong
        max_frame,
        None,  # extra_headers
        2048,  # read_buffer_init_size, the smallest that it accepts
    )
    protocol.connection_made(_SINK)
    WSProtocol.get_buffer(protocol, -1)[: len(_REQUEST)] = _REQUEST
    WSProtocol.buffer_updated(protocol, len(_REQUEST))
    return protocol


class _Reports:
    """The logger that picows gets: it reports here that it has stopped parsing."""

    __slots__ = ("_socket",)

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        return False

    def info(self, *args: object) -> None:
        return None

    debug = warning = info

    def error(self, message: str, detail: object = None) -> None:
        code = detail[0] if isinstance(detail, tuple) and detail else PROTOCOL_ERROR
        self._socket.failed(int(code))

    def exception(self, message: str, *args: object) -> None:
        # picows calls this in the except block that caught an exception of our callback.
        logger.exception("a WebSocket message was not handled")
        self._socket.failed(INTERNAL_ERROR)


class _Sink:
    """The transport that picows believes it has."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self if name == "socket" else default

    def get_write_buffer_size(self) -> int:
        return 1  # with 0 picows would write to the socket directly

    def write(self, data: object) -> None:
        return None

    writelines = write

    def close(self) -> None:
        return None

    abort = close

    def fileno(self) -> int:
        return -1

    def setsockopt(self, level: int, name: int, value: int) -> None:
        return None

    def getsockopt(self, level: int, name: int) -> int:
        return 0


_SINK: Final = _Sink()
_RESPONSE: Final = WSUpgradeResponse.create_101_response()
