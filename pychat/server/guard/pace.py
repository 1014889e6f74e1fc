"""The rate at which a client is read. What it sends faster stays in the socket."""

from __future__ import annotations

from typing import Final

from pychat.server.guard.bucket import Rate, TokenBucket

AT_ONCE: Final = 20
"""Credits that one client may use before other clients are read."""


class Allowance:
    """The credits of one client. It may run into debt, because a packet is read whole."""

    __slots__ = ("_bucket", "left")

    def __init__(self, rate: Rate) -> None:
        self._bucket = TokenBucket(rate)
        self.left: float = AT_ONCE
        """Credits left. Below 0 the client must be paused."""

    def pause(self) -> float:
        """Start the next allowance.

        Return the seconds to wait before the client is read again, 0 for the next loop turn.
        """
        used = AT_ONCE - self.left
        self.left = AT_ONCE
        return self._bucket.borrow(used)
