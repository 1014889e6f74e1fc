"""The rate at which the HTTP requests of an address are answered. Faster requests wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pychat.server.guard.addresses import Recent, household
from pychat.server.guard.bucket import Rate, TokenBucket
from pychat.server.guard.gate import HEADERS

LONGEST_WAIT: Final = 10.0
"""Seconds. A request that would have to wait longer is refused."""
MAX_ADDRESSES: Final = 20_000


def throttle(rate: Rate, client_address: Callable[[web.Request], str]) -> Middleware:
    """Return a middleware that delays requests to ``rate`` for each client address.

    A request that would wait longer than LONGEST_WAIT is answered with 429. ``client_address``
    returns the address of a request's client, also behind a trusted proxy.
    """
    turns = RequestTurns(rate)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        wait = turns.take(client_address(request))
        if wait > LONGEST_WAIT:
            # Delayed, so that a client that asks again and again is slowed down.
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
    """The rate of each address, as the time at which its next request is answered."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: Recent[str, TokenBucket] = Recent(MAX_ADDRESSES)

    def take(self, address: str) -> float:
        """Return the seconds until the address's next request may be answered, 0 for at once.

        More than LONGEST_WAIT: the request is to be refused, and was not counted.
        """
        address = household(address)
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._buckets[address] = TokenBucket(self._rate)
        return bucket.borrow(longest=LONGEST_WAIT)
