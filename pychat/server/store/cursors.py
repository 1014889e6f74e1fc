"""Opaque cursors of paged answers: a few numbers that say where the next page begins."""

from __future__ import annotations


def encode_cursor(*numbers: int) -> str:
    """Raises nothing; ``decode_cursor`` gives the numbers back."""
    return ".".join(map(str, numbers))


def decode_cursor(cursor: str, count: int) -> list[int]:
    """Raises ValueError for what ``encode_cursor`` with so many numbers did not make."""
    parts = cursor.split(".")
    if len(parts) != count or not all(
        part.isascii() and part.isdigit() and len(part) <= 18 for part in parts
    ):
        raise ValueError("not a cursor of this list")
    return [int(part) for part in parts]
