"""Polling payloads of both protocols, sans-I/O: several Engine.IO packets in one HTTP body."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import parse_qs

from pychat.server.engine.codec.packet import MESSAGE, AnyPacket, BinaryPacket, MalformedPacket

Received = str | bytes
"""A packet as received: text with its type (base64 after a ``b``), or binary data."""


# --- Engine.IO 4 -------------------------------------------------------------------------

_SEPARATOR = "\x1e"


def encode_v4(packets: Iterable[AnyPacket]) -> bytes:
    """Join packets with U+001E. Binary messages are base64 after a ``b``."""
    return b"\x1e".join(
        packet.base64(4) if isinstance(packet, BinaryPacket) else packet.body for packet in packets
    )


def decode_v4(body: bytes) -> Iterator[str]:
    """Yield the packets in order. Raises MalformedPacket at the first malformed one."""
    for packet in _utf8(body).split(_SEPARATOR):
        if not packet:
            raise MalformedPacket("an empty packet")
        yield packet


# --- Engine.IO 3 -------------------------------------------------------------------------

# In a browser, 1.x passes each byte of a text payload as an argument to one call, which fails for
# more than some hundred thousand. It copies byte frames in a loop. Escapes may triple the size.
_MAX_TEXT = 32 * 1024


def encode_v3(
    packets: Sequence[AnyPacket], *, base64: bool, encoded_twice: bool = False
) -> tuple[bytes, bool]:
    """Return the payload and whether it is binary.

    It is binary if a packet is, unless base64 is requested. Text is ASCII, so that UTF-16 code
    units, bytes and characters are the same number. If a namespace has other characters, the
    payload is binary too. Where only text can be sent, lengths are counted as the client counts
    them (see ``DecoderV3``).
    """
    if not base64 and (
        any(isinstance(packet, BinaryPacket) or not packet.ascii.isascii() for packet in packets)
        or sum(packet.size for packet in packets) > _MAX_TEXT
    ):
        return b"".join(_byte_frame(packet) for packet in packets), True
    parts = (
        packet.base64(3) if isinstance(packet, BinaryPacket) else packet.ascii for packet in packets
    )
    return b"".join(_counted(part, encoded_twice) for part in parts), False


def _counted(part: bytes, encoded_twice: bool) -> bytes:
    if part.isascii():
        return b"%d:%b" % (len(part), part)
    if encoded_twice:
        return b"%d:%b" % (len(part), part.decode("latin-1").encode())
    return b"%d:%b" % (len(part.decode().encode("utf-16-le")) // 2, part)


def _byte_frame(packet: AnyPacket) -> bytes:
    if isinstance(packet, BinaryPacket):
        marker, content = b"\x01", b"\x04" + packet.data
    else:
        marker, content = b"\x00", packet.ascii
    return marker + bytes(int(digit) for digit in str(len(content))) + b"\xff" + content


class DecoderV3:
    """Decodes the payloads of one Engine.IO 3 session, in the way that its client encodes them.

    Clients 1.x encode text as UTF-8 before they count and send it, so it arrives encoded twice.
    Clients 2.x count UTF-16 code units. Both say ``EIO=3``. Text whose characters are all below
    U+0100, and that is valid UTF-8 if they are taken as bytes, comes from 1.x. The first text
    outside ASCII decides for the session.
    """

    __slots__ = ("encoded_twice",)

    def __init__(self) -> None:
        self.encoded_twice: bool | None = None
        """None until the first text outside ASCII."""

    def text(self, body: bytes) -> Iterator[str]:
        """Yield the packets of ``length:packet`` repeated. Raises MalformedPacket."""
        for packet in _split_by_length(_utf8(body)):
            yield packet if packet.isascii() else self._repair(packet)

    def binary(self, body: bytes) -> Iterator[Received]:
        """Yield the packets of byte frames.

        A byte frame is ``00`` or ``01``, the length as bytes of digits, ``FF``, the packet. Raises
        MalformedPacket.
        """
        position = 0
        while position < len(body):
            marker = body[position]
            end = body.find(b"\xff", position + 2, position + 12)
            digits = body[position + 1 : end]
            if marker > 1 or end == -1 or max(digits) > 9:
                raise MalformedPacket("not a byte frame")
            start = end + 1
            position = start + int("".join(map(str, digits)))
            packet = body[start:position]
            if position > len(body) or not packet:
                raise MalformedPacket("the length is wrong")
            if marker == 0:
                yield _utf8(packet)
            elif packet[0] == int(MESSAGE):
                yield packet[1:]
            else:
                raise MalformedPacket("only messages are binary")

    def _repair(self, packet: str) -> str:
        if self.encoded_twice is not False:
            try:
                repaired = packet.encode("latin-1").decode()
            except UnicodeError:
                if self.encoded_twice:
                    raise MalformedPacket("not UTF-8 encoded twice, as before") from None
                self.encoded_twice = False
            else:
                self.encoded_twice = True
                return repaired
        return packet


def _split_by_length(text: str) -> Iterator[str]:
    # In UTF-16 a code unit is two bytes; where no character needs two units, slice the text.
    wide = max(text, default="") >= "\U00010000"
    units = text.encode("utf-16-le") if wide else b""
    size = len(units) // 2 if wide else len(text)
    position = 0
    shift = 0  # code units minus characters, up to this position
    if not text:
        raise MalformedPacket("an empty payload")
    while position < size:
        colon = text.find(":", position - shift, position - shift + 11)
        digits = text[position - shift : colon]
        if colon == -1 or not (digits.isascii() and digits.isdigit()):
            raise MalformedPacket("a packet needs its length")
        start = colon + shift + 1
        position = start + int(digits)
        if position > size or position == start:
            raise MalformedPacket("the length is wrong")
        if not wide:
            yield text[start:position]
            continue
        try:
            packet = units[2 * start : 2 * position].decode("utf-16-le")
        except UnicodeDecodeError:
            raise MalformedPacket("the length divides a character") from None
        shift += position - start - len(packet)
        yield packet


# --- JSONP, Engine.IO 3 only -------------------------------------------------------------


def encode_jsonp(payload: bytes, index: str) -> bytes:
    """Return a script that passes the text payload to the callback number ``index``."""
    # In old JavaScript, U+2028 and U+2029 end a line, which JSON allows in strings. Like all
    # characters outside ASCII they are escaped here.
    return f"___eio[{index}]({json.dumps(payload.decode())});".encode()


def decode_jsonp(body: bytes) -> bytes:
    """Return the payload in the form field ``d``, in which the client escaped ``\n`` twice."""
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, errors="strict")
        (data,) = fields["d"]
    except (ValueError, KeyError):
        raise MalformedPacket("not a form with a field d") from None
    return _ESCAPED_NEWLINE.sub(lambda m: r"\n" if m[1] else "\n", data).encode()


_ESCAPED_NEWLINE = re.compile(r"(\\)?\\n")


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise MalformedPacket("not UTF-8") from None
