"""Bytes in JSON travel beside it, and come back to their places."""

from typing import Any

import pytest

from pychat.server.engine.codec.packet import (
    AnyPacket,
    BinaryPacket,
    MalformedPacket,
    has_binary,
    with_attachments,
    without_binary,
)

PLAIN = [None, True, 1, 1.5, "text", [], {}, (), [1, ["a", None]], {"a": {"b": [1]}}, {1, 2}]


@pytest.mark.parametrize("data", PLAIN)
def test_what_has_no_bytes_stays_as_it_is(data: Any) -> None:
    assert has_binary(data) is False
    assert has_binary([data]) is False
    attachments: list[AnyPacket] = []
    copy = without_binary(data, attachments)
    assert copy == (list(data) if isinstance(data, tuple) else data)
    assert not attachments
    assert with_attachments(copy, []) == copy


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize(
    "around",
    [
        lambda data: data,
        lambda data: [data],
        lambda data: (1, data),
        lambda data: {"a": data},
        lambda data: [1, {"a": [[], (data, 2)], "b": data}, data],
    ],
)
def test_bytes_come_back_to_their_places(kind: Any, around: Any) -> None:
    data = around(kind(b"\x00\xff"))
    assert has_binary(data) is True
    attachments: list[AnyPacket] = []
    packet = without_binary(data, attachments)
    assert has_binary(packet) is False
    received = [each.data for each in attachments if isinstance(each, BinaryPacket)]
    assert {type(each) for each in received} == {bytes}
    assert len(received) == len(attachments)
    assert with_attachments(packet, received) == as_lists(around(b"\x00\xff"))


def as_lists(data: Any) -> Any:
    if isinstance(data, list | tuple):
        return [as_lists(each) for each in data]
    if isinstance(data, dict):
        return {key: as_lists(each) for key, each in data.items()}
    return data


def test_attachments_are_numbered_in_order() -> None:
    attachments: list[AnyPacket] = []
    assert without_binary({"a": b"one", "b": [b"two"]}, attachments) == {
        "a": {"_placeholder": True, "num": 0},
        "b": [{"_placeholder": True, "num": 1}],
    }
    placeholders = [{"_placeholder": True, "num": number} for number in (1, 0, 1)]
    assert with_attachments(placeholders, [b"one", b"two"]) == [b"two", b"one", b"two"]


@pytest.mark.parametrize("number", [2, -1, None, "0", 0.0, [0]])
def test_a_placeholder_needs_its_attachment(number: Any) -> None:
    with pytest.raises(MalformedPacket):
        with_attachments([{"_placeholder": True, "num": number}], [b"one", b"two"])
    with pytest.raises(MalformedPacket):
        with_attachments({"a": {"_placeholder": True}}, [b"one", b"two"])


def test_only_true_makes_a_placeholder() -> None:
    for value in (False, 1, "true", None):
        item = {"_placeholder": value, "num": 0}
        assert with_attachments(item, [b"one"]) == item
