"""A real ChatServer in this process, on a free port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pychat.server.app import ChatServer


@asynccontextmanager
async def serving(
    store: str = "memory:", *, port: int = 0, **options: Any
) -> AsyncIterator[ChatServer]:
    """Started with these options of ChatServer, stopped at the end."""
    server = ChatServer(store, **options)
    await server.start(port=port)
    try:
        yield server
    finally:
        await server.stop()
