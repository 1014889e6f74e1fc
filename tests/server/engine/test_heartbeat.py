"""Deadlines are due in order, and one timer serves them all."""

import asyncio

import pytest

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
    closed: list[str] = []
    short = wheel.add(0.01, due.put_nowait, closed.append)
    long = wheel.add(0.03, due.put_nowait, closed.append)
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
    assert closed == []


async def test_a_failed_deadline_closes_its_item_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wheel = Wheel(0.005)
    due: asyncio.Queue[str] = asyncio.Queue()
    closed: list[str] = []

    def when_due(item: str) -> None:
        if item.startswith("bad"):
            raise RuntimeError("a fault")
        due.put_nowait(item)

    def close(item: str) -> None:
        closed.append(item)
        if item == "bad 2":
            raise RuntimeError("another fault")

    queue = wheel.add(0.01, when_due, close)
    other = wheel.add(0.01, when_due, close)
    for item in ("bad 1", "bad 2", "good"):
        wheel.start(queue, item)
    wheel.start(other, "other")
    async with asyncio.timeout(60):
        assert [await due.get(), await due.get()] == ["good", "other"]
    wheel.stop()
    assert closed == ["bad 1", "bad 2"]
    assert [record.getMessage() for record in caplog.records] == [
        "deadline failed, closed: 'bad 1'",
        "deadline failed, closed: 'bad 2'",
        "not closed: 'bad 2'",
    ]
