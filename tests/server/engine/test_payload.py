"""Polling payloads as clients of every generation send and read them."""

import contextlib
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pychat.server.engine.codec.packet import BinaryPacket, MalformedPacket, text_packet
from pychat.server.engine.codec.payload import (
    DecoderV3,
    decode_jsonp,
    decode_v4,
    encode_jsonp,
    encode_v3,
    encode_v4,
)

TEXTS = ['42["a"]', '42["안녕 é"]', '42["😀"]', "2probe"]


def utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def as_2x(packets: list[str]) -> bytes:
    return "".join(f"{utf16_units(p)}:{p}" for p in packets).encode()


def as_1x(packets: list[str]) -> bytes:
    twice = [p.encode().decode("latin-1") for p in packets]
    return "".join(f"{len(p)}:{p}" for p in twice).encode()


def as_bytes(packets: list[str | bytes]) -> bytes:
    body = b""
    for packet in packets:
        data = packet.encode() if isinstance(packet, str) else b"\x04" + packet
        digits = bytes(int(d) for d in str(len(data)))
        body += bytes([isinstance(packet, bytes)]) + digits + b"\xff" + data
    return body


def test_v4_payloads() -> None:
    packets = [text_packet('42["한"]'.encode()), BinaryPacket(b"\x00\xff"), text_packet(b"6")]
    assert encode_v4(packets) == '42["한"]\x1ebAP8=\x1e6'.encode()
    assert list(decode_v4('42["한"]\x1ebAP8=\x1e6'.encode())) == ['42["한"]', "bAP8=", "6"]


def test_v3_sends_ascii_so_that_every_count_agrees() -> None:
    body, binary = encode_v3([text_packet('42["é😀"]'.encode()), text_packet(b"6")], base64=False)
    assert not binary
    assert body == b'24:42["\\u00e9\\ud83d\\ude00"]1:6'


@pytest.mark.parametrize(
    ("packet", "ascii"),
    [
        ('44/방/é😀,"Invalid 방"', '44/방/é😀,"Invalid \\ubc29"'),
        ('42/방,17["é",{"a":"/b,é"}]', '42/방,17["\\u00e9",{"a":"/b,\\u00e9"}]'),
        ('451-/방,["é",{"num":0}]', '451-/방,["\\u00e9",{"num":0}]'),
        ("40/방", "40/방"),
        ("41/방,", "41/방,"),
        ("3é😀", "3é😀"),
    ],
)
def test_v3_sends_what_is_not_json_as_it_is(packet: str, ascii: str) -> None:
    packets = [text_packet(packet.encode()), text_packet(b"6")]
    body, binary = encode_v3(packets, base64=False)
    assert binary
    assert body == as_bytes([ascii, "6"])
    # Where only text may travel, each client counts in its own way.
    assert encode_v3(packets, base64=True) == (as_2x([ascii, "6"]), False)
    assert encode_v3(packets, base64=True, encoded_twice=True) == (as_1x([ascii, "6"]), False)


def test_v3_sends_binary_as_byte_frames_or_base64() -> None:
    packets = [text_packet(b"42[]"), BinaryPacket(b"hi" * 6)]
    body, binary = encode_v3(packets, base64=False)
    assert binary
    assert body == b"\x00\x04\xff42[]" + b"\x01\x01\x03\xff\x04" + b"hi" * 6
    body, binary = encode_v3(packets, base64=True)
    assert not binary
    assert body == b"4:42[]18:b4aGloaWhpaGloaWhp"


def test_v3_sends_long_text_as_byte_frames() -> None:
    text = b"42" + b"x" * 40_000
    assert encode_v3([text_packet(text)], base64=False) == (
        b"\x00\x04\x00\x00\x00\x02\xff" + text,
        True,
    )
    assert encode_v3([text_packet(text)], base64=True) == (b"40002:" + text, False)
    frame_head = 4
    for size, binary in ((32 * 1024 - frame_head, False), (32 * 1024 - frame_head + 1, True)):
        assert encode_v3([text_packet(b"x" * size)], base64=False)[1] is binary


@pytest.mark.parametrize("encode", [as_1x, as_2x])
def test_v3_text_of_both_generations(encode: object) -> None:
    assert list(DecoderV3().text(encode(TEXTS))) == TEXTS  # type: ignore[operator]


