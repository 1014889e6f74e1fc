"""Takes an accepted websocket out of aiohttp and gives its transport to picows' frame parser.

All use of what is not public in picows is here, and what this takes of aiohttp's; pyproject.toml
pins both to the minor versions that the tests run with.

picows only parses. Everything is written by us, straight to the transport: picows writes into
a sink, because its own close (no waiting frames, code 0 for "none") is not what we want.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
from typing import Any, Final

from aiohttp import hdrs, web
from picows import (
    WSFrame,
    WSListener,
    WSTransport,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # missing in its stubs

from pychat.server.engine.polling.borrow import Taken

logger = logging.getLogger("pychat.engine")

_MAX_FRAME_HEAD: Final = 14

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3

# The client's request has been checked: picows gets one that it accepts.
_REQUEST: Final = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class NotAWebSocket(ValueError):
    """The request is no websocket handshake, or a wrong one."""


class Frames(WSListener):
    """Gets the frames; ``failed`` when the bytes are no frames of a client (RFC 6455)."""

    __slots__ = ("paced", "transport")

    transport: asyncio.Transport
    paced: bool
    """Whether it is read a little at a time, so that it can be paused between its frames."""

    def failed(self, code: int) -> None:
        """The parser has given up; ``code`` is the close code that says why."""
        raise NotImplementedError

    def first_payload(self) -> int | None:
        """The bytes of a frame that may come for now; None: as many as the parser takes."""
        raise NotImplementedError


def accept_key(request: web.BaseRequest) -> str:
    """The ``Sec-WebSocket-Accept`` of a handshake. Raises NotAWebSocket (RFC 6455, 4.2.1)."""
    headers = request.headers
    if request.method != "GET" or request.version < (1, 1):
        raise NotAWebSocket("a websocket starts with GET and HTTP/1.1")
    if headers.get(hdrs.UPGRADE, "").strip().lower() != "websocket":
        raise NotAWebSocket("Upgrade must be websocket")
    tokens = {token.strip().lower() for token in headers.get(hdrs.CONNECTION, "").split(",")}
    if "upgrade" not in tokens:
        raise NotAWebSocket("Connection must be upgrade")
    if headers.get(hdrs.SEC_WEBSOCKET_VERSION) != "13":
        raise NotAWebSocket("Sec-WebSocket-Version must be 13")
    key = headers.get(hdrs.SEC_WEBSOCKET_KEY, "")
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            raise NotAWebSocket("Sec-WebSocket-Key must be 16 bytes")
    except (binascii.Error, ValueError):
        raise NotAWebSocket("Sec-WebSocket-Key must be base64") from None
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def take_over(request: web.BaseRequest, accept: str, frames: Frames, max_frame: int) -> TakenSocket:
    """Answers 101 and feeds ``frames`` from now on. Raises ConnectionResetError.

    Nothing of aiohttp stays with the connection; its runner no longer knows it. What came in
    the same segment as the request waits for ``feed_early``.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    old = request.protocol
    tail = old._message_tail
    old._message_tail = b""
    frames.transport = transport
    transport.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
    )
    protocol = _parser(frames, max_frame)
    transport.set_protocol(protocol)
    paused = old._reading_paused or old._buffer_paused
    # connection_lost would close the transport that it knows.
    old.transport = None
    old.connection_lost(None)
    if paused:
        transport.resume_reading()
    return TakenSocket(protocol, tail)


def renew_parser(frames: Frames, max_frame: int) -> None:
    """A fresh parser, as a read buffer that has grown never shrinks.

    Called from the callback of a frame behind which the buffer is empty.
    """
    transport = frames.transport
    old = transport.get_protocol()
    transport.set_protocol(_parser(frames, max_frame))
    # The old one is still on the stack, and nothing else keeps it.
    asyncio.get_running_loop().call_soon(_drop, old)


def _drop(protocol: object) -> None:
    return None


