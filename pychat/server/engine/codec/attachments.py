"""Binary data inside JSON: it travels beside the packet as attachments (Socket.IO protocol)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pychat.server.engine.codec.packet import AnyPacket, BinaryPacket, MalformedPacket

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
