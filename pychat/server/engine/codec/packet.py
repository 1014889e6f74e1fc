"""Packets, sans-I/O: Engine.IO packets as they travel, Socket.IO packets as they are read."""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode, b64encode
from functools import lru_cache
from typing import Final, NamedTuple

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
    """What the peer sent is not a packet; its session is closed."""


class Packet(msgspec.Struct, gc=False):
    """An Engine.IO packet of text, encoded once for every way it may travel.

    Most travel as a websocket frame, so that is what it is made of.
    """

    frame: bytes
    _ascii: bytes | None = None

    @property
    def body(self) -> bytes:
        """The packet itself, UTF-8."""
        return text_of(self.frame)

    @property
    def size(self) -> int:
        """In bytes, as good as."""
        return len(self.frame)

    def frame_for(self, protocol: int) -> bytes:
        """As a websocket frame; text is the same in both protocols."""
        return self.frame

    @property
    def ascii(self) -> bytes:
        """With every other character of its JSON as an escape.

        Engine.IO 3 clients on polling count lengths in different units; in ASCII all agree. What
        is not JSON stays as it is: a namespace, and the data that a pong repeats.
        """
        if self._ascii is None:
            body = self.body
            self._ascii = body if body.isascii() else _escape(body.decode())
        return self._ascii


class BinaryPacket:
    """An Engine.IO message of bytes: one attachment of a Socket.IO packet."""

    __slots__ = ("_frame3", "_frame4", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._frame3: bytes | None = None
        self._frame4: bytes | None = None

    @property
    def size(self) -> int:
        """In bytes, as good as."""
        return len(self.data)

    def frame_for(self, protocol: int) -> bytes:
        """As a websocket frame; Engine.IO 3 puts the packet's type before the data."""
        if protocol == 3:
            if self._frame3 is None:
                self._frame3 = binary_frame(b"\x04" + self.data)
            return self._frame3
        if self._frame4 is None:
            self._frame4 = binary_frame(self.data)
        return self._frame4

    def base64(self, protocol: int) -> bytes:
        """As text, where only text may travel."""
        return (b"b4" if protocol == 3 else b"b") + b64encode(self.data)


AnyPacket = Packet | BinaryPacket


def read_base64(packet: str, protocol: int) -> bytes:
    """The data of a binary message that came as text. Raises MalformedPacket."""
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
    # In JSON only strings hold anything beyond ASCII, so an escape may stand for any of it.
    match = _PACKET.fullmatch(text)
    start = len(text) if match is None else match.start(6)  # data
    escaped = _BEYOND_ASCII.sub(lambda run: json.dumps(run[0])[1:-1], text[start:])
    return (text[:start] + escaped).encode()


_BEYOND_ASCII = re.compile("[^\x00-\x7f]+")


def text_packet(body: bytes) -> Packet:
    """The packet with that text in UTF-8, its type included."""
    return Packet(text_frame(body))


def encode_event(event: str, payload: bytes) -> Packet:
    """The event with its one JSON argument, on ``/``, for any number of connections."""
    return Packet(text_frame(b"%b%b]" % (_event_head(event), payload)))


@lru_cache(maxsize=1024)
def _event_head(event: str) -> bytes:
    return b"42[" + msgspec.json.encode(event) + b","


def encode_ack(ack_id: int, payload: bytes) -> Packet:
    """The acknowledgement with its one JSON argument, on ``/``."""
    return Packet(text_frame(b"43%d[%b]" % (ack_id, payload)))


class SocketPacket(NamedTuple):
    """A Socket.IO packet as it was read. ``data`` is JSON text, empty if there is none."""

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
    """An Engine.IO message, its ``4`` included, as a Socket.IO packet. Raises MalformedPacket."""
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
    """The name and the first argument of an event's JSON (``null`` if it has none).

    Raises MalformedPacket: not JSON, nested too deep, no name, or a reserved one.
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
    """Raises MalformedPacket if JSON text nests deeper than MAX_JSON_DEPTH."""
    # Almost all events are a name and one flat object: [" … {" … and no bracket more.
    if data.find("{", data.find("{") + 1) < 0 and data.find("[", 1) < 0:
        return
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


# Brackets, and whole strings so that the brackets in them do not count. A string that has no end
# goes to the end of the text: what was read once is never read again (docs/linear.md).
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
