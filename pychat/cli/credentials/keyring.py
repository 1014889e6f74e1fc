"""The system keyring, if there is one and a user who can unlock it."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE: Final = 30.0
"""Seconds to wait while the user is asked to unlock the keyring."""
HEADLESS_PATIENCE: Final = 2.0
"""Without a desktop session a locked keyring never answers."""


def write(server: str, user: str, secret: str) -> bool:
    """Store a token. False if there is no keyring or it was not unlocked."""

    def store() -> bool:
        import keyring

        # Backends with a priority below 1 store secrets in plain text, or not at all.
        if keyring.get_keyring().priority < 1:
            return False
        keyring.set_password(_service(server), user, secret)
        return True

    return _has_screen() and _within_patience(store) is True


def read(server: str, user: str) -> str | None:
    """The token. None if it is not there or the keyring was not unlocked."""

    def fetch() -> str | None:
        import keyring

        return keyring.get_password(_service(server), user)

    return _within_patience(fetch)


def erase(server: str, user: str) -> None:
    """Delete a token, if it is there."""

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
    """Call in a thread. None if the call fails or takes too long."""
    answers: queue.SimpleQueue[T | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(call())
        except Exception:
            # Every backend raises its own errors. All mean that the keyring cannot be used now.
            answers.put(None)

    # A call that hangs cannot be ended. A daemon thread does not keep the process alive.
    threading.Thread(target=ask, name="pychat-keyring", daemon=True).start()
    try:
        return answers.get(timeout=PATIENCE if _has_screen() else HEADLESS_PATIENCE)
    except queue.Empty:
        return None
