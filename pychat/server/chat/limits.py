"""Rate limits by account and by address, and lockout after wrong passwords."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec
from msgspec import Struct

from pychat.protocol import Code, ProtocolError
from pychat.server.guard.addresses import Recent, counted_by
from pychat.server.guard.bucket import AddressBuckets, TokenBucket
from pychat.server.guard.bucket import Rate as Rate

MAX_ADDRESSES = 20_000
MAX_ACCOUNTS = 100_000


class Limits(Struct, frozen=True):
    """The configurable limits. Sizes belong to the protocol and are fixed.

    ``Rate(a, b)`` allows ``b`` at once, then ``a`` per second. Rates count per account unless
    another unit is given.
    """

    messages: Rate = Rate(50, 250)
    """Messages of a user."""
    text: Rate = Rate(256 * 1024, 1024 * 1024)
    """Characters of a user's messages."""
    conversations: Rate = Rate(0.5, 100)
    """New one-to-one conversations of a user."""
    queries: Rate = Rate(50, 250)
    """Histories and lists that a user requests."""
    searches: Rate = Rate(5, 25)
    """Searches of a user."""
    typing: Rate = Rate(5, 25)
    """`typing` events of a user."""
    cursors: Rate = Rate(100, 500)
    """`delivered` and `read` events of a user."""
    changes: Rate = Rate(2, 40)
    """Changes of rooms, blocks and logins by a user."""
    logins: Rate = Rate(5, 200)
    """Logins with a password, per address."""
    resumptions: Rate = Rate(50, 1000)
    """Logins with a token, per address."""
    claims: Rate = Rate(0.2, 200)
    """New accounts, per address."""
    packets: Rate = Rate(500, 500)
    """Packets of a connection; a packet counts once more for each 512 bytes. Excess is read later,
    not refused."""
    handshakes: Rate = Rate(20, 512)
    """New sessions, per address."""
    requests: Rate = Rate(200, 300)
    """HTTP requests per address, except the polls of a session. Excess is answered later, and
    refused only if that would be more than 10 s."""
    connections_per_address: int = 256
    """Connections of an address."""
    connections_per_user: int = 32
    """Connections of a user."""
    rooms: int = 2000
    """Rooms of the server."""
    rooms_per_user: int = 100
    """Rooms that a user owns."""
    wrong_passwords: int = 5
    """Wrong passwords per id and address before a lockout. Each further one doubles it."""
    longest_lockout: float = 900.0
    """Seconds of the longest lockout."""


def parse_limits(settings: Iterable[str]) -> Limits:
    """Parse ``messages=50/250`` or ``rooms=100``; other limits keep their defaults.

    Raises ValueError.
    """
    defaults = Limits()
    changed: dict[str, Rate | int | float] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        name = name.replace("-", "_")
        if name not in defaults.__struct_fields__:
            names = ", ".join(defaults.__struct_fields__)
            raise ValueError(f"there is no limit {name!r}: choose one of {names}")
        form = "PER_SECOND/BURST, as in 50/250"
        try:
            if isinstance(getattr(defaults, name), Rate):
                numbers = [float(part) for part in value.split("/")]
                changed[name] = Rate(*numbers)
            else:
                form = "a number above 0"
                numbers = [float(value)]
                changed[name] = type(getattr(defaults, name))(value)
            if not all(number > 0 for number in numbers):
                raise ValueError
        except (TypeError, ValueError):
            raise ValueError(f"the limit {name} must be {form}: not {value!r}") from None
    return msgspec.structs.replace(defaults, **changed)


