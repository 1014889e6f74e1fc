"""Socket.IO packets are read strictly and encoded once."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pychat.server.engine.codec.frame import close_frame, ping_frame, pong_frame
from pychat.server.engine.codec.packet import (
    BinaryPacket,
    MalformedPacket,
    SocketPacket,
    encode_ack,
    encode_event,
    read_base64,
    read_event,
    read_packet,
    text_packet,
)


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("40", SocketPacket("0", 0, "/", "", None, "")),
        ('40{"token":"x"}', SocketPacket("0", 0, "/", "", None, '{"token":"x"}')),
        ("40/admin?a=b,", SocketPacket("0", 0, "/admin", "a=b", None, "")),
        ("40/admin", SocketPacket("0", 0, "/admin", "", None, "")),
        ("41", SocketPacket("1", 0, "/", "", None, "")),
        ('42["a"]', SocketPacket("2", 0, "/", "", None, '["a"]')),
        ('4212["a"]', SocketPacket("2", 0, "/", "", 12, '["a"]')),
        ('42/n,7["a"]', SocketPacket("2", 0, "/n", "", 7, '["a"]')),
        (f'42{2**53}["a"]', SocketPacket("2", 0, "/", "", 2**53, '["a"]')),
        ('420000000000000001["a"]', SocketPacket("2", 0, "/", "", 1, '["a"]')),
        ('451-["a",{}]', SocketPacket("5", 1, "/", "", None, '["a",{}]')),
        ('4510-/n,3["a"]', SocketPacket("5", 10, "/n", "", 3, '["a"]')),
    ],
)
def test_packets_are_read(text: str, packet: SocketPacket) -> None:
    assert read_packet(text) == packet


@pytest.mark.parametrize(
    "text",
    [
        *("4", "47", "4x", "", '45["no count"]', '421-["count"]', '4511-["too many"]'),
        *("429" + "9" * 20, f'42{2**53 + 1}["a"]', '4200000000000000001["a"]'),
    ],
)
def test_malformed_packets_are_refused(text: str) -> None:
    with pytest.raises(MalformedPacket):
        read_packet(text)


@pytest.mark.parametrize(
    ("data", "event"),
    [
        ('["a"]', ("a", b"null")),
        ('["a",1]', ("a", b"1")),
        ('["a", {"b":"한"} ,2]', ("a", '{"b":"한"}'.encode())),
        ('["\\u0061\\"",1]', ('a"', b"1")),
        ("[7,1]", ("7", b"1")),
        ('["a",{"b":"\\ud83d\\ude00"}]', ("a", b'{"b":"\\ud83d\\ude00"}')),
    ],
)
def test_an_event_is_a_name_and_its_first_argument(data: str, event: tuple[str, bytes]) -> None:
    assert read_event(data) == event


@pytest.mark.parametrize(
    "data",
    [
        "",
        "[]",
        "{}",
        '"a"',
        "[null]",
        "[{}]",
        '["a",]',
        '["a"',
        '["a"]]',
        '["a",NaN]',
        '["a",Infinity]',
        '["a","\x01"]',
        '["a","\\ud800"]',
        '["a",{"b":"\\udc00x"}]',
        '["a",{"b":"\\ud800\\u0041"}]',
        '["a",' + "[" * 40 + "]" * 40 + "]",
        '["a",' + '{"b":' * 40 + "1" + "}" * 41,
        '["a",' + "[" * 100_000,
        '["connect"]',
        '["disconnect"]',
        '["connect_error",1]',
        '["disconnecting"]',
        '["newListener"]',
        '["\\u0063onnect",1]',
        '["removeListener","a",2]',
    ],
)
def test_what_is_no_event_is_refused(data: str) -> None:
    with pytest.raises(MalformedPacket):
        read_event(data)


def test_json_is_32_deep_at_most_and_any_number_of_brackets_wide() -> None:
    wide = "[]," * 100
    assert read_event(f'["a",[{wide}{"[" * 30}{"]" * 30}]]')[0] == "a"
    with pytest.raises(MalformedPacket, match="deeper than 32"):
        read_event(f'["a",[{wide}{"[" * 31}{"]" * 31}]]')


def test_brackets_in_strings_are_not_depth() -> None:
    assert read_event('["a","' + "[{" * 100 + '\\""]')[0] == "a"


def test_binary_data_as_text() -> None:
    for data in (b"", b"\x00", b"\xff\xfe\xfd", b"any data"):
        packet = BinaryPacket(data)
        for protocol in (3, 4):
            assert read_base64(packet.base64(protocol).decode(), protocol) == data


@pytest.mark.parametrize("data", ["AA=", "AAA", "A A=", "AA!AA=", "한글==", "AA==AA=="])
def test_what_is_no_base64_is_refused(data: str) -> None:
    for head, protocol in (("b4", 3), ("b", 4)):
        with pytest.raises(MalformedPacket):
            read_base64(head + data, protocol)


@pytest.mark.parametrize("head", ["b", "b2", "bA"])
def test_only_messages_are_binary(head: str) -> None:
    with pytest.raises(MalformedPacket, match="only messages"):
        read_base64(head, 3)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.e2e
@given(st.text("abc한😀", min_size=1), json_values, st.booleans())
def test_every_event_comes_back(name: str, value: object, escaped: bool) -> None:
    text = json.dumps([name, value], ensure_ascii=escaped)
    event, payload = read_event(text)
    assert (event, json.loads(payload)) == (name, value)


@given(st.text())
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    for read in (read_packet, read_event):
        with contextlib.suppress(MalformedPacket):
            read(text)
    for protocol in (3, 4):
        with contextlib.suppress(MalformedPacket):
            read_base64(text, protocol)


def test_events_and_acks_are_encoded() -> None:
    assert encode_event("a", b'{"b":1}').body == b'42["a",{"b":1}]'
    assert encode_event('q"', b"1").body == b'42["q\\"",1]'
    assert encode_ack(3, b'{"b":1}').body == b'433[{"b":1}]'


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 100_000])
def test_frames_carry_their_length(size: int) -> None:
    for packet, first in ((text_packet(b"x" * size), 0x81), (BinaryPacket(b"x" * size), 0x82)):
        frame = packet.frame_for(4)
        assert frame[0] == first
        length, header = frame[1], 2
        if length == 126:
            length, header = int.from_bytes(frame[2:4], "big"), 4
        elif length == 127:
            length, header = int.from_bytes(frame[2:10], "big"), 10
        assert length == size
        assert frame[header:] == b"x" * size
    assert text_packet(b"x" * size).body == b"x" * size
    # Engine.IO 3 writes the packet type before binary data, also when the frame is asked for again.
    binary = BinaryPacket(b"x" * size)
    for _ in range(2):
        assert binary.frame_for(3) == BinaryPacket(b"\x04" + b"x" * size).frame_for(4)
    assert binary.size == size


def test_control_frames() -> None:
    assert ping_frame(b"hi") == b"\x89\x02hi"
    assert pong_frame(b"hi") == b"\x8a\x02hi"
    assert close_frame(1001) == b"\x88\x02\x03\xe9"


def test_ascii_is_the_same_json() -> None:
    packet = encode_event("한", '"é 😀 𝄞"'.encode())
    assert packet.ascii.isascii()
    assert json.loads(packet.ascii[2:]) == json.loads(packet.body[2:])
