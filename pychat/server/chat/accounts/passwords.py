"""Passwords: hash and verify with argon2id in worker threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from pychat.protocol import Code, ProtocolError

T = TypeVar("T")

MAX_WAITING = 200
MAX_WAITING_PER_ADDRESS = 200
THREADS = 2

# OWASP Password Storage Cheat Sheet: 19 MiB of memory, 2 iterations, 1 degree of parallelism.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)

# The hash of no known password, with the same cost as all others.
_DUMMY = f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 22}${'A' * 43}"


def hash_password(password: str, salt: bytes | None = None) -> str:
    """Return the argon2id hash in PHC format. It takes 20 ms: do not call it on the event loop.

    ``salt``: 16 bytes that no other hash has; by default random ones.
    """
    return _hasher.hash(password.encode(), salt=salt)


def _verify(hash: str, password: str) -> bool:
    try:
        return _hasher.verify(hash, password.encode())
    except (VerificationError, InvalidHashError):
        return False


class Passwords:
    """A few threads, because each hash in progress takes 19 MiB."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="pychat-password")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Hash a password. Raises ProtocolError 503 when too many passwords wait."""
        return await self._run(hash_password, password)

    async def verify(self, hash: str, password: str) -> bool:
        """Verify a password. Raises ProtocolError 503 when too many passwords wait."""
        return await self._run(_verify, hash, password)

    async def verify_dummy(self, password: str) -> None:
        """Take as long as for a wrong password, for an id that does not exist."""
        await self.verify(_DUMMY, password)

    def outdated(self, hash: str) -> bool:
        """Whether the hash was made with parameters that are no longer used."""
        return _hasher.check_needs_rehash(hash)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: Callable[..., T], *arguments: str) -> T:
        if self._waiting >= MAX_WAITING:
            raise ProtocolError(
                Code.UNAVAILABLE, "too many logins at once: try again", retry_after=2.0
            )
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, function, *arguments)
        finally:
            self._waiting -= 1


class PasswordQueue:
    """Check one password at a time per address.

    A flood of logins from one address then leaves threads for others, and simultaneous guesses are
    counted one by one.
    """

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Wait for the address's turn. Raises ProtocolError 429 when too many logins wait."""
        turn = self._turns.setdefault(address, _Turn())
        if turn.waiting >= MAX_WAITING_PER_ADDRESS:
            raise ProtocolError(
                Code.TOO_FAST, "too many logins at once from your address", retry_after=2.0
            )
        turn.waiting += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[address]


class _Turn:
    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0
