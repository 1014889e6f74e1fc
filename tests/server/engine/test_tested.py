"""The installed versions of aiohttp and picows decide whether private parts are used."""

from __future__ import annotations

import logging
import subprocess
import sys

import aiohttp
import picows
import pytest

from pychat.server.engine import versions


@pytest.fixture(autouse=True)
def nothing_logged_before() -> None:
    versions._log.cache_clear()


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (("3.15.0", "2.3.1"), "untested version: aiohttp 3.15.0; "),
        (("3.140.0", "2.3.1"), "untested version: aiohttp 3.140.0; "),
        (("3.14.9", "2.4.0"), "untested version: picows 2.4.0; "),
        (("4.0.0", "3.0.0"), "untested version: aiohttp 4.0.0 and picows 3.0.0; "),
    ],
)
def test_another_version_is_logged_once(
    found: tuple[str, str],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(aiohttp, "__version__", found[0])
    monkeypatch.setattr(picows, "__version__", found[1])
    assert not versions.tested()
    assert not versions.tested()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(named)
    assert record.getMessage().endswith("install aiohttp 3.14 and picows 2.3")


def test_the_tested_versions_pass(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(aiohttp, "__version__", "3.14.4")
    monkeypatch.setattr(picows, "__version__", "2.3.0")
    assert versions.tested()
    assert not caplog.records


WITHOUT_PICOWS = """
import sys
sys.modules["picows"] = None
from pychat.server.app import ChatServer
ChatServer("memory:")
private = {"takeover", "borrow", "head", "direct"}
assert not private & {name.rpartition(".")[2] for name in sys.modules if "pychat" in name}
"""


@pytest.mark.e2e
def test_with_another_version_nothing_private_is_imported() -> None:
    """Not even picows, whose next version may have no such module."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PICOWS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "picows (not installed)" in done.stderr
