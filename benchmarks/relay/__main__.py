"""Runs the comparison and prints its table: ``python -m benchmarks.relay --help``."""

from __future__ import annotations

import argparse
import os
import statistics

from benchmarks.relay.comparing import compare
from benchmarks.relay.processes import LOAD_CORE, install_node
from benchmarks.relay.scenarios import SCENARIOS, at_rate


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relay", description=__doc__)
    parser.add_argument(
        "--servers", default="node,chat", help="node, chat, engine, asyncserver, upstream"
    )
    parser.add_argument("--only", default="", help="scenarios whose name starts so")
    parser.add_argument("--seconds", type=float, default=4, help="of measuring")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are shown")
    parser.add_argument("--eio", type=int, choices=(3, 4), default=4, help="Engine.IO protocol")
    parser.add_argument(
        "--login", type=int, choices=(0, 1), default=1, help="0: the original protocol"
    )
    parser.add_argument("--idle", type=int, default=0, help="idle clients beside the pairs")
    options = parser.parse_args()
    install_node("node")
    os.sched_setaffinity(0, {LOAD_CORE})
    servers = options.servers.split(",")
    maximum = 0.0
    for name, scenario in SCENARIOS.items():
        if not name.startswith(options.only):
            continue
        results = compare(name, scenario, servers, options)
        if name == "pairs 50 x 10" and "node" in servers:
            maximum = statistics.median(numbers["messages/s"] for numbers in results["node"])
    if maximum:
        rate = maximum / 2
        name = f"pairs 50 at {rate:,.0f} messages/s, half of Node's maximum"
        compare(name, lambda server, options: at_rate(server, options, rate), servers, options)


if __name__ == "__main__":
    main()
