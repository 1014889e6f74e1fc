"""``POST /hooks/TOKEN`` and ``pychat hook``: real servers, HTTP requests and clients."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pychat.client import ChatClient
from pychat.server import ChatServer, hooks
from pychat.server.chat.limits import Limits, Rate
from pychat.server.store import StoreUnavailable
from pychat.server.store.memory import MemoryStore
from pychat.server.store.records import HookRecord
from tests.cli.invoke import invoke, refusal
from tests.client.watcher import Watcher, started
from tests.serving import serving

TOKEN = "t" * 43


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    limits = Limits(messages=Rate(0.001, 20), text=Rate(1, 1_000_000))
    async with serving(accounts="open", limits=limits) as server:
        yield server


@pytest.fixture
async def alice(server: ChatServer) -> AsyncIterator[Watcher]:
    async with started(ChatClient(server.url, user="alice", password="")) as watcher:
        yield watcher


async def make_hook(server: ChatServer, token: str = TOKEN, room: str = "ops") -> str:
    record = await server.store.room(room)
    assert record
    account = await server.store.account("webhook")
    if account is None:
        account = await server.store.create_account("webhook", "webhook", None, 1)
    hook = HookRecord(
        f"h{token[0]}",
        hashlib.sha256(token.encode()).digest(),
        record.conversation,
        account.key,
        1,
    )
    await server.store.add_hook(hook)
    return f"{server.url}/hooks/{token}"


async def answer(http: aiohttp.ClientSession, url: str, **arguments: Any) -> tuple[int, str]:
    async with http.post(url, **arguments) as response:
        return response.status, await response.text()


async def test_posts_to_the_members(
    server: ChatServer, alice: Watcher, http: aiohttp.ClientSession
) -> None:
    await alice.client.create_room("ops", "Operations")
    url = await make_hook(server)
    text = {"text": "Build 7 ✅ passed", "channel": "ignored"}
    assert await answer(http, url, json=text) == (200, "ok")
    message = await alice.added("Build 7 ✅ passed")
    assert (message.conversation, message.sender, message.seq) == ("#ops", "webhook", 1)
    form = {"payload": json.dumps({"text": "한국어 & more"})}
    assert await answer(http, url, data=form) == (200, "ok")
    assert (await alice.added("한국어 & more")).seq == 2
    markup = {"text": "<https://ci.example/7|Build 7>: 1 &lt; 2 &amp;&amp; <!here> <@U1|bob> < <"}
    assert await answer(http, url, json=markup) == (200, "ok")
    await alice.added("Build 7 (https://ci.example/7): 1 < 2 && @here @bob < <")
    as_curl = {"Content-Type": "application/x-www-form-urlencoded"}
    unmarked = {"data": b'{"text": "from curl -d"}', "headers": as_curl}
    assert await answer(http, url, **unmarked) == (200, "ok")
    await alice.added("from curl -d")
    page = await alice.client.history("#ops")
    assert [each.sender for each in page.messages] == ["webhook"] * 4


async def test_acknowledged_is_stored(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """Also beside members who are offline, and many at once."""
    store = f"sqlite:///{tmp_path}/chat.db"
    async with serving(store, accounts="open") as server:
        async with ChatClient(server.url, user="alice", password="") as alice:
            await alice.create_room("ops", "Operations")
        url = await make_hook(server)
        answers = await asyncio.gather(
            *(answer(http, url, json={"text": str(number)}) for number in range(30))
        )
        assert answers == [(200, "ok")] * 30
    async with (
        serving(store, accounts="open") as server,
        ChatClient(server.url, user="alice", password="") as alice,
    ):
        page = await alice.history("#ops", limit=100)
        assert {each.text for each in page.messages} == {str(number) for number in range(30)}


async def test_a_repeated_request_with_a_key_posts_once(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Also at the same time, with another hook, and after a restart."""
    store = f"sqlite:///{tmp_path}/chat.db"

    async def post(url: str, text: str, key: str) -> tuple[int, str]:
        headers = {"Idempotency-Key": key}
        return await answer(http, url, json={"text": text}, headers=headers)

    async with serving(store, accounts="open") as server:
        async with ChatClient(server.url, user="alice", password="") as alice:
            await alice.create_room("ops", "Operations")
        url, other = await make_hook(server), await make_hook(server, "u" * 43)
        answers = await asyncio.gather(*(post(url, "build", '"7"') for _ in range(5)))
        assert answers == [(200, "ok")] * 5
        assert await post(url, "deploy", '"8"') == (200, "ok")
        assert await post(other, "other", '"7"') == (200, "ok")
        for wrong in ("x" * 256, "é", ""):
            status, text = await post(url, "wrong", wrong)
            assert (status, text[:22]) == (400, "400: Idempotency-Key: "), wrong
    async with serving(store, accounts="open") as server:
        url = f"{server.url}/hooks/{TOKEN}"
        assert await post(url, "again", '"7"') == (200, "ok")
        async with ChatClient(server.url, user="alice", password="") as alice:
            page = await alice.history("#ops")
        assert [each.text for each in page.messages] == ["build", "deploy", "other"]


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ({"data": b""}, 400, "400: the body must be JSON"),
        ({"data": b"{"}, 400, "400: the body must be JSON"),
        ({"data": b"\xff"}, 400, "400: the body must be JSON"),
        ({"data": b"[" * 100_000}, 400, "400: the body must be JSON"),
        ({"json": {"text": 7}}, 400, "400: the body must be JSON"),
        ({"json": {"text": " \n"}}, 400, "400: text must not be empty"),
        ({"json": {"blocks": []}}, 400, "400: text must not be empty"),
        ({"data": {"payload": "?"}}, 400, "400: the body must be JSON"),
        ({"data": {"other": "{}"}}, 400, "400: the body must be JSON"),
        ({"data": {f"f{n}": "" for n in range(50)}}, 400, "400: the body must be JSON"),
        ({"json": {"text": "x" * 65_537}}, 413, "413: data: must be at most 65536 bytes"),
        ({"data": b"x" * 400_000}, 413, "413: the body must have at most 393216 bytes"),
    ],
)
async def test_what_is_refused(
    server: ChatServer,
    alice: Watcher,
    http: aiohttp.ClientSession,
    arguments: dict[str, Any],
    status: int,
    text: str,
) -> None:
    await alice.client.create_room("ops", "Operations")
    url = await make_hook(server)
    code, said = await answer(http, url, **arguments)
    assert (code, said[: len(text)]) == (status, text)
    assert len(said.splitlines()) == 1
    assert not (await alice.client.history("#ops")).messages


