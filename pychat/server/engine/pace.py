"""How fast a client is read: what comes faster is not refused but left in the socket."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

BYTES_PER_CREDIT: Final = 512
AT_ONCE: Final = 20
"""Credits that one client may use before the others have their turn."""


@dataclass(frozen=True, slots=True)
class Pace:
    """In credits: one for each packet, and one for each 512 bytes of it."""

    per_second: float = 500.0
    burst: float = 500.0


class Allowance:
    """What one client has left. It may run into debt: a packet is taken whole."""

    __slots__ = ("_at", "_bucket", "_pace", "left")

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._bucket = pace.burst
        self._at = time.monotonic()
        self.left: float = AT_ONCE
        """Until the client is to be paused: below 0."""

    def pause(self) -> float:
        """The seconds until the client may be read again, 0 for the loop's next turn."""
        now = time.monotonic()
        earned = (now - self._at) * self._pace.per_second
        self._at = now
        self._bucket = min(self._pace.burst, self._bucket + earned) - (AT_ONCE - self.left)
        self.left = AT_ONCE
        return max(0.0, -self._bucket / self._pace.per_second)
