"""Fetches and builds once what many tests need: ``python -m tests.prepare``.

A test that finds something missing gets it by itself, but on its own time, and beside another one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.engine.matrix import client_of
from tests.e2e.page.test_accessibility import axe
from tests.requirements import require_program
from tests.server.store import ferretdb

TESTS = Path(__file__).parent


def javascript_clients() -> None:
    for folder in (TESTS / "e2e" / "engine" / "clients").iterdir():
        if (folder / "package-lock.json").exists():
            client_of(folder.name)


def textbook_page() -> None:
    npm = [require_program("npm"), "ci", "--ignore-scripts", "--no-audit"]
    subprocess.run(npm, cwd=TESTS / "e2e" / "textbook_page", check=True, capture_output=True)


def accessibility_rules() -> None:
    axe()


def mongodb() -> None:
    ferretdb.program()


def main() -> None:
    steps: list[Callable[[], object]] = [
        javascript_clients,
        textbook_page,
        accessibility_rules,
        mongodb,
    ]
    for step in steps:
        try:
            step()
        except (pytest.skip.Exception, pytest.fail.Exception) as missing:
            # The tests that need it will say so.
            print(f"{step.__name__}: {missing}")


if __name__ == "__main__":
    main()
