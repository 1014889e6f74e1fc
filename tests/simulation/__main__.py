"""Runs schedules on every core: ``python -m tests.simulation 60s``, ``… 5000``, ``… --seed 17``."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    as_completed,
    wait,
)

from tests.simulation.run import Simulation

CHUNK = 50
"""Schedules that a worker runs between two reports."""
SHOWN = 20
"""Failures of one rule that are listed."""

Outcome = tuple[int, int, Counter[str], list[tuple[int, str]]]
"""Schedules, steps, faults by kind, and the seeds that failed."""


def run_chunk(first: int, ignored: frozenset[str]) -> Outcome:
    steps, faults, failed = 0, Counter[str](), []
    gc.disable()
    for seed in range(first, first + CHUNK):
        simulation = Simulation(seed, ignored=ignored)
        simulation.run()
        steps += simulation.loop.steps
        faults += simulation.faults
        if simulation.violations:
            failed.append((seed, simulation.violations[0]))
    gc.collect()
    return CHUNK, steps, faults, failed


def seeds(first: int, count: int | None, seconds: float | None) -> Iterator[int]:
    end = None if seconds is None else time.monotonic() + seconds
    last = None if count is None else first + count
    while (end is None or time.monotonic() < end) and (last is None or first < last):
        yield first
        first += CHUNK


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("amount", nargs="?", default="1000", help="a number, or seconds as in 60s")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="replay this one, and print what happens")
    parser.add_argument("--ignore", action="append", default=[], help="a rule not to look at")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    ignored = frozenset(options.ignore)
    if options.seed is not None:
        return replay(options.seed, ignored)
    timed = options.amount.endswith("s")
    amount = float(options.amount.removesuffix("s"))
    chunks = seeds(options.first, None if timed else int(amount), amount if timed else None)
    return run_all(chunks, ignored, options.jobs)


def run_all(chunks: Iterator[int], ignored: frozenset[str], jobs: int) -> int:
    """Until there are no more, or Ctrl+C is pressed; prints what has failed, and the sums."""
    began = time.monotonic()
    number, steps, faults, failures = 0, 0, Counter[str](), Counter[str]()

    def note(outcomes: Iterable[Future[Outcome]]) -> None:
        nonlocal number, steps, faults
        for outcome in outcomes:
            schedules, steps_of_them, faults_of_them, failed = outcome.result()
            number += schedules
            steps += steps_of_them
            faults += faults_of_them
            for seed, text in failed:
                rule = text.partition(":")[0]
                failures[rule] += 1
                if failures[rule] <= SHOWN:
                    print(f"seed {seed}: {text[:300]}", flush=True)

    with ProcessPoolExecutor(jobs, initializer=leave_interrupts) as pool:
        running: set[Future[Outcome]] = set()
        try:
            for seed in chunks:
                running.add(pool.submit(run_chunk, seed, ignored))
                if len(running) > 2 * jobs:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    note(done)
            note(as_completed(running))
        except KeyboardInterrupt:
            leave_interrupts()  # a second one would break the shutdown, which then never ends
            pool.shutdown(cancel_futures=True)
    seconds = time.monotonic() - began
    print(f"{number} schedules, {steps} steps in {seconds:.0f} s ({number / seconds:.0f}/s)")
    for kind, times in sorted(faults.items()):
        print(f"  {kind}: {times}")
    print(f"failures: {dict(failures) or 'none'}")
    return 1 if failures else 0


def leave_interrupts() -> None:
    """Ctrl+C is for the process that counts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def replay(seed: int, ignored: frozenset[str]) -> int:
    simulation = Simulation(seed, trace=True, ignored=ignored)
    simulation.run()
    print("\n".join(simulation.ledger.trace or []))
    print(f"digest {simulation.ledger.digest:012x}")
    print("\n".join(simulation.violations) or "no rule is broken")
    return 1 if simulation.violations else 0


if __name__ == "__main__":
    sys.exit(main())
