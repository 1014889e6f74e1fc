"""The token bucket behind every rate limit, and the allowance by which a client is read."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

from pychat.server.guard.addresses import SITE_SHARE, Recent, household, site


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_second`` tokens are added each second, up to ``burst``, which may be used at once."""

    per_second: float
    burst: float


class TokenBucket:
    """The tokens that are left of one rate. A bucket starts full."""

    __slots__ = ("_at", "_tokens", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._tokens = rate.burst
        self._at = time.monotonic()

    def left(self) -> float:
        """The tokens available now; negative while a debt from ``borrow`` is being repaid."""
        now = time.monotonic()
        rate = self.rate
        self._tokens = min(rate.burst, self._tokens + (now - self._at) * rate.per_second)
        self._at = now
        return self._tokens

    def take(self, amount: float = 1.0) -> float:
        """Take tokens if there are enough, for limits that refuse.

        Return 0 if they were taken, otherwise the seconds until they can be. An amount larger
        than the burst passes when the bucket is full.
        """
        needed = min(amount, self.rate.burst)
        left = self.left()
        if left < needed:
            return (needed - left) / self.rate.per_second
        self._tokens = left - amount
        return 0.0

    def borrow(self, amount: float = 1.0, *, longest: float = math.inf) -> float:
        """Take tokens even if there are not enough, for limits that delay.

        Return the seconds until the debt is repaid, 0 if there is none. If that would be more than
        ``longest`` seconds, nothing is taken.
        """
        left = self.left() - amount
        wait = max(0.0, -left / self.rate.per_second)
        if wait <= longest:
            self._tokens = left
        return wait


class AddressBuckets:
    """A bucket for each client address, of the ``most`` addresses that were used last.

    An IPv6 address counts by its /64, and once more by its /48, which has SITE_SHARE times the
    rate. What the /48 may not do makes no entry for a /64: a client that has a whole /48 cannot
    push out the entries of others, or its own.
    """

    def __init__(self, rate: Rate, most: int) -> None:
        self._rate = rate
        self._site_rate = Rate(SITE_SHARE * rate.per_second, SITE_SHARE * rate.burst)
        self._buckets: Recent[str, TokenBucket] = Recent(most)
        self._sites: Recent[str, TokenBucket] = Recent(most)

    def left(self, address: str) -> float:
        """The tokens available now. See ``TokenBucket.left``."""
        wider = self._site(address)
        left = math.inf if wider is None else wider.left()
        return left if left < 1 else min(left, self._own(address).left())

    def take(self, address: str) -> float:
        """Take a token. See ``TokenBucket.take``."""
        wider = self._site(address)
        if wider is not None and (left := wider.left()) < 1:
            return (1 - left) / wider.rate.per_second
        wait = self._own(address).take()
        if not wait and wider is not None:
            wider.take()
        return wait

    def borrow(self, address: str, *, longest: float = math.inf) -> float:
        """Take a token even if there is none. See ``TokenBucket.borrow``."""
        wider = self._site(address)
        if wider is not None:
            wait = (1 - wider.left()) / wider.rate.per_second
            if wait > longest:
                return wait
        wait = self._own(address).borrow(longest=longest)
        if wider is not None and wait <= longest:
            wait = max(wait, wider.borrow())
        return wait

    def _own(self, address: str) -> TokenBucket:
        network = household(address)
        bucket = self._buckets.get(network)
        if bucket is None:
            bucket = self._buckets[network] = TokenBucket(self._rate)
        return bucket

    def _site(self, address: str) -> TokenBucket | None:
        network = site(address)
        if not network:
            return None
        bucket = self._sites.get(network)
        if bucket is None:
            bucket = self._sites[network] = TokenBucket(self._site_rate)
        return bucket


AT_ONCE: Final = 20
"""Credits that one client may use before other clients are read."""


class Allowance:
    """The credits of one client. It may run into debt, because a packet is read whole.

    What the client sends faster stays in the socket.
    """

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
