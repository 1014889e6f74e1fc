"""Mutation testing: change the code in one place, and see whether a test fails.

``python -m scripts.mutants 60 --seed 1`` tries a random sample of 60 mutants of the modules that
``[tool.mutants]`` in pyproject.toml names; ``--all`` tries all. The tests are collected
once. For each mutant, a forked process changes the imported code and runs the tests that execute
the changed lines until one fails: first those that are quick and have noticed many mutants. The
lines that each test executes are measured once, and again when the code or the tests change.

``tests/mutants.toml`` lists changes that make no difference. They are reported apart.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Literal, TypeAlias

import coverage
import hypothesis
import pytest

from scripts.mutations import Mutant, change_functions, living_functions, mutants_of

PROJECT = Path(__file__).parent.parent
ACCEPTED = PROJECT / "tests" / "mutants.toml"
MEASURED_TEST_SECONDS = 300
"""A test that takes longer has failed, while the executed lines are recorded."""
TEST_SECONDS = 5.0
"""A test of a mutant that takes longer, plus ten times what it took without a change, has failed:
the mutant waits forever."""
SURVIVING = ("survived", "not covered", "not tried")

Outcome: TypeAlias = Literal[
    "killed", "timeout", "survived", "not covered", "not tried", "accepted"
]
Outcomes: TypeAlias = dict[Mutant, Outcome]


# --- which tests execute which lines
class Coverage:
    """The tests that execute each line, and how long each takes."""

    def __init__(self, folder: Path, modules: list[str], tests: list[str]) -> None:
        """Measure, unless it was done for exactly this code, in ``folder``."""
        name = _digest([*modules, *tests])
        data, report = folder / f"coverage.{name}", folder / f"report.{name}.xml"
        if not report.exists():
            print("measuring which tests execute which lines", flush=True)
            run = [sys.executable, "-m", "pytest", *pytest_options(MEASURED_TEST_SECONDS), *tests]
            run += [*(f"--cov={module}" for module in modules)]
            run += ["--cov-context=test", "--cov-report=", "-n", str(os.cpu_count() or 1)]
            run += [f"--junitxml={report}", "-o", "junit_family=xunit1"]
            environment = os.environ | {"COVERAGE_FILE": str(data)}
            subprocess.run(run, cwd=PROJECT, env=environment, check=False)
        self._data = coverage.CoverageData(str(data))
        self._data.read()
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()
        for case in ET.parse(report).iter("testcase"):
            test = f"{case.get('file')}::{case.get('name')}"
            self._seconds[test] = float(case.get("time", "1"))
            if case.find("failure") is not None or case.find("error") is not None:
                self._failed.add(test)
        if self._failed:
            print("not used, because they fail without a change:", *sorted(self._failed))

    def tests(self, mutant: Mutant) -> set[str]:
        """Return the tests that execute the changed lines."""
        by_line = self._data.contexts_by_lineno(str(PROJECT / mutant.path))
        contexts = {context for line in mutant.lines for context in by_line.get(line, ())}
        # A context is the test's id, a bar, and setup, run or teardown.
        return {context.rpartition("|")[0] for context in contexts} - {""} - self._failed

    def seconds(self, test: str) -> float:
        return self._seconds.get(test, 1.0)


def _digest(arguments: list[str]) -> str:
    digest = hashlib.sha256(repr(arguments).encode())
    for folder in ("pychat", "tests"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            digest.update(str(path.relative_to(PROJECT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def pytest_options(test_seconds: int) -> list[str]:
    return ["-q", "-p", "no:cacheprovider", "-m", "not e2e", f"--timeout={test_seconds}"]


# --- trying mutants
class Trials:
    """A pytest plugin that tries mutants, each in a forked process, instead of running the tests.

    ``accepted``: whether a change is known to make no difference.
    """

    def __init__(
        self,
        mutants: list[Mutant],
        sources: dict[str, bytes],
        coverage: Coverage,
        accepted: Callable[[Mutant], bool],
        jobs: int,
    ) -> None:
        self._mutants, self._sources, self._coverage = mutants, sources, coverage
        self._accepted, self._jobs = accepted, jobs
        self._kills: Counter[str] = Counter()
        self._failed = ""
        self.outcomes: Outcomes = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._failed:
            self._failed = report.nodeid

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        for path in self._sources:
            module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            importlib.import_module(module)
        self._functions = living_functions({str(PROJECT / path) for path in self._sources})
        fork = get_context("fork")
        trying: dict[Connection, tuple[Mutant, ForkProcess, float]] = {}
        for mutant in [*self._mutants, *[None] * self._jobs]:
            if mutant is not None:
                tests = [items[test] for test in self._ordered(mutant) if test in items]
                if not tests:
                    self._note(mutant, "not covered")
                    continue
                result, told = fork.Pipe(duplex=False)
                process = fork.Process(target=self._try, args=(mutant, tests, told), daemon=True)
                process.start()
                told.close()
                # A loop that never ends may swallow the failure of its test's own timeout.
                seconds = 30 + 10 * sum(self._coverage.seconds(test.nodeid) for test in tests)
                trying[result] = mutant, process, time.monotonic() + seconds
            while len(trying) >= (self._jobs if mutant is not None else 1):
                self._wait_for_one(trying)
        return True

    def _ordered(self, mutant: Mutant) -> list[str]:
        """The tests to run: first those that are quick and have noticed many mutants."""
        return sorted(
            self._coverage.tests(mutant),
            key=lambda test: (
                (0.01 + self._coverage.seconds(test)) / (1 + self._kills[test]),
                test,
            ),
        )

    def _longest(self, test: pytest.Item) -> float:
        return TEST_SECONDS + 10 * self._coverage.seconds(test.nodeid)

    def _try(self, mutant: Mutant, tests: list[pytest.Item], result: Connection) -> None:
        """Run the tests on the mutant, until one fails."""
        source, path = self._sources[mutant.path], PROJECT / mutant.path
        try:
            changed = change_functions(self._functions, path, source, mutant.apply(source))
        except (ValueError, SyntaxError) as error:
            changed = False
            print(f"{mutant}: {error}", file=sys.__stdout__, flush=True)
        if not changed:
            result.send(("not tried", ""))
            return
        os.setsid()  # so that it is killed together with what the tests started
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        with tempfile.TemporaryDirectory() as folder:
            os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
            for test, following in zip(tests, [*tests[1:], None], strict=True):
                test.add_marker(pytest.mark.timeout(self._longest(test)), append=False)
                test.ihook.pytest_runtest_protocol(item=test, nextitem=following)
                if self._failed:
                    break
        result.send(("killed" if self._failed else "survived", self._failed))
        os._exit(0)  # threads of a failed test may never end

    def _wait_for_one(self, trying: dict[Connection, tuple[Mutant, ForkProcess, float]]) -> None:
        first = min(deadline for _, _, deadline in trying.values())
        ready = wait([*trying], timeout=max(0, first - time.monotonic()))
        for result, (mutant, process, deadline) in list(trying.items()):
            if result in ready:
                try:
                    outcome, failed = result.recv()
                except EOFError:
                    outcome, failed = "killed", "the process ended"
                self._kills[failed] += 1
                self._note(mutant, outcome, failed)
            elif deadline <= time.monotonic():
                self._note(mutant, "timeout")
            else:
                continue
            assert process.pid is not None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.join()
            result.close()
            del trying[result]

    def _note(self, mutant: Mutant, outcome: Outcome, failed: str = "") -> None:
        if outcome in SURVIVING and self._accepted(mutant):
            outcome = "accepted"
        self.outcomes[mutant] = outcome
        print(f"{outcome:11} {mutant.path}:{mutant.line} {failed}", file=sys.__stdout__, flush=True)


class Accepted:
    """The changes that make no difference, from ``tests/mutants.toml``."""

    def __init__(self, sources: dict[str, bytes]) -> None:
        self._sources = sources
        with ACCEPTED.open("rb") as file:
            listed = tomllib.load(file)["mutant"]
        self._all = {(each["module"], each["line"], each["becomes"]) for each in listed}

    def __call__(self, mutant: Mutant) -> bool:
        return (mutant.path, *mutant.change(self._sources[mutant.path])) in self._all

    def gone(self, mutants: list[Mutant]) -> list[str]:
        """Return the listed changes that are no longer among the mutants of these modules."""
        found = {(each.path, *each.change(self._sources[each.path])) for each in mutants}
        return [": ".join(each) for each in sorted(self._all - found) if each[0] in self._sources]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts.mutants", description=__doc__)
    parser.add_argument("sample", type=int, nargs="?", default=60, help="number of mutants to try")
    parser.add_argument("--all", action="store_true", help="try all mutants")
    parser.add_argument("--seed", type=int, default=0, help="which sample (default: 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="(default: cores)")
    parser.add_argument("--folder", type=Path, default=PROJECT / ".nox" / "mutants")
    parser.add_argument("--module", action="append", help="file or folder to change")
    parser.add_argument("--tests", nargs="+", default=["tests"], metavar="PATH")
    options = parser.parse_args()
    with (PROJECT / "pyproject.toml").open("rb") as file:
        modules = tomllib.load(file)["tool"]["mutants"]["modules"]
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(PROJECT)

    sources: dict[str, bytes] = {}
    for module in options.module or modules:
        path = PROJECT / module
        for file_ in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            sources[str(file_.relative_to(PROJECT))] = file_.read_bytes()
    mutants = [m for path, source in sources.items() for m in mutants_of(path, source)]
    accepted = Accepted(sources)
    for change in accepted.gone(mutants):
        print(f"{ACCEPTED.name} lists what is not among the mutants: {change}")
    size = len(mutants) if options.all else min(options.sample, len(mutants))
    sample = random.Random(options.seed).sample(mutants, size)
    print(f"{size} of {len(mutants)} mutants, seed {options.seed}", flush=True)

    trials = Trials(
        sample, sources, Coverage(folder, modules, options.tests), accepted, options.jobs
    )
    # The same examples each time, and none that another mutant has failed with.
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None)
    hypothesis.settings.load_profile("mutants")
    try:
        pytest.main(
            [*pytest_options(MEASURED_TEST_SECONDS), "--capture=sys", "--tb=no", *options.tests],
            plugins=[trials],
        )
    except KeyboardInterrupt:
        print("stopped: the figures are of the mutants tried so far")
    report(trials.outcomes, sources)
    return 0


def report(outcomes: Outcomes, sources: dict[str, bytes]) -> None:
    for mutant, outcome in sorted(outcomes.items()):
        if outcome in SURVIVING:
            print(f"\n{outcome}:", *mutant.diff(sources[mutant.path]), sep="\n")
    by_folder: dict[str, Counter[Outcome]] = {}
    for mutant, outcome in outcomes.items():
        for name in (mutant.path, str(Path(mutant.path).parent), "all"):
            by_folder.setdefault(name, Counter())[outcome] += 1
    print()
    for name, counts in sorted(by_folder.items(), key=lambda item: (item[0] == "all", item[0])):
        detected = 100 * (counts["killed"] + counts["timeout"]) / counts.total()
        figures = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        print(f"{name}: {detected:.0f} % of {counts.total()} detected ({figures})")


if __name__ == "__main__":
    sys.exit(main())
