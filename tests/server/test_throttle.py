"""The rate at which the HTTP requests of an address are answered."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from pychat.server.chat.limits import Limits, Rate
from pychat.server.guard.visitors import LONGEST_WAIT, RequestTurns
from tests.serving import serving


def test_turns_come_one_after_the_other_by_address() -> None:
    turns = RequestTurns(Rate(10, 5))
    waits = [turns.take("192.0.2.1") for _ in range(10)]
    assert all(wait <= 0 for wait in waits[:5])
    assert waits[5:] == sorted(waits[5:])
    assert 0.3 < waits[9] <= 0.5
    assert turns.take("192.0.2.2") <= 0
    # What is refused takes no turn: the wait does not grow without end.
    for _ in range(1000):
        last = turns.take("192.0.2.1")
    assert LONGEST_WAIT < last < LONGEST_WAIT + 0.2
    # A line of IPv6 has many addresses.
    for number in range(20):
        last = turns.take(f"2001:db8::{number}")
    assert last > 1


async def test_what_comes_too_fast_is_answered_later() -> None:
    limits = Limits(requests=Rate(20, 5))
    async with serving(limits=limits) as server, aiohttp.ClientSession() as web:

        async def ask() -> int:
            async with web.get(server.url + "/readyz") as answer:
                return answer.status

        started = time.monotonic()
        assert await asyncio.gather(*(ask() for _ in range(15))) == [200] * 15
        assert time.monotonic() - started > 0.4


async def test_what_would_have_to_wait_too_long_is_refused() -> None:
    limits = Limits(requests=Rate(0.01, 1))
    async with serving(limits=limits) as server, aiohttp.ClientSession() as web:
        assert (await web.get(server.url + "/readyz")).status == 200
        refused = await web.get(server.url + "/")
        assert refused.status == 429
        assert int(refused.headers["Retry-After"]) > 10
        assert refused.headers["X-Content-Type-Options"] == "nosniff"
