"""Packets, sans-I/O: Engine.IO packets out, Socket.IO packets in, binary data as attachments."""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from pychat.server.engine.codec.frame import binary_frame, text_frame, text_of

# Engine.IO packet types, the first character of a packet.
OPEN: Final = "0"
CLOSE: Final = "1"
PING: Final = "2"
PONG: Final = "3"
MESSAGE: Final = "4"
UPGRADE: Final = "5"
NOOP: Final = "6"

# Socket.IO packet types, the first character of a message.
CONNECT: Final = "0"
DISCONNECT: Final = "1"
EVENT: Final = "2"
ACK: Final = "3"
CONNECT_ERROR: Final = "4"
BINARY_EVENT: Final = "5"
BINARY_ACK: Final = "6"

RESERVED_EVENTS: Final = frozenset(
    {
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    }
)
MAX_ATTACHMENTS: Final = 10
MAX_JSON_DEPTH: Final = 32
MAX_ACK_ID: Final = 2**53


class MalformedPacket(ValueError):
    """The client sent something that is not a packet. Its session is closed."""


class Packet(msgspec.Struct, gc=False):
    """An Engine.IO text packet, encoded once for all transports.

    It is kept as a WebSocket frame, because that is how most packets are sent.
    """

    frame: bytes
    _ascii: bytes | None = None

    @property
    def body(self) -> bytes:
        """The packet as UTF-8, without the frame's head."""
        return text_of(self.frame)

    @property
    def size(self) -> int:
        """Approximate size in bytes."""
        return len(self.frame)

    def frame_for(self, protocol: int) -> bytes:
        """Return the WebSocket frame. Text is the same in both protocols."""
        return self.frame

    @property
    def ascii(self) -> bytes:
        """The packet with all characters of its JSON outside ASCII as escapes.

        Engine.IO 3 clients on polling count lengths in different units, which agree for ASCII. What
        is not JSON is not escaped: a namespace, and the data that a pong repeats.
        """
        if self._ascii is None:
            body = self.body
            self._ascii = body if body.isascii() else _escape(body.decode())
        return self._ascii


