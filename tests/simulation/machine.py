"""Time, chance and passwords: everything the code under test asks the machine for."""

from __future__ import annotations

import random
import secrets
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from unittest.mock import patch

from argon2.exceptions import VerifyMismatchError

from pychat.client.connection import reconnect as sleepwatch
from pychat.server.chat.accounts import authentication, passwords
from tests.simulation.loop import SimulatedLoop

EPOCH = 1_790_000_000.0
"""The wall clock when the loop's says 0."""
SESSIONS_PER_ACCOUNT = 4
"""Few, so that a login often ends an older one."""


class FakeHasher:
    """argon2 without its cost. Some hashes are of an old kind, which a login replaces."""

    def hash(self, password: bytes | str, *, salt: bytes | None = None) -> str:
        text = password.decode() if isinstance(password, bytes) else password
        return f"new:{text}"

    def verify(self, hash: str, password: bytes | str) -> bool:
        text = password.decode() if isinstance(password, bytes) else password
        if hash.partition(":")[2] != text:
            raise VerifyMismatchError
        return True

    def check_needs_rehash(self, hash: str) -> bool:
        return hash.startswith("old:")


@contextmanager
def simulated_machine(loop: SimulatedLoop, draw: Random) -> Iterator[None]:
    """Within it, time is the loop's, and what is random is drawn from ``draw``."""

    def token(size: int | None = None) -> str:
        return f"{draw.getrandbits(96):024x}"

    def hexadecimal(size: int) -> str:
        return f"{draw.getrandbits(8 * size):0{2 * size}x}"

    def wall() -> float:
        return EPOCH + loop.time()

    def identifier() -> uuid.UUID:
        return uuid.UUID(int=draw.getrandbits(128), version=4)

    with ExitStack() as stack:
        for owner, name, value in (
            (time, "time", wall),
            (time, "time_ns", lambda: int(wall() * 1e9)),
            (time, "monotonic", loop.time),
            (sleepwatch, "wall_clock", wall),
            (secrets, "token_urlsafe", token),
            (secrets, "token_hex", hexadecimal),
            (uuid, "uuid4", identifier),
            (random, "uniform", draw.uniform),
            (passwords, "_hasher", FakeHasher()),
            (authentication, "MAX_TOKENS_PER_ACCOUNT", SESSIONS_PER_ACCOUNT),
        ):
            stack.enter_context(patch.object(owner, name, value))
        yield
