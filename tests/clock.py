"""The wall clock of this process, to be set by a test."""

from __future__ import annotations

import time

import pytest

HOUR = 3600.0


class Clock:
    """That of a server and of clients in this process; ``ahead``: seconds from the true time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        time_, time_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: time_() + self.ahead)
        monkeypatch.setattr(time, "time_ns", lambda: time_ns() + int(self.ahead * 1e9))
