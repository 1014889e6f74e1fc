"""Mutation testing: change the code in one place, and see whether a test fails.

``python -m scripts.mutants 60 --seed 1`` tries a random sample of 60 mutants of the modules that
``[tool.mutants]`` in pyproject.toml names. Each runs, in a copy of the project, only the tests that
execute the changed lines, the quickest first, until one fails. The lines that each test executes
are measured once and measured again when the code or the tests change.
"""

from __future__ import annotations

import argparse
import ast
import copy
import difflib
import hashlib
import importlib.util
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import coverage

PROJECT = Path(__file__).parent.parent
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".nox", ".*_cache", "__pycache__", "node_modules", "dist"
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LOGGERS = {"log", "logger"}
TEST_SECONDS = 30
"""A test that takes longer has failed: the mutant waits forever."""
MEASURED_TEST_SECONDS = 300
"""The same without a change, while the executed lines are recorded."""
SURVIVING = ("survived", "not covered")

Outcome: TypeAlias = Literal["killed", "timeout", "survived", "not covered"]

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


class Mutant(NamedTuple):
    """One change of one module: the bytes from ``start`` to ``end`` become ``new``."""

    path: str
    start: int
    end: int
    new: str
    lines: range

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.new.encode() + source[self.end :]

    def diff(self, source: bytes) -> str:
        old, new = source.decode(), self.apply(source).decode()
        return "\n".join(
            difflib.unified_diff(
                old.splitlines(), new.splitlines(), self.path, self.path, lineterm="", n=2
            )
        )


# --- making mutants
def mutants_of(path: str, source: bytes) -> Iterator[Mutant]:
    """Yield all mutants of a module.

    Not changed: strings, annotations, log messages, assertions, and what runs on import (constants
    are limits and times there).
    """
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in _changeable(ast.parse(source), in_function=False):
        for new in _replacements(node):
            assert isinstance(node, ast.expr | ast.stmt)
            assert node.end_lineno is not None
            assert node.end_col_offset is not None
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            yield Mutant(path, start, end, new, range(node.lineno, node.end_lineno + 1))


def _changeable(node: ast.AST, in_function: bool) -> Iterator[ast.AST]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            # Positions in f-strings are unreliable before Python 3.12.
            if not isinstance(child, ast.AST) or isinstance(child, ast.Assert | ast.JoinedStr):
                continue
            if isinstance(child, ast.Expr) and _is_text(child.value):
                continue
            if in_function:
                yield child
            yield from _changeable(child, in_function or isinstance(child, FUNCTIONS))


def _is_text(value: ast.expr) -> bool:
    """Whether it is a docstring or writes to a log."""
    match value:
        case ast.Constant():
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
            return name in LOGGERS
    return False


