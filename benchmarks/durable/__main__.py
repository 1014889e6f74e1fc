"""Runs the comparison and prints its table: ``python -m benchmarks.durable --help``.

One-to-one between 50 pairs. ``node`` keeps nothing; ``node-sqlite`` writes each message in a
transaction of its own with better-sqlite3, ``chat`` by group commit: both fsync it before it is
delivered or answered. Their files lie beside this module, so that they are on a disk where the
temporary folder is none.
"""

from __future__ import annotations

import argparse
import os

from benchmarks.relay.comparing import compare
from benchmarks.relay.processes import LOAD_CORE, install_node
from benchmarks.relay.scenarios import pairs

SERVERS = ["node", "node-sqlite", "chat-sqlite"]
IN_FLIGHT = (1, 10)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.durable",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=4, help="of measuring")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are shown")
    parser.add_argument("--eio", type=int, choices=(3, 4), default=4, help="Engine.IO protocol")
    parser.add_argument(
        "--login", type=int, choices=(0, 1), default=1, help="0: the original protocol"
    )
    options = parser.parse_args()
    options.idle = 0
    install_node("node")
    install_node("node-sqlite")
    os.sched_setaffinity(0, {LOAD_CORE})
    for in_flight in IN_FLIGHT:
        compare(
            f"pairs 50 x {in_flight}",
            lambda server, options, n=in_flight: pairs(server, options, 50, n),
            SERVERS,
            options,
        )


if __name__ == "__main__":
    main()