class Limiter:
    """Count against the limits. ``limits`` None turns off rates and lockouts (``--no-limits``)."""

    def __init__(self, limits: Limits | None) -> None:
        self.limits = limits
        self._accounts: Recent[int, dict[str, TokenBucket]] = Recent(MAX_ACCOUNTS)
        self._addresses: dict[str, AddressBuckets] = {}
        self._failures: Recent[tuple[str, str], _Failures] = Recent(MAX_ADDRESSES)
        self._logging_in: Counter[int] = Counter()
        """Connections per account whose login is correct but not finished."""
        self._rates: dict[str, Rate] = (
            {}
            if limits is None
            else {
                name: rate
                for name in limits.__struct_fields__
                if isinstance(rate := getattr(limits, name), Rate)
            }
        )

    def take(self, account: int, kind: str, amount: float = 1.0) -> None:
        """Count an account's messages, queries and so on. Raises ProtocolError 429."""
        rate = self._rates.get(kind)
        if rate is None:
            return
        buckets = self._accounts.get(account)
        if buckets is None:
            buckets = self._accounts[account] = {}
        bucket = buckets.get(kind)
        if bucket is None:
            bucket = buckets[kind] = TokenBucket(rate)
        wait = bucket.take(amount)
        if wait:
            raise _too_fast(wait)

    @contextmanager
    def connection(self, account: int, connected: int) -> Iterator[None]:
        """Reserve a place for one more connection of an account while its login is finished.

        ``connected``: the connections that the account has. Raises ProtocolError 429.
        """
        if self.limits is None:
            yield
            return
        most = self.limits.connections_per_user
        if connected + self._logging_in[account] >= most:
            raise ProtocolError(
                Code.TOO_FAST,
                f"you already have {most} connections: close one first",
                retry_after=10.0,
            )
        self._logging_in[account] += 1
        try:
            yield
        finally:
            self._logging_in[account] -= 1
            if not self._logging_in[account]:
                del self._logging_in[account]

    def login(self, address: str, kind: Literal["logins", "resumptions", "claims"]) -> None:
        """Count a login, resumption or claim from an address. Raises ProtocolError 429."""
        rate = self._rates.get(kind)
        if rate is None:
            return
        buckets = self._addresses.get(kind)
        if buckets is None:
            buckets = self._addresses[kind] = AddressBuckets(rate, MAX_ADDRESSES)
        wait = buckets.take(address)
        if wait:
            raise _too_fast(wait)

    def password_allowed(self, canonical_id: str, address: str) -> None:
        """Raises ProtocolError 429 while the id is locked for the address."""
        for network, _ in counted_by(address):
            failures = self._failures.get((canonical_id, network))
            wait = 0.0 if failures is None else failures.locked_until - time.monotonic()
            if wait > 0:
                raise ProtocolError(
                    Code.TOO_FAST,
                    f"too many wrong passwords: try again in {wait:.0f} s",
                    retry_after=wait,
                )

    def password_was_wrong(self, canonical_id: str, address: str) -> None:
        if self.limits is None:
            return
        now = time.monotonic()
        for network, share in counted_by(address):
            key = (canonical_id, network)
            failures = self._failures.get(key)
            if failures is None or failures.expired(now, self.limits):
                failures = self._failures[key] = _Failures()
            failures.count += 1
            failures.last = now
            excess = failures.count - share * self.limits.wrong_passwords
            if excess >= 0:
                # 2**30 s is beyond any limit; a larger exponent would only make huge numbers.
                wait = min(2.0 ** min(excess, 30), self.limits.longest_lockout)
                failures.locked_until = now + wait

    def password_was_right(self, canonical_id: str, address: str) -> None:
        for network, _ in counted_by(address):
            self._failures.forget((canonical_id, network))


class _Failures:
    """Wrong passwords for one id from one address or network."""

    __slots__ = ("count", "last", "locked_until")

    def __init__(self) -> None:
        self.count = 0
        self.last = 0.0
        self.locked_until = 0.0

    def expired(self, now: float, limits: Limits) -> bool:
        return now - self.last > 2 * limits.longest_lockout


def _too_fast(wait: float) -> ProtocolError:
    return ProtocolError(Code.TOO_FAST, "too fast: wait a little", retry_after=max(wait, 0.001))
