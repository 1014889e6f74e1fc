"""The versions of what the engine leans on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pychat.server.engine.versions import UntestedVersion, check_versions
from tests.processes import run_pychat


@pytest.mark.parametrize(
    ("aiohttp", "picows", "line"),
    [
        ("3.15.0", "2.3.1", "pychat needs aiohttp 3.14, and 3.15.0 is installed"),
        ("3.140.0", "2.3.1", "pychat needs aiohttp 3.14, and 3.140.0 is installed"),
        ("3.14.9", "2.4.0", "pychat needs picows 2.3, and 2.4.0 is installed"),
    ],
)
def test_another_version_is_named(aiohttp: str, picows: str, line: str) -> None:
    with pytest.raises(UntestedVersion, match=line):
        check_versions(aiohttp, picows)


def test_the_tested_versions_pass() -> None:
    check_versions("3.14.4", "2.3.0")


@pytest.mark.e2e
def test_a_server_does_not_start_on_another_version(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import aiohttp; aiohttp.__version__ = '4.0.0'")
    done = run_pychat("serve", "--store", "memory:", environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr == (
        "Error: pychat is not installed as it should be: pychat needs aiohttp 3.14, "
        "and 4.0.0 is installed: pip install 'aiohttp==3.14.*'\n"
    )
