"""A server with open accounts and a store in memory, for all tests that are not about logins."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pychat.server.app import ChatServer
from tests.serving import serving


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(accounts="open", limits=False) as server:
        yield server
