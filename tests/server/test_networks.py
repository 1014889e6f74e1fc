"""Limits of addresses: an IPv6 client has a whole network, and counts as one."""

from __future__ import annotations

import pytest

from pychat.protocol import ProtocolError
from pychat.server.chat.limits import Limiter, Limits
from pychat.server.guard.addresses import SITE_SHARE, counted_by
from pychat.server.guard.bucket import AddressBuckets, Rate

RATE = Rate(0.001, 2)


def of_site(number: int) -> str:
    """An address in one of the 65,536 networks of 2001:db8:1::/48."""
    return f"2001:db8:1:{number:x}::1"


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("192.0.2.1", [("192.0.2.1", 1)]),
        ("::ffff:192.0.2.1", [("192.0.2.1", 1)]),
        ("2001:db8:1:2:3::4", [("2001:db8:1:2::/64", 1), ("2001:db8:1::/48", SITE_SHARE)]),
        ("no address", [("no address", 1)]),
    ],
)
def test_networks_of_an_address(address: str, networks: list[tuple[str, int]]) -> None:
    assert list(counted_by(address)) == networks


@pytest.mark.parametrize("limit", ["take", "borrow"])
def test_a_site_has_a_limit_of_its_own(limit: str) -> None:
    buckets = AddressBuckets(RATE, 1_000)

    def passes(address: str) -> bool:
        if limit == "take":
            return buckets.take(address) == 0
        if buckets.left(address) < 1:
            return False
        return buckets.borrow(address) == 0

    assert [passes(of_site(1)) for _ in range(3)] == [True, True, False]
    passed = sum(passes(of_site(number)) for number in range(2, 200))
    assert passed == SITE_SHARE * RATE.burst - 2
    assert passes("2001:db8:2::1")
    assert passes("192.0.2.1")


@pytest.mark.parametrize("limit", ["take", "borrow", "left"])
def test_a_site_does_not_push_out_others(limit: str) -> None:
    buckets = AddressBuckets(RATE, 100)
    assert [buckets.take("192.0.2.1") > 0 for _ in range(3)] == [False, False, True]
    for number in range(1_000):
        if limit == "borrow":
            buckets.borrow(of_site(number), longest=10)
        else:
            buckets.take(of_site(number))
            buckets.left(of_site(number))
    assert buckets.take("192.0.2.1") > 0


def test_wrong_passwords_from_a_whole_site_lock_the_id_for_it() -> None:
    limits = Limits()
    limiter = Limiter(limits)
    for number in range(SITE_SHARE * limits.wrong_passwords):
        limiter.password_allowed("alice", of_site(number))
        limiter.password_was_wrong("alice", of_site(number))
    with pytest.raises(ProtocolError, match="too many wrong passwords"):
        limiter.password_allowed("alice", of_site(9_999))
    limiter.password_allowed("bob", of_site(9_999))
    limiter.password_allowed("alice", "2001:db8:2::1")
    limiter.password_allowed("alice", "192.0.2.1")