class BinaryPacket:
    """A binary Engine.IO message: one attachment of a Socket.IO packet."""

    __slots__ = ("_frame3", "_frame4", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._frame3: bytes | None = None
        self._frame4: bytes | None = None

    @property
    def size(self) -> int:
        """Approximate size in bytes."""
        return len(self.data)

    def frame_for(self, protocol: int) -> bytes:
        """Return the WebSocket frame. In Engine.IO 3 the packet type precedes the data."""
        if protocol == 3:
            if self._frame3 is None:
                self._frame3 = binary_frame(b"\x04" + self.data)
            return self._frame3
        if self._frame4 is None:
            self._frame4 = binary_frame(self.data)
        return self._frame4

    def base64(self, protocol: int) -> bytes:
        """Return the packet as text, for transports that carry only text."""
        return (b"b4" if protocol == 3 else b"b") + b64encode(self.data)


AnyPacket = Packet | BinaryPacket


def read_base64(packet: str, protocol: int) -> bytes:
    """Return the data of a binary message that was sent as text. Raises MalformedPacket."""
    start = 1
    if protocol == 3:
        if packet[1:2] != MESSAGE:
            raise MalformedPacket("only messages are binary")
        start = 2
    try:
        return b64decode(packet[start:], validate=True)
    except (binascii.Error, ValueError):
        raise MalformedPacket("not base64") from None


def _escape(text: str) -> bytes:
    # In JSON only strings contain characters outside ASCII, so all of them can be escaped.
    match = _PACKET.fullmatch(text)
    start = len(text) if match is None else match.start(6)  # data
    escaped = _BEYOND_ASCII.sub(lambda run: json.dumps(run[0])[1:-1], text[start:])
    return (text[:start] + escaped).encode()


_BEYOND_ASCII = re.compile("[^\x00-\x7f]+")


def text_packet(body: bytes) -> Packet:
    """Return the packet with that UTF-8 text, which includes the packet type."""
    return Packet(text_frame(body))


def encode_event(event: str, payload: bytes) -> Packet:
    """Return an event with one JSON argument on ``/``, for any number of connections."""
    return Packet(text_frame(b"%b%b]" % (_event_head(event), payload)))


@lru_cache(maxsize=1024)
def _event_head(event: str) -> bytes:
    return b"42[" + msgspec.json.encode(event) + b","


def encode_ack(ack_id: int, payload: bytes) -> Packet:
    """Return an acknowledgement with one JSON argument on ``/``."""
    return Packet(text_frame(b"43%d[%b]" % (ack_id, payload)))


class SocketPacket(NamedTuple):
    """A Socket.IO packet. ``data`` is JSON text, empty if the packet has none."""

    type: str
    attachments: int
    namespace: str
    query: str
    id: int | None
    data: str


# type, attachments, namespace and query, id, data
_PACKET = re.compile(
    r"4([0-6])"
    r"(?:([0-9]{1,9})-)?"
    r"(?:(/[^,?]*)(?:\?([^,]*))?(?:,|$))?"
    r"([0-9]+)?"
    r"(.*)",
    re.DOTALL,
)


def read_packet(text: str) -> SocketPacket:
    """Read an Engine.IO message, with its ``4``, as a Socket.IO packet. Raises MalformedPacket."""
    if text.startswith("42["):
        return SocketPacket(EVENT, 0, "/", "", None, text[2:])
    match = _PACKET.fullmatch(text)
    if match is None:
        raise MalformedPacket("not a Socket.IO packet")
    kind, count, namespace, query, number, data = match.groups()
    binary = kind in (BINARY_EVENT, BINARY_ACK)
    if binary != (count is not None):
        raise MalformedPacket("attachments are counted in binary packets, and only there")
    attachments = int(count) if count else 0
    if attachments > MAX_ATTACHMENTS:
        raise MalformedPacket(f"more than {MAX_ATTACHMENTS} attachments")
    ack_id = None
    if number is not None:
        if len(number) > 16 or int(number) > MAX_ACK_ID:
            raise MalformedPacket("the id is out of range")
        ack_id = int(number)
    return SocketPacket(kind, attachments, namespace or "/", query or "", ack_id, data)


_arguments = msgspec.json.Decoder(list[msgspec.Raw])
_event_with_one_argument = msgspec.json.Decoder(tuple[str, msgspec.Raw])
_event_name = msgspec.json.Decoder(str | int | float)


def read_event(data: str) -> tuple[str, bytes]:
    """Return the name and the first argument of an event's JSON, ``null`` without arguments.

    Raises MalformedPacket for invalid JSON, JSON nested too deep, a missing or a reserved name.
    """
    check_depth(data)
    try:
        name, argument = _event_with_one_argument.decode(data)
        payload = bytes(argument)
    except msgspec.ValidationError:
        name, payload = _read_other_event(data)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise MalformedPacket(str(error)) from None
    if name in RESERVED_EVENTS:
        raise MalformedPacket(f"the event name {name} is reserved")
    return name, payload


def _read_other_event(data: str) -> tuple[str, bytes]:
    try:
        arguments = _arguments.decode(data)
        if not arguments:
            raise MalformedPacket("an event needs a name")
        name = _event_name.decode(arguments[0])
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise MalformedPacket(str(error)) from None
    return str(name), bytes(arguments[1]) if len(arguments) > 1 else b"null"


def check_depth(data: str) -> None:
    """Raise MalformedPacket if the JSON text is nested deeper than MAX_JSON_DEPTH."""
    # Almost all events are a name and one flat object, so counting is enough.
    if data.count("{") + data.count("[") <= MAX_JSON_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.finditer(data):
        character = bracket[0]
        if character in "[{":
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise MalformedPacket(f"JSON nested deeper than {MAX_JSON_DEPTH}")
        elif character in "]}":
            depth -= 1


# Brackets, and whole strings so that brackets in them do not count. An unfinished string extends to
# the end of the text, so that no character is read twice (docs/explanation/linear.md).
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


_PLAIN = frozenset({str, int, float, bool, type(None)})


def has_binary(data: Any) -> bool:
    """Whether the data contains bytes, at any depth."""
    if type(data) in _PLAIN:
        return False
    if isinstance(data, bytes | bytearray | memoryview):
        return True
    if isinstance(data, dict):
        items: Iterable[Any] = data.values()
    elif isinstance(data, list | tuple):
        items = data
    else:
        return False
    for item in items:  # noqa: SIM110  # any() with a generator takes twice as long
        if type(item) not in _PLAIN and has_binary(item):
            return True
    return False


def without_binary(data: Any, attachments: list[AnyPacket]) -> Any:
    """Return a copy with placeholders for bytes, and append the bytes to ``attachments``."""
    if isinstance(data, bytes | bytearray | memoryview):
        attachments.append(BinaryPacket(bytes(data)))
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(data, dict):
        return {key: without_binary(item, attachments) for key, item in data.items()}
    if isinstance(data, list | tuple):
        return [without_binary(item, attachments) for item in data]
    return data


def with_attachments(item: Any, attachments: list[bytes]) -> Any:
    """Return a copy with the attachments in place of the placeholders. Raises MalformedPacket."""
    if isinstance(item, list):
        return [with_attachments(inner, attachments) for inner in item]
    if isinstance(item, dict):
        if item.get("_placeholder") is True:
            number = item.get("num")
            if not isinstance(number, int) or not 0 <= number < len(attachments):
                raise MalformedPacket("placeholder without an attachment")
            return attachments[number]
        return {key: with_attachments(inner, attachments) for key, inner in item.items()}
    return item
