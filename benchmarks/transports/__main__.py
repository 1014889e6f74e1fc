"""``python -m benchmarks.transports``: measures, prints a table, and draws with ``--picture``."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from statistics import median

from benchmarks.transports.measuring import TRANSPORTS, Measured, measure
from benchmarks.transports.picture import draw


def middle(rounds: list[Measured]) -> Measured:
    """The median of each figure."""
    first = rounds[0]
    figures = {
        name: median(getattr(each, name) for each in rounds) for name in ("p50", "p95", "headers")
    }
    return Measured(
        first.transport, first.clients, sum(each.messages for each in rounds), **figures
    )


def table(found: list[Measured]) -> str:
    rows = [
        "| clients | transport | p50 ms | p95 ms | header bytes a message |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {each.clients} | {each.transport} | {each.p50:.2f} | {each.p95:.2f} "
        f"| {each.headers:,.0f} |"
        for each in found
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transports")
    parser.add_argument("--clients", default="1,10,100,1000")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", type=Path, metavar="FILE.svg")
    options = parser.parse_args()
    found = []
    for clients in map(int, options.clients.split(",")):
        # In turn, so that both meet the same machine.
        rounds = [
            [asyncio.run(measure(transport, clients, options.seconds)) for transport in TRANSPORTS]
            for _ in range(options.rounds)
        ]
        found += [middle(list(each)) for each in zip(*rounds, strict=True)]
    print(table(found))
    if options.picture:
        options.picture.write_text(draw(found), "utf-8")


if __name__ == "__main__":
    main()
