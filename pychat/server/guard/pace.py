"""How fast a client is read: what comes faster is not refused but left in the socket."""

from __future__ import annotations

from typing import Final

from pychat.server.guard.bucket import Rate, TokenBucket

AT_ONCE: Final = 20
"""Credits that one client may use before the others have their turn."""


class Allowance:
    """What one client has left. It may run into debt: a packet is taken whole."""

    __slots__ = ("_bucket", "left")

    def __init__(self, rate: Rate) -> None:
        self._bucket = TokenBucket(rate)
        self.left: float = AT_ONCE
        """Until the client is to be paused: below 0."""

    def pause(self) -> float:
        """The seconds until the client may be read again, 0 for the loop's next turn."""
        used = AT_ONCE - self.left
        self.left = AT_ONCE
        return self._bucket.borrow(used)
