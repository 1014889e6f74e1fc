"""Prints how long the commands take to be there, and the goal beside each.

``python -m benchmarks.startup [ROUNDS]``: the median of so many rounds (10), and the best of them.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from tempfile import TemporaryDirectory

import pexpect

from tests.processes import PYCHAT, Serving, run_pychat

PASSWORD = "password of alice"


def command(*arguments: str) -> float:
    """Seconds that the command takes to its end."""
    start = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def serve_to_health() -> float:
    """Seconds from ``pychat serve`` on a store that is there to the first 200 of /healthz."""
    port = free_port()
    start = time.perf_counter()
    server = subprocess.Popen([*PYCHAT, "serve", "--port", str(port)], stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz"):
                    return time.perf_counter() - start
            except urllib.error.URLError:
                time.sleep(0.005)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def connect_to_paint(url: str) -> float:
    """Seconds from ``pychat connect`` (logged in before) to the conversation list on the screen."""
    start = time.perf_counter()
    terminal = pexpect.spawn(
        *(PYCHAT[0], [*PYCHAT[1:], "connect", "--user", "alice", "--server", url]),
        dimensions=(30, 100),
        timeout=20,
    )
    try:
        # It first asks what it runs on, and waits for the answer that every usual terminal gives.
        if terminal.expect_exact(["\x1b]11;?", "Everyone"]) == 0:
            terminal.send("\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?62;4c")
            terminal.expect_exact("Everyone")
        return time.perf_counter() - start
    finally:
        terminal.close(force=True)


def measure(name: str, goal: str, once: Callable[[], float], rounds: int) -> float:
    once()  # the first one fills the disk's cache
    times = [once() for _ in range(rounds)]
    median = statistics.median(times)
    print(f"{name:<44}{median * 1000:8.0f}{min(times) * 1000:8.0f}   {goal}", flush=True)
    return median


def main(rounds: int) -> None:
    print(f"{'ms':<44}{'median':>8}{'best':>8}   goal")
    click = measure(
        'python -c "import click"',
        "",
        lambda: command(sys.executable, "-c", "import click"),
        rounds,
    )
    help = measure(
        "pychat --help", f"< {3 * click * 1000:.0f}", lambda: command(*PYCHAT, "--help"), rounds
    )
    print(f"{'':<44}{help / click:7.1f} times as long; at most 3")
    measure("pychat serve to /healthz", "< 1000", serve_to_health, rounds)
    with Serving() as server:
        run_pychat(
            *("send", "--user", "alice", "--to", "ALL", "hello", "--server", server.url),
            environment={"PYCHAT_PASSWORD": PASSWORD},
        )
        measure(
            "pychat connect to first paint", "< 600", lambda: connect_to_paint(server.url), rounds
        )


if __name__ == "__main__":
    # What is installed has its bytecode beside it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with TemporaryDirectory() as home:
        for kind in ("DATA", "CONFIG", "STATE", "CACHE"):
            os.environ[f"XDG_{kind}_HOME"] = home
        os.environ["TERM"] = "xterm-256color"
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
