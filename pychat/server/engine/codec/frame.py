"""WebSocket frames as a server writes them: no mask, no fragments (RFC 6455, section 5.2)."""

from __future__ import annotations

import struct
from typing import Final

_FIN_TEXT: Final = 0x81
_FIN_BINARY: Final = 0x82
_FIN_CLOSE: Final = 0x88
_FIN_PING: Final = 0x89
_FIN_PONG: Final = 0x8A

_medium_header: Final = struct.Struct(">BBH").pack

_SHORT_TEXT: Final = tuple(bytes((_FIN_TEXT, size)) for size in range(126))


def text_frame(payload: bytes) -> bytes:
    """Return a text message as one frame. The payload is UTF-8."""
    size = len(payload)
    if size < 126:
        return _SHORT_TEXT[size] + payload
    if size < 1 << 16:
        return _medium_header(_FIN_TEXT, 126, size) + payload
    return _header(_FIN_TEXT, size) + payload


def text_of(frame: bytes) -> bytes:
    """Return the payload of a frame from ``text_frame``."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def binary_frame(payload: bytes) -> bytes:
    """Return a binary message as one frame."""
    return _header(_FIN_BINARY, len(payload)) + payload


def ping_frame(payload: bytes) -> bytes:
    """Return a ping frame, which the other side answers by itself. At most 125 bytes."""
    return _header(_FIN_PING, len(payload)) + payload


def pong_frame(payload: bytes) -> bytes:
    """Return the answer to a ping frame, with the ping's payload of at most 125 bytes."""
    return _header(_FIN_PONG, len(payload)) + payload


def close_frame(code: int) -> bytes:
    """Return a close frame with that code and no reason."""
    return _header(_FIN_CLOSE, 2) + code.to_bytes(2, "big")


def _header(first: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, size))
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")
