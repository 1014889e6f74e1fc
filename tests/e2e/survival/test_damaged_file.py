"""A damaged database file: said in a line, at start and while serving; never a traceback, and
nothing acknowledged that is not stored."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.attack import wire
from tests.e2e.survival.load import talking
from tests.processes import Serving, run_pychat

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PAGE = 4096
ROUNDS = int(os.environ.get("SURVIVAL_ROUNDS") or 4)


def overwrite(path: Path, first: int, last: int) -> None:
    """Those of its pages, with noise."""
    with path.open("r+b") as file:
        file.seek(first * PAGE)
        file.write(random.randbytes((last - first) * PAGE))


def in_the_middle(path: Path) -> None:
    pages = path.stat().st_size // PAGE
    overwrite(path, 1, pages)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_in_the_header(path: Path) -> None:
    os.truncate(path, 50)


def no_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(random.randbytes(100))


def garbage_after_the_magic(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(16)
        file.write(random.randbytes(84))


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Of a store that has been used and closed."""
    path = tmp_path / "chat.db"
    server = Serving("--store", f"sqlite:///{path}", "--no-limits")
    async with talking(server.url) as town:
        await town.ledger.acknowledged_more(200)
        await town.stop()
    assert await asyncio.to_thread(server.stop) == 0
    return path


@pytest.mark.parametrize(
    "damage", [in_the_middle, cut, cut_in_the_header, no_header, garbage_after_the_magic]
)
def test_at_start(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    done = run_pychat("serve", "--port", "0", "--store", f"sqlite:///{path}")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert str(path) in line


@dataclass
class Seen:
    """What a client was told by a server whose file is damaged."""

    acknowledged: dict[int, str] = field(default_factory=dict)
    refused: int = 0

    def note(self, answer: dict[str, Any]) -> bool:
        """Whether it was done; else it must be the store's fault."""
        if answer["code"] in ("200", "202"):
            return True
        assert answer["code"] == "503", answer
        self.refused += 1
        return False


async def use(url: str, seen: Seen) -> None:
    """Everything that reads or writes, as far as it goes."""
    async with wire.browsing() as web:
        client = await wire.connect(web, url)
        login = {"id": "terminal0", "password": "password of terminal0", "protocol": 1}
        if seen.note(await client.ask("login", login)):
            for n in range(40):
                message = {"sender": "terminal0", "recepient": "terminal1", "command": "chat"}
                message |= {"type": "text", "data": f"after the damage {n}"}
                answer = await client.ask("message", message | {"clientId": str(uuid4())})
                if seen.note(answer):
                    seen.acknowledged[answer["seq"]] = message["data"]
            for request in ("conversations", "users", "sessions"):
                seen.note(await client.ask(request, {"query": ""} if request == "users" else {}))
            for name in ("ALL", "terminal2", "reader", "#town"):
                seen.note(await client.ask("history", {"with": name, "limit": 100}))
            seen.note(await client.ask("search", {"text": "ter"}))
            after = min(seen.acknowledged, default=1) - 1
            page = await client.ask("history", {"with": "terminal1", "after": after, "limit": 100})
            if seen.note(page):
                found = {message["seq"]: message["data"] for message in page["messages"]}
                assert seen.acknowledged.items() <= found.items()
        await client.close()


def restore(path: Path, whole: bytes) -> None:
    for kind in ("-wal", "-shm"):
        path.with_name(path.name + kind).unlink(missing_ok=True)
    path.write_bytes(whole)


def overwrite_some(path: Path, whole: bytes) -> None:
    """A stretch of an otherwise whole file, but not its first page."""
    pages = len(whole) // PAGE
    first = random.randrange(1, pages)
    overwrite(path, first, random.randint(first + 1, pages))


def serve(path: Path) -> Serving | None:
    """None where the damage was seen at once, as in ``test_at_start``."""
    try:
        return Serving("--store", f"sqlite:///{path}", "--no-limits")
    except AssertionError as error:
        if "is damaged" not in str(error) or "Traceback" in str(error):
            raise
        return None


@pytest.mark.parametrize("when", ["before", "while serving"])
async def test_what_is_not_seen_at_start(
    path: Path, when: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = await asyncio.to_thread(path.read_bytes)
    not_served = acknowledged = refused = 0
    for _ in range(ROUNDS):
        await asyncio.to_thread(restore, path, whole)
        if when == "before":
            overwrite_some(path, whole)
        server = serve(path)
        if server is None:
            not_served += 1
            continue
        with server:
            seen = Seen()
            if when == "while serving":
                overwrite_some(path, whole)
            await use(server.url, seen)
            await asyncio.to_thread(server.stop)
        log = "".join(server.log)
        assert "Traceback" not in log
        assert not seen.refused or f"{path} is damaged" in log
        acknowledged += len(seen.acknowledged)
        refused += seen.refused
    with capsys.disabled():
        print(
            f"\n{ROUNDS} files of {len(whole) // PAGE} pages damaged {when}: {not_served} not"
            f" served; acknowledged {acknowledged}, refused {refused}, acknowledged and lost 0"
        )
