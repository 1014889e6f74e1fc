"""Deadlines are due in order, and one timer serves them all."""

import asyncio

from pychat.server.engine.heartbeat import Deadlines, Wheel


def test_due_in_order_of_start() -> None:
    deadlines: Deadlines[str] = Deadlines(10)
    deadlines.start("a", 0)
    deadlines.start("b", 1)
    deadlines.start("c", 2)
    deadlines.start("a", 3)
    deadlines.stop("c")
    assert deadlines.take_due(10.5) == []
    assert deadlines.take_due(11) == ["b"]
    assert deadlines.take_due(100) == ["a"]
    assert not len(deadlines)


async def test_the_wheel_turns_while_something_waits() -> None:
    wheel = Wheel(0.005)
    due: asyncio.Queue[str] = asyncio.Queue()
    short = wheel.add(0.01, due.put_nowait)
    long = wheel.add(0.03, due.put_nowait)
    wheel.start(long, "long")
    wheel.start(short, "short")
    wheel.start(short, "stopped")
    short.stop("stopped")
    async with asyncio.timeout(60):
        assert [await due.get(), await due.get()] == ["short", "long"]
    wheel.start(short, "again")
    async with asyncio.timeout(60):
        assert await due.get() == "again"
    wheel.stop()
