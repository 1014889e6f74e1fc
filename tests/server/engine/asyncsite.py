"""A running AsyncServer, and python-socketio clients for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import socketio
from aiohttp import web


class Site:
    """An AsyncServer on a free port, and clients of it."""

    def __init__(self, server: Any, runner: web.AppRunner) -> None:
        self.server = server
        self.runner = runner
        self.clients: list[socketio.AsyncClient] = []

    @property
    def port(self) -> int:
        return int(self.runner.addresses[0][1])

    async def client(
        self, *, namespaces: list[str] | None = None, **options: Any
    ) -> tuple[socketio.AsyncClient, asyncio.Queue[Any]]:
        """Connected; the queue gets ``(event, *arguments)`` of the first namespace."""
        client = socketio.AsyncClient(reconnection=False)
        queue: asyncio.Queue[Any] = asyncio.Queue()
        namespaces = namespaces or ["/"]

        async def anything(event: str, *arguments: Any) -> None:
            queue.put_nowait((event, *arguments))

        client.on("*", anything, namespace=namespaces[0])
        client.on("disconnect", lambda *a: queue.put_nowait(("disconnect",)), namespaces[0])
        self.clients.append(client)
        await client.connect(
            f"http://127.0.0.1:{self.port}", namespaces=namespaces, wait_timeout=60, **options
        )
        return client, queue


Serve = Callable[..., Awaitable[Site]]


async def soon(awaitable: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaitable, 60)
