"""What every test gets: folders of its own, and none of the developer's settings."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# A shell that starts the tests in the background has Ctrl+C ignored in all they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Hundreds of processes are started; without its cache each compiles all modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

gc.disable()  # importing makes no garbage; see pytest_collection_finish


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home that pychat keeps its files under in this test, also in processes it starts."""
    home = tmp_path / "home"
    for kind in ("DATA", "CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
    # Not the developer's keyring either.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    for name in list(os.environ):
        if name.startswith("PYCHAT_"):
            monkeypatch.delenv(name)
    return home


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """The levels and handlers that a command sets in this process end with its test."""
    loggers = [logging.getLogger(name) for name in ("", "aiohttp", "pychat.audit")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        for handler in set(logger.handlers).difference(handlers):
            logger.removeHandler(handler)
            handler.close()


def pytest_collection_finish() -> None:
    """What the imports made lives as long as the process, and the screens of a test make much
    that a collection looks through in vain."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


def pytest_xdist_auto_num_workers() -> int:
    """Two for each core, because a test waits half of its time."""
    return 2 * (os.cpu_count() or 1)
