"""A server that lies, or was made to do harm: no number, time or text of it ends the client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pychat.client import ChatClient, RequestRefused, serverjson
from pychat.client.events import ConversationsLoaded
from pychat.client.models import ConnectionState
from tests.client.scripted import DONE, ScriptedServer, message, scripted
from tests.client.watching import Watcher, started

NUMBERS = [-1, 2**53 + 1, 2**63, 2**64, 10**30, -(10**30)]
TIMES = [
    "0001-01-01T00:00:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999-14:00",
    "1969-01-01T00:00:00Z",
    "nonsense",
    "",
]


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted() as server:
        yield server


@pytest.fixture
async def alice(server: ScriptedServer, tmp_path: Path) -> AsyncIterator[Watcher]:
    client = ChatClient(server.url, user="alice", password="x", cache=tmp_path / "cache.db")
    async with started(client) as alice:
        await alice.next(ConversationsLoaded)
        yield alice


async def test_impossible_numbers_are_not_believed(server: ScriptedServer, alice: Watcher) -> None:
    for number in NUMBERS:
        # The codec of the scripted server refuses what is beyond 64 bits: as a float, then.
        sent: Any = number if abs(number) < 2**63 else float(number)
        await server.emit("message", message(1, "odd") | {"seq": sent})
        await server.emit("removed", {"with": "bob", "seq": sent})
        await server.emit("receipt", {"with": "bob", "by": "bob", "kind": "read", "seq": sent})
    await server.emit("message", message(1, "fine"))
    await alice.added("fine")
    assert [each.text for each in alice.client.cached_messages("bob")] == ["fine"]


@pytest.mark.parametrize("time", TIMES)
async def test_impossible_times_are_no_time(
    server: ScriptedServer, alice: Watcher, time: str
) -> None:
    presence = {"id": "bob", "alias": "Bob", "online": False, "lastSeen": time}
    await server.emit("presence", presence)
    await server.emit("message", message(1, "when?", sentAt=time))
    assert (await alice.added("when?")).sent_at == 0.0
    assert alice.client.status.state is ConnectionState.ONLINE


async def test_a_wait_that_is_no_wait_is_not_obeyed(server: ScriptedServer, alice: Watcher) -> None:
    for asked, told in ((-5, None), (0, None), (1e300, 3600.0), (2.5, 2.5)):
        server.answers["users"] = lambda _, asked=asked: {  # type: ignore[misc] # bound now
            "code": "429",
            "message": "too fast",
            "retryAfter": asked,
        }
        with pytest.raises(RequestRefused) as refused:
            await alice.client.users()
        assert refused.value.retry_after == told
    server.answers["users"] = lambda _: {**DONE, "users": []}
    assert await alice.client.users() == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'["m",{"data":"a\ud800b \ud83d\ude00","\udc00":1}]', ["m", {"data": "a�b 😀", "�": 1}]),
        (b'["\\udfff"]', ["�"]),
        ('["x",NaN,-Infinity]', ["x", None, None]),
        ('["x"', serverjson.UNREADABLE),
        ("[" * 100_000, serverjson.UNREADABLE),
        (b'["\xff"]', serverjson.UNREADABLE),
        ("[" + "9" * 5000 + "]", serverjson.UNREADABLE),
    ],
)  # fmt: skip
def test_what_comes_out_can_be_stored_and_shown(text: str | bytes, value: object) -> None:
    loaded = serverjson.loads(text)
    assert loaded == value
    json.dumps(loaded, ensure_ascii=False).encode()
