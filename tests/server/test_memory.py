"""Freed memory is returned to the system once there is enough."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

from pychat.server.memory import WORTH_IT, Trimmer, trimmer


class Heap:
    """glibc's, as far as it is asked."""

    def __init__(self) -> None:
        self.free = self.resident = self.trims = 0

    def trim(self) -> None:
        self.trims += 1


def test_it_trims_once_for_what_became_free() -> None:
    heap = Heap()
    trims = Trimmer(lambda: heap.free, lambda: heap.resident, heap.trim)
    for free, resident, trimmed in (
        (1, 1, 0),
        (10, 10, 1),
        # Free still, but given back.
        (10, 1, 0),
        (10.5, 1.5, 0),
        # In use again, and free again, between two checks and not.
        (10, 9, 1),
        (2, 9, 0),
        (4, 9, 1),
        # A server that grows.
        (0.5, 90, 0),
    ):
        heap.free, heap.resident = int(free * WORTH_IT), int(resident * WORTH_IT)
        heap.trims = 0
        trims.check()
        assert heap.trims == trimmed, (free, resident)
        heap.resident = heap.resident - heap.free * heap.trims


@pytest.mark.skipif(trimmer() is None, reason="the C library is not a new glibc")
def test_the_systems_memory_shrinks() -> None:
    def resident() -> int:
        fields = Path("/proc/self/statm").read_text().split()
        return (int(fields[1]) - int(fields[2])) * 4096

    trims = trimmer()
    assert trims is not None
    malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
    malloc.restype, free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = []
    for _ in range(1500):
        block = malloc(60_000)
        ctypes.memset(block, 1, 60_000)
        # Behind each one that stays, so that no end of the heap is free.
        blocks.append((block, malloc(3000)))
    for block, _ in blocks:
        free(block)
    full = resident()
    trims.check()
    assert full - resident() > 50_000_000
    for _, small in blocks:
        free(small)


def test_elsewhere_than_with_glibc_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert trimmer() is None
    monkeypatch.setattr(sys, "platform", "linux")
    # musl has neither function.
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert trimmer() is None