async def test_a_body_without_a_length_or_an_end(
    server: ChatServer,
    alice: Watcher,
    http: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await alice.client.create_room("ops", "Operations")
    url = await make_hook(server)
    ended = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"text": "'
        await ended.wait()

    async def too_much() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 10_000

    monkeypatch.setattr(hooks, "BODY_SECONDS", 0.05)
    status, text = await answer(http, url, data=endless())
    ended.set()
    assert (status, text) == (400, "400: the body must arrive within 0 s\n")
    with suppress(aiohttp.ClientError):  # the server closes before everything is sent
        assert (await answer(http, url, data=too_much()))[0] == 413


async def test_unknown_and_removed_hooks(
    server: ChatServer, alice: Watcher, http: aiohttp.ClientSession
) -> None:
    await alice.client.create_room("ops", "Operations")
    url, text = await make_hook(server), {"text": "hello"}
    for wrong in (f"{url}x", f"{server.url}/hooks/{'x' * 43}"):
        assert await answer(http, wrong, json=text) == (404, "404: there is no such hook\n")
    for path in ("/hooks/", "/hooks/a%2fb", f"/hooks/{'x' * 101}", "/hooks"):
        assert (await answer(http, server.url + path, json=text))[0] == 404
    async with http.get(url) as response:
        assert response.status == 405
    account = await server.store.account("webhook")
    assert account
    await server.store.update_account(account.key, disabled=True)
    disabled = (403, "403: the account of this hook is disabled\n")
    assert await answer(http, url, json=text) == disabled
    await server.store.update_account(account.key, disabled=False)
    assert await answer(http, url, json=text) == (200, "ok")
    await alice.client.delete_room("ops")
    deleted = (404, "404: the room of this hook was deleted\n")
    assert await answer(http, url, json=text) == deleted
    await alice.client.create_room("ops", "Another room")
    assert await answer(http, url, json=text) == deleted
    await server.store.remove_hook("ht")
    assert await answer(http, url, json=text) == (404, "404: there is no such hook\n")


async def test_only_a_token_makes_the_server_read_a_body(
    server: ChatServer, alice: Watcher, http: aiohttp.ClientSession
) -> None:
    """Decoding a large form takes the server's time, and bodies take its memory."""
    await alice.client.create_room("ops", "Operations")
    url = await make_hook(server)
    answered = asyncio.Event()

    async def begun() -> AsyncIterator[bytes]:
        yield b"payload="
        await answered.wait()

    async def early(url: str) -> int:
        answered.clear()
        async with http.post(url, data=begun()) as response:
            answered.set()
            return response.status

    async with asyncio.timeout(5):
        assert await early(f"{url}x") == 404
    # What is malformed counts as well.
    for _ in range(20):
        assert (await answer(http, url, data=b"{"))[0] == 400
    async with asyncio.timeout(5):
        assert await early(url) == 429


async def test_rates(server: ChatServer, alice: Watcher, http: aiohttp.ClientSession) -> None:
    await alice.client.create_room("ops", "Operations")
    url = await make_hook(server)
    answers = [await answer(http, url, json={"text": "x"}) for _ in range(21)]
    assert answers[:20] == [(200, "ok")] * 20
    assert answers[20] == (429, "429: too fast: wait a little\n")
    async with http.post(url, json={"text": "x"}) as response:
        assert int(response.headers["Retry-After"]) >= 1


class Failing(MemoryStore):
    """Cannot store messages."""

    async def append(self, batch: Any) -> Any:
        raise StoreUnavailable("the disk is full")


async def test_a_store_that_fails(http: aiohttp.ClientSession) -> None:
    async with (
        serving(Failing(), accounts="open") as server,  # type: ignore[arg-type]  # a Store works
        ChatClient(server.url, user="alice", password="") as alice,
    ):
        await alice.create_room("ops", "Operations")
        url = await make_hook(server)
        status, text = await answer(http, url, json={"text": "x"})
        assert (status, text) == (503, "503: the message could not be stored: try again\n")


async def test_a_blocked_hook_is_hidden(
    server: ChatServer, alice: Watcher, http: aiohttp.ClientSession
) -> None:
    await alice.client.create_room("ops", "Operations")
    url = await make_hook(server)
    await alice.client.block("webhook")
    assert await answer(http, url, json={"text": "hidden"}) == (200, "ok")
    await alice.client.unblock("webhook")
    assert await answer(http, url, json={"text": "shown"}) == (200, "ok")
    await alice.added("shown")


@pytest.mark.e2e  # commands beside a server
async def test_the_commands(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    store, log = f"sqlite:///{tmp_path}/chat.db", tmp_path / "audit.log"
    at = ("--store", store)
    async with (
        serving(store) as server,
        started(ChatClient(server.url, user="alice", password="a password")) as alice,
    ):
        await alice.client.create_room("ops", "Operations")
        add = ("hook", "add", *at, "--audit-log", log)
        made = await asyncio.to_thread(invoke, *add, "#ops", "--as", "CI")
        assert made.status == 0, made.stderr
        id = made.stderr.split()[3].rstrip(":")
        assert made.stderr.splitlines()[0] == f"Created the hook {id}: it posts to #ops as CI."
        path = made.stdout.strip()
        assert path.startswith("/hooks/")
        assert await answer(http, server.url + path, json={"text": "passed"}) == (200, "ok")
        assert (await alice.added("passed")).sender == "CI"
        assert path[7:] not in (tmp_path / "chat.db").read_bytes().decode("latin-1")
        assert path[7:] not in log.read_text()
        listed = await asyncio.to_thread(invoke, "hook", "list", *at)
        assert listed.stdout == f"{id}\t#ops\tCI\n"
        for arguments, status, text in (
            (("#nothing",), 1, "there is no room #nothing in "),
            (("ops", "--as", "alice"), 1, "alice is the account of a person: choose another id"),
            (("ops", "--as", "#x"), 2, "--as: must not start with #"),
            (("ops", "--as", "С\u0406"), 1, "the id С\u0406 looks like another one"),
        ):
            line = await asyncio.to_thread(refusal, *add, *arguments, status=status)
            assert line.startswith(text)
        removed = await asyncio.to_thread(invoke, "hook", "remove", *at, id)
        assert removed.stderr == f"Removed the hook {id}.\n"
        again = await asyncio.to_thread(refusal, "hook", "remove", *at, id)
        assert again.startswith(f"there is no hook {id} in ")
        status, _ = await answer(http, server.url + path, json={"text": "passed"})
        assert status == 404
