"""The system's keyring, where there is one and somebody who could unlock it."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE: Final = 30.0
"""Seconds, for somebody who is asked to unlock it."""
HEADLESS_PATIENCE: Final = 2.0
"""A locked one asks on a screen that is not there, and never answers."""


def write(server: str, user: str, secret: str) -> bool:
    """Keeps it; False where there is no keyring, or it was not unlocked."""

    def store() -> bool:
        import keyring

        # Those below 1 keep things in the open, or not at all.
        if keyring.get_keyring().priority < 1:
            return False
        keyring.set_password(_service(server), user, secret)
        return True

    return _has_screen() and _within_patience(store) is True


def read(server: str, user: str) -> str | None:
    """None where it is not there, or was not unlocked."""

    def fetch() -> str | None:
        import keyring

        return keyring.get_password(_service(server), user)

    return _within_patience(fetch)


def erase(server: str, user: str) -> None:
    """It may be gone already."""

    def delete() -> None:
        import keyring

        keyring.delete_password(_service(server), user)

    _within_patience(delete)


def _service(server: str) -> str:
    return f"pychat {server}"


def _has_screen() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _within_patience(call: Callable[[], T]) -> T | None:
    """What it returns; None if it fails or takes too long."""
    answers: queue.SimpleQueue[T | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(call())
        except Exception:
            # Each keyring raises errors of its own, and all mean the same: it is of no use now.
            answers.put(None)

    # Nothing ends a call that hangs; as a daemon it does not keep the process.
    threading.Thread(target=ask, name="pychat-keyring", daemon=True).start()
    try:
        return answers.get(timeout=PATIENCE if _has_screen() else HEADLESS_PATIENCE)
    except queue.Empty:
        return None
