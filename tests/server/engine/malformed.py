"""Malformed packets, WebSocket frames and bodies. Each ends the session it is sent in."""

from __future__ import annotations

from tests.server.engine.rawsocket import frame, text

Packets = tuple[str, ...]

_PACKETS: list[Packets] = [
    ("",),
    ("x",),
    ("7",),
    ("9",),
    ("0",),
    ("5x",),
    ("6x",),
    ("한",),
    ("4",),
    ("47",),
    ("4x",),
    ("42",),
    ("42{}",),
    ("42[]",),
    ("42[null]",),
    ("42[{}]",),
    ('42["a",]',),
    ('42["a"',),
    ('42["a"]]',),
    ('42["a",NaN]',),
    ('42["a",-Infinity]',),
    ('42["a","\\ud800"]',),
    ('42["a",' + "[" * 33 + "]" * 34,),
    ("42" + "[" * 900,),
    ('42["connect",{}]',),
    ('42["connect_error"]',),
    ('42["disconnect"]',),
    ('42["disconnecting"]',),
    ('42["newListener"]',),
    ('42["removeListener"]',),
    ("429" + "9" * 20 + '["a"]',),
    ('421-["a"]',),
    ('42/other,["a"]',),
    ("44{}",),
    ("45[]",),
    ('4511-["a"]',),
    ('4599-["a"]',),
    ('451-["a",{"_placeholder":true,"num":0}]', '42["b"]'),
    ("b!!",),
    ("b4!",),
    ("b4AA",),  # unannounced
]
_PACKETS_OF: dict[int, list[Packets]] = {
    3: [("3",), ("3probe",), ("bAAAA",), ("b",)],
    4: [("2",), ("2probe",), ("3x", "2probe"), ("40",), ("bAAAA",), ("b",)],
}

_FRAMES: list[tuple[bytes, int]] = [
    (frame(0x83, b"x"), 1002),  # unknown opcode
    (frame(0x8B, b"x"), 1002),
    (frame(0xC1, b'42["a"]'), 1002),  # RSV bits
    (frame(0xA1, b'42["a"]'), 1002),
    (frame(0x91, b'42["a"]'), 1002),
    (frame(0x81, b'42["a"]', masked=False), 1002),
    (frame(0x80, b"x"), 1002),  # a continuation of nothing
    (frame(0x01, b"4") + frame(0x81, b"4"), 1002),  # a new message inside of one
    (frame(0x09, b"x"), 1002),  # a fragmented ping
    (frame(0x89, b"x" * 126), 1002),  # a long one
    (frame(0x88, b"x"), 1002),  # half a close code
    (frame(0x88, b"\x03\xed"), 1002),  # 1005 may not be sent
    (frame(0x81, b"42[\xff]"), 1007),
    (frame(0x01, b"42[\xff") + frame(0x80, b"]"), 1007),
    (b"\x81\xff" + b"\x7f" * 8, 1009),
    (frame(0x81, b"4" * 1001), 1009),
    (frame(0x01, b"4" * 600) + frame(0x80, b"4" * 600), 1009),
]
_FRAMES_OF: dict[int, list[tuple[bytes, int]]] = {
    3: [
        (frame(0x82, b""), 1002),
        (frame(0x82, b"no marker"), 1002),
        (frame(0x82, b"\x04unannounced"), 1000),
    ],
    4: [(frame(0x82, b""), 1000), (frame(0x82, b"unannounced"), 1000)],
}

_OCTETS = "application/octet-stream"
_FORM = "application/x-www-form-urlencoded"
_BODIES: dict[int, list[tuple[str, bytes]]] = {
    3: [
        *(
            ("text/plain", body)
            for body in (
                b"",
                b"6",
                b":6",
                b"0:",
                b"-1:6",
                b"5:6",
                b"9999999999999:6",
                b"1:6x",
                b"\xff",
                "1:😀".encode(),
                "٣:666".encode(),
            )
        ),
        *(
            (_OCTETS, body)
            for body in (
                b"\x00",
                b"\x00\xff6",
                b"\x00\x01",
                b"\x00\x02\xff6",
                b"\x02\x01\xff6",
                b"\x00\x0a\xff6",
                b"\x01\x01\xff2",
                b"\x00\x01\xff\xff",
                b"\x00\x00\xff",
                b"\x01\x01\xff\x04",
            )
        ),
        *((_FORM, body) for body in (b"x=1%3A6", b"d=", b"d=6", b"d=1%3A6&d=1%3A6", b"d=%FF")),
    ],
    4: [("text/plain", body) for body in (b"", b"6\x1e", b"\x1e6", b"6\x1e\x1e6", b"\xff\xfe")],
}


def frames(protocol: int) -> list[tuple[bytes, int]]:
    """For a websocket whose frames may have 1,000 bytes; and the code that it is closed with."""
    packets = [*_PACKETS, *_PACKETS_OF[protocol]]
    return [
        *_FRAMES,
        *_FRAMES_OF[protocol],
        *((b"".join(map(text, several)), 1000) for several in packets),
    ]


def bodies(protocol: int) -> list[tuple[str, bytes]]:
    """Content types and bodies of POSTs; forms are for a query with ``j=0``.

    An event of the name ``after`` stands behind the packets.
    """
    return [
        *_BODIES[protocol],
        *(
            ("text/plain", _payload(protocol, (*several, '42["after"]')))
            for several in (*_PACKETS, *_PACKETS_OF[protocol])
        ),
    ]


def _payload(protocol: int, packets: Packets) -> bytes:
    if protocol == 4:
        return "\x1e".join(packets).encode()
    return "".join(f"{len(packet)}:{packet}" for packet in packets).encode()
