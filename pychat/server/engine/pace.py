"""How fast a client is read: what comes faster is not refused but left in the socket."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

BYTES_PER_CREDIT: Final = 512


@dataclass(frozen=True, slots=True)
class Pace:
    """In credits: one for each packet, and one for each 512 bytes of it."""

    per_second: float = 500.0
    burst: float = 1000.0


class Allowance:
    """What is left to one client. It may run into debt: a packet is taken whole."""

    __slots__ = ("_at", "_pace", "left")

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._at = time.monotonic()
        self.left = pace.burst

    def debt(self) -> float:
        """The seconds until the client may be read again; 0 if it may be now."""
        now = time.monotonic()
        earned = (now - self._at) * self._pace.per_second
        self._at = now
        self.left = min(self._pace.burst, self.left + earned)
        return max(0.0, -self.left / self._pace.per_second)
