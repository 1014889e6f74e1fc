"""Turns of the event loop: what has been sent within this process has been handled by then."""

from __future__ import annotations

import asyncio

_TURNS = 25


async def turns() -> None:
    """Counted, not timed: a machine that is busy elsewhere takes longer and does the same."""
    for _ in range(_TURNS):
        await asyncio.sleep(0.002)