class TakenSocket(Taken):
    """What aiohttp gets as the response: nothing is left to write."""

    def __init__(self, protocol: Any, early: bytes) -> None:
        super().__init__(status=101)
        self._protocol = protocol
        self._early = early

    def feed_early(self) -> None:
        """Hands over what the client sent before it had the answer. To be called at once."""
        early, protocol = self._early, self._protocol
        self._early, self._protocol = b"", None
        while early:
            buffer = protocol.get_buffer(-1)
            part, early = early[: len(buffer)], early[len(buffer) :]
            buffer[: len(part)] = part
            protocol.buffer_updated(len(part))


class _PacedParser(WSProtocol):  # type: ignore[misc]  # picows has no types
    """Reads a little at a time: picows doubles its buffer whenever a read has filled it."""

    def get_buffer(self, size_hint: int) -> memoryview:
        free: memoryview = WSProtocol.get_buffer(self, size_hint)
        return free[: len(free) // 2 + 1]


class _CountingParser(_PacedParser):
    """Bounds a frame while it comes in, until its client is admitted; its listener is a _First."""

    def buffer_updated(self, nbytes: int) -> None:
        if self.listener.takes(nbytes):
            WSProtocol.buffer_updated(self, nbytes)


class _First(WSListener):
    """Counts what has come of a frame, until its client is admitted and nothing is counted."""

    __slots__ = ("_frames", "_max_frame", "_unfinished")

    def __init__(self, frames: Frames, max_frame: int) -> None:
        self._frames = frames
        self._max_frame = max_frame
        self._unfinished = 0

    def takes(self, size: int) -> bool:
        """Whether so many bytes more may come."""
        self._unfinished += size
        first = self._frames.first_payload()
        if first is None or self._unfinished <= first + _MAX_FRAME_HEAD:
            return True
        self._frames.failed(1009)
        return False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self._unfinished = frame.tail_size
        self._frames.on_ws_frame(transport, frame)
        if not frame.tail_size and self._frames.first_payload() is None:
            renew_parser(self._frames, self._max_frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._frames.on_ws_disconnected(transport)

    def pause_writing(self) -> None:
        self._frames.pause_writing()

    def resume_writing(self) -> None:
        self._frames.resume_writing()


def _parser(frames: Frames, max_frame: int) -> Any:
    first = frames.first_payload() is not None
    kind = _CountingParser if first else _PacedParser if frames.paced else WSProtocol
    listener = _First(frames, max_frame) if first else frames
    protocol = kind(
        None,  # host_port
        None,  # ws_path
        False,  # is_client_side
        lambda request: WSUpgradeResponseWithListener(_RESPONSE, listener),
        _Reports(frames),
        False,  # disconnect_on_exception
        None,  # websocket_handshake_timeout
        False,  # enable_auto_ping
        None,  # auto_ping_idle_timeout
        None,  # auto_ping_reply_timeout
        0,  # auto_ping_strategy
        False,  # enable_auto_pong
        max_frame,
        None,  # extra_headers
        2048,  # read_buffer_init_size, the least it takes
    )
    protocol.connection_made(_SINK)
    WSProtocol.get_buffer(protocol, -1)[: len(_REQUEST)] = _REQUEST
    WSProtocol.buffer_updated(protocol, len(_REQUEST))
    return protocol


class _Reports:
    """picows' logger: its one report that matters is that it has stopped parsing."""

    __slots__ = ("_frames",)

    def __init__(self, frames: Frames) -> None:
        self._frames = frames

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        return False

    def info(self, *args: object) -> None:
        return None

    debug = warning = info

    def error(self, message: str, detail: object = None) -> None:
        code = detail[0] if isinstance(detail, tuple) and detail else 1002
        self._frames.failed(int(code))

    def exception(self, message: str, *args: object) -> None:
        # Called inside the except block that has caught what a callback of ours let through.
        logger.exception("a websocket's frame was not handled")
        self._frames.failed(1011)


class _Sink:
    """The transport that picows thinks it has."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self if name == "socket" else default

    def get_write_buffer_size(self) -> int:
        return 1  # not 0: picows would write to the socket itself

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
