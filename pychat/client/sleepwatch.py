"""Notices that the machine was asleep: its connections are dead then, though nobody says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import time as wall_clock
from typing import Final

TICK: Final = 5.0
ASLEEP: Final = 60.0
"""Seconds that the wall clock must be ahead of the loop's, which may stand still meanwhile."""


async def watch_for_sleep(on_woken: Callable[[], None]) -> None:
    """Calls ``on_woken`` after each sleep, until it is cancelled."""
    before = wall_clock()
    while True:
        await asyncio.sleep(TICK)
        now = wall_clock()
        if now - before > TICK + ASLEEP:
            on_woken()
        before = now
