"""What ``--durability`` promises, seen from the kernel: how often a server waits for the disk."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pychat.client import ChatClient
from tests.processes import PYCHAT, Serving
from tests.requirements import require_program

pytestmark = pytest.mark.e2e

MESSAGES = 30


@pytest.mark.parametrize(
    ("durability", "least", "most"), [("full", MESSAGES, None), ("normal", 0, 5)]
)
async def test_waits_for_the_disk(
    tmp_path: Path, durability: str, least: int, most: int | None
) -> None:
    trace = tmp_path / "trace"
    tracing = tracer(trace)
    options = ("--store", f"sqlite:///{tmp_path}/chat.db", "--durability", durability)
    with Serving(*options, program=(*tracing, *PYCHAT)) as server:
        async with (
            ChatClient(server.url, user="bob", password="password of bob"),
            ChatClient(server.url, user="alice", password="password of alice") as alice,
        ):
            before = waits(trace)
            for number in range(MESSAGES):
                await alice.send("bob", f"number {number}")
            after = waits(trace) - before
    assert least <= after <= (most or after)


def tracer(trace: Path) -> tuple[str, ...]:
    strace = require_program("strace")
    command = (strace, "-D", "-f", "-qq", "-y", "-e", "trace=fsync,fdatasync", "-o", str(trace))
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody trace a process")
    return command


def waits(trace: Path) -> int:
    """For the store's log of transactions."""
    # A wait during which another thread was traced is written in two lines.
    return sum("chat.db-wal" in line and "sync(" in line for line in trace.read_text().splitlines())
