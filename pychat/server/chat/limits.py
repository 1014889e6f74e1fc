"""How fast is too fast: token buckets by user and address, and a lockout on wrong passwords."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec
from msgspec import Struct

from pychat.protocol import Code, ProtocolError
from pychat.server.chat.state.entities import OnlineUser
from pychat.server.chat.state.session import ChatSession
from pychat.server.guard.addresses import Recent, household
from pychat.server.guard.bucket import Rate as Rate
from pychat.server.guard.bucket import TokenBucket

MAX_ENTRIES = 20_000


class Limits(Struct, frozen=True):
    """Rates by user, logins by address. Sizes are the protocol's and not configured."""

    messages: Rate = Rate(50, 250)
    queries: Rate = Rate(50, 250)
    searches: Rate = Rate(5, 25)
    typing: Rate = Rate(5, 25)
    cursors: Rate = Rate(100, 500)
    changes: Rate = Rate(2, 40)
    """Rooms, blocks, sessions."""
    logins: Rate = Rate(5, 200)
    """With a password, by address."""
    resumptions: Rate = Rate(50, 1000)
    """With a token, by address."""
    claims: Rate = Rate(0.2, 200)
    """New ids, by address."""
    text: Rate = Rate(256 * 1024, 1024 * 1024)
    """Characters of messages."""
    conversations: Rate = Rate(0.5, 100)
    """New one-to-one conversations."""
    packets: Rate = Rate(500, 500)
    """By connection, whatever is in them, one more for each 512 bytes: read later, not refused."""
    handshakes: Rate = Rate(20, 512)
    """By address."""
    requests: Rate = Rate(200, 300)
    """Over HTTP, by address, but not the polls of a session: answered later, not refused."""
    connections_per_address: int = 256
    connections_per_user: int = 32
    rooms: int = 2000
    rooms_per_user: int = 100
    wrong_passwords: int = 5
    """By id and address; each one more doubles the wait."""
    longest_lockout: float = 900.0
    """Seconds."""


def parse_limits(settings: Iterable[str]) -> Limits:
    """``messages=50/250`` or ``rooms=100`` each, beside the defaults. Raises ValueError."""
    defaults = Limits()
    changed: dict[str, Rate | int | float] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        name = name.replace("-", "_")
        if name not in defaults.__struct_fields__:
            names = ", ".join(defaults.__struct_fields__)
            raise ValueError(f"there is no limit {name!r}: they are {names}")
        form = "a second/at once, as in 50/250"
        try:
            if isinstance(getattr(defaults, name), Rate):
                numbers = [float(part) for part in value.split("/")]
                changed[name] = Rate(*numbers)
            else:
                form = "a number above 0"
                numbers = [float(value)]
                changed[name] = type(getattr(defaults, name))(value)
            if min(numbers) <= 0:
                raise ValueError
        except (TypeError, ValueError):
            raise ValueError(f"the limit {name} must be {form}: not {value!r}") from None
    return msgspec.structs.replace(defaults, **changed)


class Limiter:
    """``limits`` None: no rates (``--no-limits``)."""

    def __init__(self, limits: Limits | None) -> None:
        self.limits = limits
        self._addresses: dict[str, Recent[str, TokenBucket]] = {
            kind: Recent(MAX_ENTRIES) for kind in ("logins", "resumptions", "claims")
        }
        self._failures: Recent[tuple[str, str], _Failures] = Recent(MAX_ENTRIES)
        self._rates: dict[str, Rate] = (
            {}
            if limits is None
            else {
                name: rate
                for name in limits.__struct_fields__
                if isinstance(rate := getattr(limits, name), Rate)
            }
        )

    def take(self, user: OnlineUser, kind: str, amount: float = 1.0) -> None:
        """So much more of a user's messages, queries … Raises ProtocolError 429."""
        rate = self._rates.get(kind)
        if rate is None:
            return
        if user.buckets is None:
            user.buckets = {}
        bucket = user.buckets.get(kind)
        if bucket is None:
            bucket = user.buckets[kind] = TokenBucket(rate)
        wait = bucket.take(amount)
        if wait:
            raise _too_fast(wait)

    @contextmanager
    def connection(self, user: OnlineUser, session: ChatSession) -> Iterator[None]:
        """One more connection of a user, who has a place for it while the login is finished.
        Raises ProtocolError 429."""
        if self.limits is None or session in user.sessions:
            yield
            return
        most = self.limits.connections_per_user
        if len(user.sessions) + user.arriving >= most:
            raise ProtocolError(
                Code.TOO_FAST, f"you are connected {most} times already", retry_after=10.0
            )
        user.arriving += 1
        try:
            yield
        finally:
            user.arriving -= 1

    def login(self, address: str, kind: Literal["logins", "resumptions", "claims"]) -> None:
        """One more of these from there. Raises ProtocolError 429."""
        rate = self._rates.get(kind)
        if rate is None:
            return
        buckets = self._addresses[kind]
        address = household(address)
        bucket = buckets.get(address)
        if bucket is None:
            bucket = buckets[address] = TokenBucket(rate)
        wait = bucket.take()
        if wait:
            raise _too_fast(wait)

    def password_allowed(self, canonical_id: str, address: str) -> None:
        """Raises ProtocolError 429 while that id is locked for that address."""
        failures = self._failures.get((canonical_id, household(address)))
        if failures is not None:
            wait = failures.locked_until - time.monotonic()
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
        key = (canonical_id, household(address))
        failures = self._failures.get(key)
        if failures is None or failures.forgotten(now, self.limits):
            failures = self._failures[key] = _Failures()
        failures.count += 1
        failures.last = now
        excess = failures.count - self.limits.wrong_passwords
        if excess >= 0:
            # 2**30 s is beyond any limit, and the power does not grow without end.
            wait = min(2.0 ** min(excess, 30), self.limits.longest_lockout)
            failures.locked_until = now + wait

    def password_was_right(self, canonical_id: str, address: str) -> None:
        self._failures.forget((canonical_id, household(address)))


class _Failures:
    __slots__ = ("count", "last", "locked_until")

    def __init__(self) -> None:
        self.count = 0
        self.last = 0.0
        self.locked_until = 0.0

    def forgotten(self, now: float, limits: Limits) -> bool:
        return now - self.last > 2 * limits.longest_lockout


def _too_fast(wait: float) -> ProtocolError:
    return ProtocolError(Code.TOO_FAST, "too fast: wait a little", retry_after=max(wait, 0.001))