def test_v3_a_generation_is_remembered() -> None:
    decoder = DecoderV3()
    # What 2.x sends here could be what 1.x makes of é, had it not shown before what it is.
    assert list(decoder.text(as_2x(["4한", "4Ã©"]))) == ["4한", "4Ã©"]
    decoder = DecoderV3()
    assert list(decoder.text(as_1x(["4한"]))) == ["4한"]
    with pytest.raises(MalformedPacket):
        list(decoder.text(as_2x(["4é"])))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_v3_any_text_of_1x(packets: list[str]) -> None:
    assert list(DecoderV3().text(as_1x(packets))) == packets


@given(st.lists(st.text(st.characters(min_codepoint=0x100, exclude_categories=["Cs"]), min_size=1)))
def test_v3_any_wide_text_of_2x(packets: list[str]) -> None:
    packets.append("4한")
    assert list(DecoderV3().text(as_2x(packets))) == packets


def test_v3_byte_frames_may_carry_text() -> None:
    packets: list[str | bytes] = ['42["한😀"]', b"\x00\x01", "2", b"x" * 1000]
    packets += ["x" * size for size in range(1, 100)]
    assert list(DecoderV3().binary(as_bytes(packets))) == packets


@pytest.mark.parametrize("before", ["", "2:😀", "1:é2:😀4:4😀한2:😀2:😀"])
def test_v3_lengths_have_ten_digits_at_most(before: str) -> None:
    packets = list(DecoderV3().text(f"{before}0000000002:4x".encode()))
    assert packets[-1] == "4x"
    with pytest.raises(MalformedPacket):
        list(DecoderV3().text(f"{before}00000000002:4x".encode()))
    digits = b"\x00" * 9 + b"\x02"
    assert list(DecoderV3().binary(b"\x00" + digits + b"\xff4x")) == ["4x"]
    with pytest.raises(MalformedPacket):
        list(DecoderV3().binary(b"\x00\x00" + digits + b"\xff4x"))


def test_v3_counts_two_for_each_character_from_u_10000() -> None:
    for last_of_one, first_of_two in ("\uffff\U00010000", "é\U0010ffff"):
        for text in (last_of_one, first_of_two, last_of_one + first_of_two):
            packets = [text, "4한", text]
            assert list(DecoderV3().text(as_2x(packets))) == packets


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"4",
        b":4",
        b"22",
        b"0:",
        b"-1:4",
        b"5:4",
        b"9999999999999:4",
        b"1:4x",
        b"\xff",
        "1:😀".encode(),
        "٣:444".encode(),
    ],
)
def test_v3_malformed_text_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedPacket):
        list(DecoderV3().text(body))


@pytest.mark.parametrize(
    "body",
    [
        b"\x00",
        b"\x00\xff4",
        b"\x00\x01",
        b"\x00\x02\xff4",
        b"\x02\x01\xff4",
        b"\x02\x01\xff\x04",
        b"\x00\x0a\xff4444444444",
        b"\x00\xff\xff4",
        b"\x00\x0a\xff4",
        b"\x01\x01\xff2",
        b"\x00\x01\xff\xff",
        b"\x00\x00\xff",
    ],
)
def test_v3_malformed_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedPacket):
        list(DecoderV3().binary(body))


@pytest.mark.parametrize("body", [b"", b"4\x1e", b"\x1e4", b"4\x1e\x1e4", b"\xff"])
def test_v4_malformed_payloads_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedPacket):
        list(decode_v4(body))


@given(st.binary())
def test_no_body_does_anything_but_be_refused(body: bytes) -> None:
    for decode in (decode_v4, DecoderV3().text, DecoderV3().binary):
        with contextlib.suppress(MalformedPacket):
            list(decode(body))
    with contextlib.suppress(MalformedPacket):
        decode_jsonp(body)


def test_jsonp_answers_are_scripts() -> None:
    script = encode_jsonp(b'12:42["\\u2028"]', "7").decode()
    assert script.startswith("___eio[7](")
    assert script.endswith(");")
    assert json.loads(script[len("___eio[7](") : -2]) == '12:42["\\u2028"]'


@pytest.mark.parametrize(
    "body", [b"", b"d", b"e=1%3A4", b"d=1%3A4&d=1%3A4", b"d=1%3A4&e", b"d=%FF", b"d=1:\xff"]
)
def test_jsonp_bodies_are_forms_with_one_field(body: bytes) -> None:
    with pytest.raises(MalformedPacket):
        decode_jsonp(body)


@pytest.mark.parametrize("text", ["plain", "new\nline", r"escaped\nnewline", "한 & = + %"])
def test_jsonp_forms(text: str) -> None:
    # As the 2.x client does: an escaped newline gets one more backslash, a real one is escaped.
    sent = text.replace("\\n", "\\\n").replace("\n", "\\n")
    assert decode_jsonp(urlencode({"d": sent}).encode()).decode() == text
