"""Passwords: hashed and verified with argon2id in worker threads, never on the event loop."""

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

# A hash that nothing is known to have, of the same cost as all others.
_NOBODY = f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 22}${'A' * 43}"


def hash_password(password: str) -> str:
    """The argon2id hash in its PHC form. Takes some 20 ms: not for the event loop."""
    return _hasher.hash(password.encode())


def _verify(hash: str, password: str) -> bool:
    try:
        return _hasher.verify(hash, password.encode())
    except (VerificationError, InvalidHashError):
        return False


class Passwords:
    """A few threads: each hash takes 19 MiB while it is made."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="pychat-password")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Raises ProtocolError 503 when too many wait."""
        return await self._run(hash_password, password)

    async def verify(self, hash: str, password: str) -> bool:
        """Raises ProtocolError 503 when too many wait."""
        return await self._run(_verify, hash, password)

    async def verify_nobody(self, password: str) -> None:
        """Takes as long as a wrong password, for an id that does not exist."""
        await self.verify(_NOBODY, password)

    def outdated(self, hash: str) -> bool:
        """Whether it was made with other parameters than today's."""
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
    """One password at a time from one address.

    So a flood of logins from one address leaves the threads to the others, and guesses that come
    all at once are counted one by one.
    """

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Raises ProtocolError 429 when too many wait from there."""
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
