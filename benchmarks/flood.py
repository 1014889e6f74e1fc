"""Ten thousand messages in ten seconds, and whether one can still write: ``-m benchmarks.flood``.

A real server, a real terminal (a pty) with the client of alice in it, and bob, who sends 1,000
messages a second for ten seconds. All the while a key is typed ten times a second, and the time
until the terminal gets its letter is taken; before that, for three seconds, without the flood.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pexpect
import socketio

from tests.processes import PYCHAT, Serving, create_account

RATE = 1000
SECONDS = 10
CALM_SECONDS = 3
BURST = 20
KEYS_PER_SECOND = 10
FIRST_LETTER = 0x4E00
"""Each key is another Chinese letter: none was on the screen before."""


async def send(url: str) -> None:
    """The flood: prints how many messages it has sent, and in how many seconds."""
    bob = socketio.AsyncClient()
    await bob.connect(url, transports=["websocket"])
    login = {"id": "bob", "password": "-", "alias": "Bob", "today": ""}
    assert (await bob.call("login", login))["code"] == "200"
    start, sent = time.monotonic(), 0
    while sent < RATE * SECONDS:
        for _ in range(BURST):
            sent += 1
            text = f"message {sent} of a flood that does not care who reads it"
            message = {"sender": "bob", "recepient": "alice", "command": "chat", "type": "text"}
            await bob.emit("message", {**message, "data": text})
        await asyncio.sleep(max(0.0, start + sent / RATE - time.monotonic()))
    print(sent, time.monotonic() - start)
    await asyncio.sleep(1)
    await bob.disconnect()


def type_for(terminal: pexpect.spawn[str], seconds: float, letters: Iterator[str]) -> list[float]:
    """Milliseconds from each key to its letter."""
    costs: list[float] = []
    end = time.monotonic() + seconds
    while (start := time.monotonic()) < end:
        letter = next(letters)
        terminal.send(letter)
        terminal.expect_exact(letter)
        costs.append((time.monotonic() - start) * 1000)
        with contextlib.suppress(pexpect.TIMEOUT):  # reads what is painted meanwhile
            rest = start + 1 / KEYS_PER_SECOND - time.monotonic()
            terminal.expect_exact("\0", timeout=max(0.0, rest))
    return costs


def row(name: str, costs: list[float]) -> str:
    ordered = sorted(costs)
    p95 = ordered[int(len(ordered) * 0.95)]
    return (
        f"{name:8} {len(costs)} keys, ms to the letter: median {statistics.median(costs):.1f}, "
        f"95 % {p95:.1f}, most {ordered[-1]:.1f}"
    )


def memory(pid: int) -> float:
    """Megabytes of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) / 1024


def main() -> None:
    if len(sys.argv) > 1:
        asyncio.run(send(sys.argv[1]))
        return
    letters = map(chr, range(FIRST_LETTER, FIRST_LETTER + 10_000))
    with (
        TemporaryDirectory() as home,
        Serving("--store", "memory:", "--accounts", "open", "--no-limits") as server,
    ):
        create_account(server.url, "alice", "")
        command = [*PYCHAT, "connect", "--user", "alice", "--server", server.url, "--with", "bob"]
        environment = {**os.environ, "HOME": home, "PYCHAT_PASSWORD": "-", "TERM": "xterm-256color"}
        terminal = pexpect.spawn(
            command[0], command[1:], dimensions=(40, 100), env=environment, encoding="utf-8",
            timeout=20,
        )  # fmt: skip
        terminal.delaybeforesend = None
        terminal.expect_exact("Message bob")
        calm = type_for(terminal, CALM_SECONDS, letters)
        flood = [sys.executable, "-m", "benchmarks.flood", server.url]
        with subprocess.Popen(flood, stdout=subprocess.PIPE, text=True) as sender:
            flooded = type_for(terminal, SECONDS, letters)
            assert sender.stdout is not None
            sent, seconds = sender.stdout.read().split()
        terminal.setwinsize(39, 100)  # paints everything again
        terminal.expect_exact(f"message {sent} of")
        print(row("calm", calm))
        print(row("flooded", flooded))
        print(
            f"{sent} messages in {float(seconds):.1f} s, the last one is on the screen; "
            f"{memory(terminal.pid):.0f} MB"
        )
        terminal.send("\x11")
        terminal.expect(pexpect.EOF)


if __name__ == "__main__":
    main()
