"""Socket.IO's own clients from 1.x to 4.x, on every transport, with each other."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pychat.server.engine import versions
from tests.e2e.engine.matrix import (
    CORPUS,
    GENERATIONS,
    HERE,
    TRANSPORTS,
    Relay,
    client_of,
    corpus_json,
)
from tests.requirements import require_program

pytestmark = pytest.mark.e2e


async def talk(combinations: list[tuple[str, str]], folder: Path) -> None:
    """These clients say the corpus to each other, all at once."""
    node = require_program("node", "nodejs")
    clients = {generation: client_of(generation) for generation, _ in combinations}
    corpus = folder / "corpus.json"
    corpus.write_text(corpus_json())
    async with Relay(len(combinations)) as relay:

        async def run(generation: str, transport: str) -> dict[str, Any]:
            process = await asyncio.create_subprocess_exec(
                node, HERE / "peer.js", clients[generation], relay.url, TRANSPORTS[transport],
                f"{generation} {transport}", corpus, str(len(combinations)),
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                output, _ = await asyncio.wait_for(process.communicate(), 60)
            finally:
                if process.returncode is None:
                    process.kill()
            return dict(json.loads(output))

        results = await asyncio.gather(*(run(*combination) for combination in combinations))
        assert relay.wrong == []
    for (generation, transport), result in zip(combinations, results, strict=True):
        assert result == {
            "wrong": [],
            "acks": len(CORPUS),
            "asked": len(CORPUS),
            "transport": "polling" if transport == "polling" else "websocket",
        }, (generation, transport)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("generation", GENERATIONS)
async def test_one_client(generation: str, transport: str, tmp_path: Path) -> None:
    await talk([(generation, transport)], tmp_path)


@pytest.mark.parametrize("path", ["direct", "public"])
async def test_every_pair(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also as with an untested version of aiohttp, through its public API."""
    if path == "public":
        monkeypatch.setattr(versions, "AIOHTTP", "0")
    await talk([(g, t) for g in GENERATIONS for t in TRANSPORTS], tmp_path)