def _replacements(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Delete():
            yield "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "pass"
        case ast.Continue():
            yield "break"
        case ast.Break():
            yield "continue"
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield "return None"
        case ast.Constant(value=bool() as value):
            yield repr(not value)
        case ast.Constant(value=int() as value):
            yield repr(value + 1)
        case ast.UnaryOp(op=ast.Not()):
            yield f"({ast.unparse(node.operand)})"
        case ast.Compare(ops=[operator]) if type(operator) in SWAPPED:
            changed = copy.copy(node)
            changed.ops = [SWAPPED[type(operator)]()]  # type: ignore[list-item]  # same kind
            yield f"({ast.unparse(changed)})"
        case ast.BoolOp() | ast.BinOp() if type(node.op) in SWAPPED:
            swapped = copy.copy(node)
            swapped.op = SWAPPED[type(node.op)]()  # type: ignore[assignment]  # same kind
            yield f"({ast.unparse(swapped)})"


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


# --- which tests execute which lines
class Coverage:
    """The tests that execute each line, and how long each takes."""

    def __init__(self, folder: Path, modules: list[str], tests: list[str]) -> None:
        """Measure, unless it was done for exactly this code, in ``folder``."""
        self._copy = folder / "covered"
        name = _digest([*modules, *tests])
        data, report = folder / f"coverage.{name}", folder / f"report.{name}.xml"
        if not report.exists():
            copy_project(self._copy)
            print("measuring which tests execute which lines", flush=True)
            run = [
                *pytest(MEASURED_TEST_SECONDS),
                *tests,
                *(f"--cov={module}" for module in modules),
            ]
            run += ["--cov-context=test", "--cov-report=", "-n", str(os.cpu_count() or 1)]
            run += [f"--junitxml={report}", "-o", "junit_family=xunit1"]
            environment = os.environ | {"COVERAGE_FILE": str(data)}
            subprocess.run(run, cwd=self._copy, env=environment, check=False)
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

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that execute the changed lines, the quickest first."""
        by_line = self._data.contexts_by_lineno(str(self._copy / mutant.path))
        contexts = {context for line in mutant.lines for context in by_line.get(line, ())}
        # A context is the test's id, a bar, and setup, run or teardown.
        tests = {context.rpartition("|")[0] for context in contexts} - {""} - self._failed
        return sorted(tests, key=lambda test: (self.seconds(test), test))

    def seconds(self, test: str) -> float:
        return self._seconds.get(test, 1.0)


def _digest(arguments: list[str]) -> str:
    digest = hashlib.sha256(repr(arguments).encode())
    for folder in ("pychat", "tests"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            digest.update(str(path.relative_to(PROJECT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def copy_project(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(PROJECT, folder, ignore=NOT_COPIED)


def pytest(test_seconds: int) -> list[str]:
    options = ["-q", "-p", "no:cacheprovider", "-m", "not e2e", f"--timeout={test_seconds}"]
    return [sys.executable, "-m", "pytest", *options]


# --- trying mutants
def attempt(folder: Path, mutant: Mutant, tests: list[str], seconds: float) -> tuple[Outcome, str]:
    """Run the tests on the mutant. Return the outcome, and the test that failed."""
    if not tests:
        return "not covered", ""
    module = folder / mutant.path
    source = module.read_bytes()
    module.write_bytes(mutant.apply(source))
    _forget_bytecode(module)
    chosen = folder / "chosen-tests.txt"
    chosen.write_text("\n".join(tests))
    process = subprocess.Popen(
        [*pytest(TEST_SECONDS), "-x", "--tb=no", f"@{chosen}"],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return "timeout", ""
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        module.write_bytes(source)
        _forget_bytecode(module)
    if process.returncode == 0:
        return "survived", ""
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return "killed", failed[0].split(" - ")[0] if failed else output.strip()[-300:]


def _forget_bytecode(module: Path) -> None:
    # Two mutants of the same length, written within a second, look the same to the import system.
    Path(importlib.util.cache_from_source(str(module))).unlink(missing_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts.mutants", description=__doc__)
    parser.add_argument("sample", type=int, help="number of mutants to try")
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
    coverage = Coverage(folder, modules, options.tests)

    sources: dict[str, bytes] = {}
    for module in options.module or modules:
        path = PROJECT / module
        for file_ in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            sources[str(file_.relative_to(PROJECT))] = file_.read_bytes()
    mutants = [m for path, source in sources.items() for m in mutants_of(path, source)]
    sample = random.Random(options.seed).sample(mutants, min(options.sample, len(mutants)))
    print(f"{len(sample)} of {len(mutants)} mutants, seed {options.seed}", flush=True)

    copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for number in range(options.jobs):
        copy_project(folder / f"copy{number}")
        copies.put(folder / f"copy{number}")

    def try_out(mutant: Mutant) -> tuple[Outcome, str]:
        tests = coverage.tests(mutant)
        seconds = TEST_SECONDS + 5 * sum(map(coverage.seconds, tests))
        project = copies.get()
        try:
            return attempt(project, mutant, tests, seconds)
        finally:
            copies.put(project)

    outcomes: dict[Mutant, Outcome] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        tries = {pool.submit(try_out, mutant): mutant for mutant in sample}
        try:
            for done in as_completed(tries):
                mutant = tries[done]
                outcomes[mutant], failed = done.result()
                where = f"{mutant.path}:{mutant.lines[0]}"
                print(f"{outcomes[mutant]:11} {where} {failed}", flush=True)
        except KeyboardInterrupt:
            print("stopped: the figures are of the mutants tried so far")
            pool.shutdown(cancel_futures=True)
    report(outcomes, sources)
    return 0


def report(outcomes: dict[Mutant, Outcome], sources: dict[str, bytes]) -> None:
    for mutant, outcome in sorted(outcomes.items()):
        if outcome in SURVIVING:
            print(f"\n{outcome}:\n{mutant.diff(sources[mutant.path])}")
    by_folder: dict[str, Counter[Outcome]] = {}
    for mutant, outcome in outcomes.items():
        for name in (str(Path(mutant.path).parent), "all"):
            by_folder.setdefault(name, Counter())[outcome] += 1
    print()
    for name, counts in sorted(by_folder.items(), key=lambda item: (item[0] == "all", item[0])):
        detected = 100 * (counts["killed"] + counts["timeout"]) / counts.total()
        figures = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        print(f"{name}: {detected:.0f} % of {counts.total()} detected ({figures})")


if __name__ == "__main__":
    sys.exit(main())
