"""Namespaces whose names are beyond ASCII, with Socket.IO's own clients from 1.x to 4.x."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from pychat.server.engine import AsyncServer
from tests.e2e.engine.matrix import GENERATIONS, HERE, PROTOCOLS, TRANSPORTS, client_of
from tests.requirements import require_program

pytestmark = pytest.mark.e2e

TEXT = "한 é😀"


@asynccontextmanager
async def serving(namespace: str) -> AsyncIterator[str]:
    """A server that knows the namespace; its address."""
    server: Any = AsyncServer(cors_allowed_origins="*")

    async def say(sid: str, text: str) -> str:
        await server.emit("said", text, namespace=namespace)
        return text

    server.on("say", say, namespace=namespace)
    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def visit(
    generation: str, transport: str, base64: bool, url: str, namespace: str
) -> list[Any]:
    process = await asyncio.create_subprocess_exec(
        require_program("node", "nodejs"), HERE / "namespace.js", client_of(generation), url,
        TRANSPORTS[transport], namespace, str(base64).lower(), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return list(json.loads(output))


@pytest.mark.parametrize("namespace", ["/café", "/방é😀"])
async def test_a_namespace_is_joined_and_another_refused(namespace: str) -> None:
    clients = [(g, t, False) for g in GENERATIONS for t in TRANSPORTS]
    # Without binary, lengths are counted in text.
    clients += [(g, "polling", True) for g in GENERATIONS if PROTOCOLS[g] == 3]
    async with serving(namespace) as url:
        for at in range(0, len(clients), 4):
            some = clients[at : at + 4]
            joined = await asyncio.gather(*(visit(*client, url, namespace) for client in some))
            for client, heard in zip(some, joined, strict=True):
                assert ["said", TEXT] in heard, client
                assert heard[-1] == ["answer", TEXT], client
            refused = await asyncio.gather(*(visit(*c, url, namespace + "한") for c in some))
            for client, heard in zip(some, refused, strict=True):
                assert [what for what, _ in heard] == ["refused"], client
