"""``history`` and ``search``: pages, their limits, and messages that the reader may not see."""

from __future__ import annotations

from typing import Any

import pytest

from pychat.protocol import MAX_DATA_BYTES
from pychat.server.app import ChatServer
from tests.server.chat.peers import Peer


def seqs(answer: Any) -> list[int]:
    assert answer["code"] == "200", answer
    return [message["seq"] for message in answer["messages"]]


async def test_pages_both_ways(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        for n in range(120):
            await alice.tell("message", alice.message("bob", str(n)))
        await alice.settle()
        newest = await bob.ask("history", {"with": "alice"})
        assert (seqs(newest), newest["hasMore"]) == (list(range(71, 121)), True)
        older = await bob.ask("history", {"with": "alice", "before": 71, "limit": 100})
        assert (seqs(older), older["hasMore"]) == (list(range(1, 71)), False)
        newer = await alice.ask("history", {"with": "bob", "after": 110, "limit": 5})
        assert (seqs(newer), newer["hasMore"]) == ([111, 112, 113, 114, 115], True)
        rest = await alice.ask("history", {"with": "bob", "after": 115})
        assert (seqs(rest), rest["hasMore"]) == ([116, 117, 118, 119, 120], False)


async def test_history_shows_messages_as_sent(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        sent = alice.message("bob", '\u202e \x1b]2;title\x07 ​ \\ " </script> 안녕 👨‍👩‍👧')
        answer = await alice.ask("message", sent)
        live = await bob.next("message")
        (kept,) = (await bob.ask("history", {"with": "alice"}))["messages"]
        assert kept == live == sent | {k: answer[k] for k in ("id", "seq", "sentAt")}


async def test_a_page_ends_at_256_kib(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        for _ in range(6):
            await alice.send("bob", "x" * MAX_DATA_BYTES)
        newest = await bob.ask("history", {"with": "alice"})
        assert (seqs(newest), newest["hasMore"]) == ([4, 5, 6], True)
        first = await bob.ask("history", {"with": "alice", "after": 0})
        assert (seqs(first), first["hasMore"]) == ([1, 2, 3], True)
        await alice.send("bob", "\x00" * MAX_DATA_BYTES)
        alone = await bob.ask("history", {"with": "alice"})
        assert (seqs(alone), alone["hasMore"]) == ([7], True)


async def test_an_empty_conversation_is_an_empty_page(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob"):
        for name in ("bob", "ALL"):
            answer = await alice.ask("history", {"with": name})
            assert (seqs(answer), answer["hasMore"]) == ([], False)


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({}, "400", "with"),
        ({"with": "nobody"}, "404", "with"),
        ({"with": "#nowhere"}, "404", "with"),
        ({"with": "#"}, "400", "with"),
        ({"with": "#secret"}, "403", "with"),
        ({"with": "bob", "limit": 0}, "400", "limit"),
        ({"with": "bob", "limit": 101}, "400", "limit"),
        ({"with": "bob", "limit": "5"}, "400", "limit"),
        ({"with": "bob", "before": -1}, "400", "before"),
        ({"with": "bob", "before": 1.5}, "400", "before"),
        ({"with": "bob", "before": 2**60}, "400", "before"),
        ({"with": "bob", "before": 9, "after": 1}, "400", "after"),
    ],
)
async def test_a_wrong_request_is_refused(
    server: ChatServer, request_: dict[str, Any], code: str, field: str
) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        await bob.ask("room", command="create", roomId="secret", roomName="s", roomOwner="bob")
        answer = await alice.ask("history", request_)
        assert (answer["code"], answer["message"].split(":")[0]) == (code, field)


async def test_an_answer_needs_an_acknowledgement(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        await alice.tell("history", {"with": "ALL"})
        response = await alice.next("response")
        assert (response["command"], response["code"]) == ("history", "400")


async def test_search_finds_only_what_the_reader_may_read(server: ChatServer) -> None:
    async with (
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
        Peer(server, "eve") as eve,
    ):
        await alice.send("bob", "the Treasure lies here")
        await bob.send("alice", "treasures? 보물 지도")
        await alice.send("ALL", "no such thing")
        found = await bob.ask("search", text="TREASURE")
        assert seqs(found) == [2, 1]
        assert seqs(await bob.ask("search", {"text": "보물", "with": "alice"})) == [2]
        assert seqs(await bob.ask("search", {"text": "treasure", "with": "ALL"})) == []
        assert seqs(await eve.ask("search", text="treasure")) == []


async def test_search_by_pages(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob"):
        for _ in range(7):
            await alice.send("bob", "word " + "x" * (MAX_DATA_BYTES - 10))
        found: list[int] = []
        page = await alice.ask("search", text="word")
        found += seqs(page)
        assert len(found) == 3
        while "next" in page:
            page = await alice.ask("search", text="word", cursor=page["next"])
            found += seqs(page)
        assert found == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({"text": ""}, "400", "text"),
        ({"text": "  "}, "400", "text"),
        ({"text": "x" * 257}, "400", "text"),
        ({"text": "x", "cursor": "made up"}, "400", "cursor"),
        ({"text": "x", "with": "nobody"}, "404", "with"),
        ({"text": "x", "limit": 1000}, "400", "limit"),
    ],
)
async def test_a_wrong_search_is_refused(
    server: ChatServer, request_: dict[str, Any], code: str, field: str
) -> None:
    async with Peer(server, "alice") as alice:
        answer = await alice.ask("search", request_)
        assert (answer["code"], answer["message"].split(":")[0]) == (code, field)
