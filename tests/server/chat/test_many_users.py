"""More users than fit in the cache: presence and delivery stay correct."""

from __future__ import annotations

import pytest

from pychat.server.chat.state import directory
from tests.server.chat.peers import Peer
from tests.serving import serving


async def test_evicting_offline_users_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MAX_CACHED_USERS", 3)
    async with (
        serving(accounts="open", limits=False) as server,
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
    ):
        for n in range(12):
            async with Peer(server, f"user{n}") as user:
                await user.send("alice", "hi")
        for n in range(12):
            assert (await alice.next("message"))["sender"] == f"user{n}"
            assert (await alice.send(f"user{n}", "back"))["code"] == "202"
            assert (await alice.send("bob", str(n)))["code"] == "200"
            assert (await bob.next("message"))["seq"] == n + 1
        async with Peer(server, "user0") as user:
            assert (await alice.send("user0", "there you are"))["code"] == "200"
            assert (await user.next("message"))["seq"] == 3
            page = await user.ask("history", {"with": "alice"})
            assert [m["data"] for m in page["messages"]] == ["hi", "back", "there you are"]
            assert (await user.ask("read", {"with": "alice", "seq": 3}))["code"] == "200"
            assert (await alice.next("receipt"))["seq"] == 3
        lines = (await alice.ask("conversations", {}))["conversations"]
        assert len(lines) == 14
