"""Runs a scenario on several servers in turns and shows the numbers side by side."""

from __future__ import annotations

import argparse
import statistics

import uvloop

from benchmarks.relay.processes import Server
from benchmarks.relay.scenarios import Numbers, Scenario


def run(kind: str, scenario: Scenario, options: argparse.Namespace) -> Numbers:
    """Once, in fresh processes; the clients of the run end with its loop."""
    with Server(kind) as server:

        async def measured() -> Numbers:
            return await scenario(server, options)

        return uvloop.run(measured())


def show(name: str, results: dict[str, list[Numbers]]) -> None:
    """Medians, and the ratio of each to Node's."""
    print(f"\n{name}")
    medians = {
        kind: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for kind, runs in results.items()
    }
    for kind, numbers in medians.items():
        cells = []
        for key, value in numbers.items():
            node = medians.get("node", {}).get(key)
            ratio = f" ({value / node:.2f})" if node and kind != "node" else ""
            cells.append(
                f"{key} {value:,.2f}{ratio}" if value < 1000 else f"{key} {value:,.0f}{ratio}"
            )
        print(f"  {kind:12} " + "   ".join(cells), flush=True)


def compare(
    name: str, scenario: Scenario, servers: list[str], options: argparse.Namespace
) -> dict[str, list[Numbers]]:
    """``options.rounds`` times; shown, and answered by server."""
    results: dict[str, list[Numbers]] = {kind: [] for kind in servers}
    for _ in range(options.rounds):
        for kind in servers:  # in turns, so that all see the same noise
            results[kind].append(run(kind, scenario, options))
    show(name, results)
    return results
