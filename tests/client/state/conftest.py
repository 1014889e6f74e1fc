"""Every test here runs on a clock that jumps, with an imitated server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from pychat.client import ChatClient
from pychat.client.connection.socket import ServerConnection
from tests.client.state.imitated import ImitatedServer, JumpingLoop
from tests.client.watcher import Watcher


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"jumping": JumpingLoop}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ImitatedServer:
    server = ImitatedServer()

    async def connection_class() -> type[ServerConnection]:
        return server.connection_class()

    monkeypatch.setattr(
        "pychat.client.connection.reconnect.load_connection_class", connection_class
    )
    return server


@pytest.fixture
async def client(server: ImitatedServer) -> AsyncIterator[ChatClient]:
    """Alice's client. It is not started."""
    client = ChatClient("chat.example", user="alice", password="x password")
    yield client
    await client.close()


@pytest.fixture
async def alice(client: ChatClient) -> Watcher:
    """Alice's client before its start, and what it tells."""
    return Watcher(client)
