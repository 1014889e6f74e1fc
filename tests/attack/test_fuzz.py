"""A fuzzer on every event: whatever comes, the answer is one of the protocol's and nothing breaks.

``ATTACK_CASES`` says how many cases, over all stores (``nox -s attack``: 100,000).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from pychat.protocol import Code
from pychat.server.app import ChatServer
from tests.attack import hostile
from tests.attack.report import Tell
from tests.attack.wire import Client, Closed, browsing, connect, open_socket
from tests.server.store import ferretdb
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]

CASES = int(os.environ.get("ATTACK_CASES", "2000"))
BATCH = 25
"""Cases in one example of hypothesis, which is slow to begin one."""
TOLD = ("message", "room", "membership")
FINE = {code.value for code in Code} - {Code.INTERNAL.value, Code.UNAVAILABLE.value}


class Arena:
    """A server with two victims who share a secret, and an attacker who reconnects when thrown
    out. All in one event loop of its own, because hypothesis is synchronous."""

    def __init__(self, kind: str, store: str) -> None:
        self.kind = kind
        self._store = store
        self.runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._attacker: Client | None = None
        self._logged_in = False
        self._token = "none yet"
        self.attacker_ids = {"mallory"}
        self.cases = 0
        self.thrown_out = 0
        self.codes: dict[str, int] = {}
        self.file = "0" * 32

    server: ChatServer
    web: aiohttp.ClientSession
    alice: Client
    bob: Client

    async def open(self) -> None:
        self.server = await self._stack.enter_async_context(serving(self._store, limits=False))
        self.web = await self._stack.enter_async_context(browsing())
        self.alice = await connect(self.web, self.server.url)
        self.bob = await connect(self.web, self.server.url)
        await self.alice.login("alice")
        await self.bob.login("bob")
        await self.alice.ask("room", {"command": "create", "roomId": "den"})
        secret = {"sender": "alice", "recepient": "bob", "command": "chat", "data": "the secret"}
        await self.alice.ask("message", secret)

    async def close(self) -> None:
        await self._stack.aclose()

    async def attacker(self) -> Client:
        if self._attacker is None or self._attacker.closed.is_set():
            self._attacker = await connect(self.web, self.server.url)
            self._logged_in = False
        if not self._logged_in:
            answer = await self._attacker.ask(
                "login", {"id": "mallory", "token": self._token, "protocol": 1}
            )
            if answer["code"] != "200":
                self._token = await self._attacker.login("mallory")
            self._logged_in = True
        return self._attacker

    async def ask_all(self, cases: list[tuple[str, str]]) -> None:
        self.cases += len(cases)
        attacker = await self.attacker()
        answers = await asyncio.gather(
            *(attacker.ask_raw(event, payload) for event, payload in cases), return_exceptions=True
        )
        for (event, payload), answer in zip(cases, answers, strict=True):
            if isinstance(answer, Closed):
                self.thrown_out += 1
                continue
            assert isinstance(answer, dict), (event, payload, answer)
            self.codes[answer["code"]] = self.codes.get(answer["code"], 0) + 1
            assert answer["code"] in FINE, (event, payload, answer)
            assert answer["message"]
            if event == "login" and answer["code"] == "200":
                self.attacker_ids.add(answer["id"])
            elif answer["code"] == "401":
                self._logged_in = False
            assert "the secret" not in str(answer), (event, payload)
        await self.still_served()

    async def ask_all_one_by_one(self, cases: list[tuple[str, str]]) -> None:
        """What is no JSON ends a connection: the next case gets a new one."""
        for case in cases:
            await self.ask_all([case])

    async def send_frames(self, cases: list[str | bytes]) -> None:
        """A few on each connection: most of them end it."""
        self.cases += len(cases)
        for start in range(0, len(cases), 3):
            socket = await open_socket(self.web, self.server.url)
            with suppress(ConnectionError, aiohttp.ClientError):
                await socket.send_str("40")
                for case in cases[start : start + 3]:
                    if isinstance(case, str):
                        await socket.send_str(case)
                    else:
                        await socket.send_bytes(case)
            self.thrown_out += await _ends_by_itself(socket)
            await socket.close()
        await self.still_served()

    async def upload_all(self, cases: list[tuple[dict[str, str], dict[str, str], bytes]]) -> None:
        self.cases += len(cases)
        await self.attacker()
        for query, headers, body in cases:
            token = {name: value.replace("TOKEN", self._token) for name, value in headers.items()}
            async with self.web.post(
                f"{self.server.url}/files", params=query, headers=token, data=body
            ) as response:
                text = await response.text()
            code = str(response.status)
            self.codes[code] = self.codes.get(code, 0) + 1
            assert code in (*FINE, "201"), (query, headers, body, text)
            assert len(text.splitlines()) == 1, text
            if code == "201":
                self.file = json.loads(text)["id"]
        await self.still_served()

    async def download_all(self, cases: list[tuple[str, dict[str, str]]]) -> None:
        self.cases += len(cases)
        await self.attacker()
        for path, headers in cases:
            token = {name: value.replace("TOKEN", self._token) for name, value in headers.items()}
            url = URL(f"{self.server.url}/files/{path.replace('FILE', self.file)}", encoded=True)
            async with self.web.get(url, headers=token) as response:
                await response.read()
            code = str(response.status)
            self.codes[code] = self.codes.get(code, 0) + 1
            assert code in (*FINE, "206", "304", "416"), (path, headers)
        await self.still_served()

    def became(self) -> str:
        codes = "".join(f"{code}: {count}, " for code, count in sorted(self.codes.items()))
        return f"{codes}thrown out: {self.thrown_out}"

    async def still_served(self) -> None:
        assert (await self.alice.ask("users", {"query": "alice"}))["code"] == "200"

    async def nothing_was_taken(self) -> None:
        assert self.attacker_ids.isdisjoint({"alice", "bob"})
        history = (await self.alice.ask("history", {"with": "bob"}))["messages"]
        assert [m["data"] for m in history] == ["the secret"]
        rooms = {r["id"]: r for r in (await self.alice.ask("room", {"command": "list"}))["rooms"]}
        assert rooms["den"]["owner"] == "alice"
        for victim in (self.alice, self.bob):
            for event, payload in victim.events:
                assert event in (*TOLD, "typing", "presence", "receipt"), event
                if event == "message" and payload["data"] != "the secret":
                    assert payload["sender"] in self.attacker_ids, payload
        for id in ("alice", "bob"):
            await (await connect(self.web, self.server.url)).login(id)


@pytest.fixture(scope="module")
def mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ferretdb.Server]:
    with ferretdb.running(tmp_path_factory.mktemp("ferretdb")) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "mongodb"])
def arena(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Arena]:
    match request.param:
        case "memory":
            address = "memory:"
        case "sqlite":
            address = f"sqlite:///{tmp_path}/chat.db"
        case _:
            server: ferretdb.Server = request.getfixturevalue("mongodb")
            address = f"{server.url}fuzz_{uuid4().hex}"
    arena = Arena(request.param, address)
    with arena.runner:
        arena.runner.run(arena.open())
        yield arena
        arena.runner.run(arena.close())


async def _ends_by_itself(socket: aiohttp.ClientWebSocketResponse) -> bool:
    """Whether the server has closed it, by what was sent; else it answers a ping of Engine.IO."""
    with suppress(ConnectionError, aiohttp.ClientError):
        await socket.send_str("42" + '["ping"]')
        async for frame in socket:
            if '"ping"' in str(frame.data) or "there is no event 'ping'" in str(frame.data):
                return False
    return True


def fuzz(
    arena: Arena,
    case: st.SearchStrategy[Any],
    attempt: Callable[[list[Any]], Awaitable[None]],
    cases: int,
) -> None:
    async def wait(batch: list[Any]) -> None:
        await attempt(batch)

    @settings(
        max_examples=max(1, cases // BATCH),
        deadline=None,
        database=None,
        derandomize="ATTACK_CASES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(case, min_size=BATCH, max_size=BATCH))
    def run(batch: list[Any]) -> None:
        arena.runner.run(wait(batch))

    run()
    arena.runner.run(arena.nothing_was_taken())


def test_events_that_are_almost_right(arena: Arena, tell: Tell) -> None:
    fuzz(arena, hostile.typed_events(), arena.ask_all, CASES // 6)
    tell(f"events that are almost right ({arena.kind})", arena.cases, arena.became())


def test_events_with_anything_in_them(arena: Arena, tell: Tell) -> None:
    fuzz(arena, hostile.raw_events(), arena.ask_all_one_by_one, CASES // 12)
    tell(f"events of raw JSON ({arena.kind})", arena.cases, arena.became())


def test_frames_with_anything_in_them(arena: Arena, tell: Tell) -> None:
    fuzz(arena, hostile.frames(), arena.send_frames, CASES // 12)
    became = f"{arena.thrown_out} connections closed"
    tell(f"websocket frames ({arena.kind})", arena.cases, became)


def test_files_with_anything_in_them(arena: Arena, tell: Tell) -> None:
    fuzz(arena, hostile.uploads(), arena.upload_all, CASES // 12)
    fuzz(arena, hostile.downloads(), arena.download_all, CASES // 12)
    tell(f"uploads and downloads ({arena.kind})", arena.cases, arena.became())
