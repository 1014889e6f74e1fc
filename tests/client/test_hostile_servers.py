"""Hostile servers: no number, time or text from a server may stop the client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pychat.cli.commands.reading import newest
from pychat.client import ChatClient, RequestRefused
from pychat.client.connection import packets
from pychat.client.errors import InvalidAnswer
from pychat.client.events import ConversationsLoaded
from pychat.client.models import ConnectionState, DeliveryStatus
from tests.client.scripted import DONE, ScriptedServer, message, scripted
from tests.client.watcher import Watcher, started

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


async def test_impossible_numbers_are_rejected(server: ScriptedServer, alice: Watcher) -> None:
    for number in NUMBERS:
        # The scripted server cannot encode integers beyond 64 bits, so they are floats.
        sent: Any = number if abs(number) < 2**63 else float(number)
        await server.emit("message", message(1, "odd") | {"seq": sent})
        await server.emit("changed", {"with": "bob", "seq": sent, "rev": 1, "removed": True})
        await server.emit("receipt", {"with": "bob", "by": "bob", "kind": "read", "seq": sent})
    await server.emit("message", message(1, "fine"))
    await alice.added("fine")
    assert [each.text for each in alice.client.cached_messages("bob")] == ["fine"]


@pytest.mark.parametrize("time", TIMES)
async def test_impossible_times_become_zero(
    server: ScriptedServer, alice: Watcher, time: str
) -> None:
    presence = {"id": "bob", "alias": "Bob", "online": False, "lastSeen": time}
    await server.emit("presence", presence)
    await server.emit("message", message(1, "when?", sentAt=time))
    assert (await alice.added("when?")).sent_at == 0.0
    assert alice.client.status.state is ConnectionState.ONLINE


async def test_an_invalid_retry_after_is_ignored(server: ScriptedServer, alice: Watcher) -> None:
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
        ('["x"', packets.UNREADABLE),
        ("[" * 100_000, packets.UNREADABLE),
        (b'["\xff"]', packets.UNREADABLE),
        ("[" + "9" * 5000 + "]", packets.UNREADABLE),
    ],
)  # fmt: skip
def test_decoded_json_can_be_stored_and_shown(text: str | bytes, value: object) -> None:
    loaded = packets.loads(text)
    assert loaded == value
    json.dumps(loaded, ensure_ascii=False).encode()


# --- numbers, lists and cursors that never end -------------------------------------------


@pytest.mark.parametrize("next", ["the same", "another"])
async def test_an_endless_list_is_rejected(
    server: ScriptedServer, next: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pychat.client.state.sync.MAX_LISTED", 500)
    next_number = count().__next__

    def page(_: dict[str, Any]) -> dict[str, Any]:
        number = next_number()
        names = [f"peer {number}-{each}" for each in range(100)] if next == "another" else ["bob"]
        listed = [{**server.conversation(), "with": name} for name in names]
        return {**DONE, "conversations": listed, "next": f"{number}" if len(names) > 1 else next}

    server.answers["conversations"] = page
    with pytest.raises(RequestRefused, match="the list of conversations does not end"):
        async with ChatClient(server.url, user="alice", password="x"):
            pass


async def test_an_invalid_list_is_reported(server: ScriptedServer) -> None:
    server.answers["conversations"] = lambda _: {**DONE, "conversations": None}
    with pytest.raises(InvalidAnswer):
        async with ChatClient(server.url, user="alice", password="x"):
            pass


@pytest.mark.parametrize(
    "seqs",
    [[1, 1], [2, 1], [5, 6], [1, 2, 3, 4], [0]],
    ids=["twice", "back", "beyond", "many", "0"],
)
async def test_a_page_that_was_not_requested_is_rejected(
    server: ScriptedServer, alice: Watcher, seqs: list[int]
) -> None:
    page = [message(max(1, seq), "x") | {"seq": seq} for seq in seqs]
    server.answers["history"] = lambda _: {**DONE, "messages": page, "hasMore": True}
    asked = {"after": 0} if seqs == [0] else {"before": 4}
    with pytest.raises(InvalidAnswer):
        await alice.client.history("bob", limit=3, **asked)


async def test_messages_ends_if_the_server_repeats_a_page(server: ScriptedServer) -> None:
    server.stored = [message(1, "first"), message(2, "second")]
    server.answers["history"] = lambda _: {
        **DONE,
        "messages": server.stored,
        "hasMore": True,
    }
    async with ChatClient(server.url, user="alice", password="x") as client:
        with pytest.raises(InvalidAnswer):
            await newest(client, "bob", 1_000)
    assert len(server.payloads("history")) < 5


async def test_a_search_page_that_refers_to_itself_is_rejected(
    server: ScriptedServer, alice: Watcher
) -> None:
    server.answers["search"] = lambda _: {**DONE, "messages": [], "next": "same"}
    page = await alice.client.search("x")
    with pytest.raises(InvalidAnswer):
        await alice.client.search("x", cursor=page.next)


async def test_more_users_than_requested_are_dropped(
    server: ScriptedServer, alice: Watcher
) -> None:
    user = {"id": "bob", "alias": "Bob", "online": True}
    server.answers["users"] = lambda _: {**DONE, "users": [user] * 1_000}
    assert len(await alice.client.users(limit=3)) == 3


# --- answers that lack something ---------------------------------------------------------


@pytest.mark.parametrize("missing", ["id", "seq", "sentAt"])
async def test_an_incomplete_answer_to_a_message_fails_it(
    server: ScriptedServer, alice: Watcher, missing: str
) -> None:
    whole = {**DONE, "id": "1-1", "seq": 1, "sentAt": "2026-01-01T00:00:00.000Z"}
    server.answers["message"] = lambda _: {k: v for k, v in whole.items() if k != missing}
    posted = alice.client.post("bob", "hi")
    failed = await alice.changed(client_id=posted.client_id, delivery=DeliveryStatus.FAILED)
    assert f"`{missing}`" in failed.error
    assert alice.client.status.waiting == 0
    with pytest.raises(InvalidAnswer):
        await alice.client.send("bob", "hi")


@pytest.mark.parametrize("missing", ["id", "alias", "token", "message", "code"])
async def test_an_incomplete_answer_to_a_login_is_reported(
    server: ScriptedServer, missing: str
) -> None:
    whole = server.answers["login"]({})
    server.answers["login"] = lambda _: {k: v for k, v in whole.items() if k != missing}
    with pytest.raises(RequestRefused, match=f"`{missing}`"):
        async with ChatClient(server.url, user="alice", password="x"):
            pass


async def test_texts_of_a_server_become_one_safe_line(server: ScriptedServer) -> None:
    harm = "\x1b]52;c;AAAA\x07\n\u202e\x9b" * 1_000
    login = server.answers["login"]
    server.answers["login"] = lambda request: login(request) | {"message": harm}
    async with ChatClient(server.url, user="alice", password="x") as client:
        assert client.login_result.message.isprintable()
        for code in ("403", harm):
            server.answers["users"] = lambda _, code=code: {  # type: ignore[misc] # bound now
                "code": code,
                "message": harm,
            }
            with pytest.raises(RequestRefused) as refused:
                await client.users()
            assert str(refused.value).isprintable()
            assert len(str(refused.value)) < 10_000
