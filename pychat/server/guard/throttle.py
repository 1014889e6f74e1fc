"""How fast an address's HTTP requests are answered: what comes faster waits, so others do not."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pychat.server.engine import Proxies
from pychat.server.guard.addresses import Recent, household
from pychat.server.guard.gate import HEADERS

LONGEST_WAIT: Final = 10.0
"""Seconds; what would have to wait longer is refused."""
MAX_ADDRESSES: Final = 20_000


class Rate(Protocol):
    """``burst`` at once, then ``per_second``."""

    @property
    def per_second(self) -> float: ...
    @property
    def burst(self) -> float: ...


def throttle(rate: Rate, proxies: Proxies) -> Middleware:
    """Answers each request in its turn; 429 where that is too far away.

    Behind a trusted proxy the client's address counts, of IPv6 its /64.
    """
    turns = RequestTurns(rate)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        wait = turns.take(proxies.client(request.remote or "", request.headers))
        if wait > LONGEST_WAIT:
            # Not at once: who asks again and again would be as fast as before.
            await asyncio.sleep(1.0)
            headers = {**HEADERS, "Retry-After": str(round(wait))}
            refusal = web.Response(status=429, text="429: too many requests\n", headers=headers)
            refusal.force_close()
            return refusal
        if wait > 0:
            await asyncio.sleep(wait)
        return await handler(request)

    return middleware


class RequestTurns:
    """Whose turn is when: by address, as many as the rate allows."""

    def __init__(self, rate: Rate) -> None:
        self._each = 1 / rate.per_second
        self._ahead = rate.burst / rate.per_second
        # When an address will have been given all that it asked for so far, by the clock.
        self._until: Recent[str, float] = Recent(MAX_ADDRESSES)

    def take(self, address: str) -> float:
        """The seconds until the turn of one more from there: 0 or less, at once; more than
        LONGEST_WAIT, none was taken."""
        now = time.monotonic()
        address = household(address)
        until = max(self._until.get(address) or 0.0, now) + self._each
        wait = until - now - self._ahead
        if wait <= LONGEST_WAIT:
            self._until[address] = until
        return wait
