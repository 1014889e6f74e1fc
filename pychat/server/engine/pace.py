"""How fast a client is read: what comes faster is not refused but left in the socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pychat.server.guard.bucket import Rate, TokenBucket

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

    __slots__ = ("_bucket", "left")

    def __init__(self, pace: Pace) -> None:
        self._bucket = TokenBucket(Rate(pace.per_second, pace.burst))
        self.left: float = AT_ONCE
        """Until the client is to be paused: below 0."""

    def pause(self) -> float:
        """The seconds until the client may be read again, 0 for the loop's next turn."""
        used = AT_ONCE - self.left
        self.left = AT_ONCE
        return self._bucket.borrow(used)
