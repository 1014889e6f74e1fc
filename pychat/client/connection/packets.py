"""Socket.IO packets and JSON as received from any server: malformed ones must not raise."""

from __future__ import annotations

import json
from typing import Any, Final

import engineio
import socketio

UNREADABLE: Final = ["unreadable"]
"""Replaces data that cannot be decoded. As an event it has no handler; it is no valid answer."""
_RESERVED: Final = ("connect", "connect_error", "disconnect", "__disconnect_final")
"""Events that python-socketio raises itself. A server must not send them."""

# The server answers a poll with all queued packets. The library's default of 16 would end the
# session.
engineio.payload.Payload.max_decode_packets = 100_000


def dumps(value: Any, **options: Any) -> str:
    """Encode as ``json.dumps`` does."""
    return json.dumps(value, **options)


def loads(text: str | bytes) -> Any:
    """Decode as ``json.loads`` does, and accept any input.

    Lone surrogates become U+FFFD, NaN and the infinities null. Malformed or too deeply nested JSON
    becomes UNREADABLE.
    """
    try:
        value = json.loads(text, parse_constant=lambda _: None)
        # A lone surrogate can only be written as an escape: UTF-8 cannot contain one.
        escape = b"\\u" if isinstance(text, bytes) else "\\u"
        return _without_surrogates(value) if escape in text else value  # type: ignore[operator] # of the same type
    except (ValueError, RecursionError):
        return UNREADABLE


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    return value


class TolerantPacket(socketio.packet.Packet):  # type: ignore[misc]  # the library has no types
    """Socket.IO packet that turns anything a chat server would not send into an unknown event."""

    def __init__(self, *fields: Any, encoded_packet: Any = None, **more: Any) -> None:
        super().__init__(*fields, encoded_packet=encoded_packet, **more)
        if encoded_packet is not None and not encoded_packet:
            self.data = UNREADABLE

    def decode(self, encoded_packet: Any) -> int:
        try:
            attachments = super().decode(encoded_packet)
        except (LookupError, TypeError, ValueError):
            attachments = None
        if attachments != 0 or not self._is_valid():
            self.packet_type, self.data = socketio.packet.EVENT, UNREADABLE
            self.namespace = self.id = None
        return 0

    def _is_valid(self) -> bool:
        match self.packet_type:
            case socketio.packet.CONNECT:
                return self.data is None or isinstance(self.data, dict)
            case socketio.packet.EVENT:
                named = isinstance(self.data, list) and len(self.data) > 0
                return named and isinstance(self.data[0], str) and self.data[0] not in _RESERVED
            case socketio.packet.ACK:
                return isinstance(self.data, list) and self.id is not None
            case socketio.packet.DISCONNECT | socketio.packet.CONNECT_ERROR:
                return True
        return False
