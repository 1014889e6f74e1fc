"""A server with open accounts and a store in memory, and passwords that cost little."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pychat.server.app import ChatServer
from pychat.server.chat.accounts import passwords
from tests.serving import serving


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost little, so that the tests do not wait for them."""
    hasher = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", hasher)


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(accounts="open", limits=False) as server:
        yield server
