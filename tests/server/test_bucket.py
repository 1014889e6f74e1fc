"""The token bucket: what passes at once, what has to wait, and debts."""

from __future__ import annotations

import time

import pytest

from pychat.server.guard.bucket import Rate, TokenBucket


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_burst_passes_at_once_and_then_the_rate_holds(clock: list[float]) -> None:
    bucket = TokenBucket(Rate(10, 5))
    assert [bucket.take() for _ in range(5)] == [0.0] * 5
    assert bucket.take() == pytest.approx(0.1)
    clock[0] += 0.1
    assert bucket.take() == 0.0
    clock[0] += 1000
    assert bucket.left() == 5


def test_a_refused_amount_is_not_taken(clock: list[float]) -> None:
    bucket = TokenBucket(Rate(10, 5))
    bucket.take(3)
    assert [bucket.take(4), bucket.take(4)] == pytest.approx([0.2, 0.2])
    assert bucket.take(2) == 0.0


def test_more_than_the_burst_passes_when_the_bucket_is_full(clock: list[float]) -> None:
    bucket = TokenBucket(Rate(10, 5))
    assert bucket.take(20) == 0.0
    assert bucket.left() == -15
    assert bucket.take(20) == pytest.approx(2.0)
    clock[0] += 2.0
    assert bucket.take(20) == 0.0


def test_a_debt_is_repaid_at_the_rate(clock: list[float]) -> None:
    bucket = TokenBucket(Rate(10, 5))
    assert bucket.borrow(5) == 0.0
    assert [bucket.borrow(), bucket.borrow()] == pytest.approx([0.1, 0.2])
    clock[0] += 0.2
    assert bucket.left() == pytest.approx(0.0)


def test_a_debt_that_takes_too_long_is_not_made(clock: list[float]) -> None:
    bucket = TokenBucket(Rate(10, 5))
    assert bucket.borrow(15, longest=1.0) == pytest.approx(1.0)
    for _ in range(3):
        assert bucket.borrow(1, longest=1.0) == pytest.approx(1.1)
    clock[0] += 0.1
    assert bucket.borrow(1, longest=1.0) == pytest.approx(1.0)
