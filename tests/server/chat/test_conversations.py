"""``conversations``, ``delivered``, ``read`` and ``receipt``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pychat.protocol import MAX_DATA_BYTES
from pychat.server.app import ChatServer
from tests.server.chat.peers import Peer
from tests.serving import serving


async def line(peer: Peer, name: str) -> Any:
    answer = await peer.ask("conversations", {})
    (found,) = [c for c in answer["conversations"] if c["with"] == name]
    return found


async def test_an_entry_of_the_list(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        async with Peer(server) as bob:
            await bob.login("bob", alias="Bob B.")
            await alice.send("bob", "one")
            await alice.send("bob", "two")
            bobs = await line(bob, "alice")
            assert bobs["unread"] == 2
            assert bobs["last"]["data"] == "two"
            await bob.ask("delivered", {"with": "alice", "seq": 2})
            await bob.ask("read", {"with": "alice", "seq": 1})
            bobs = await line(bob, "alice")
            cursors = {k: bobs[k] for k in ("firstSeq", "lastSeq", "deliveredSeq", "readSeq")}
            assert cursors == {"firstSeq": 1, "lastSeq": 2, "deliveredSeq": 2, "readSeq": 1}
            assert bobs["unread"] == 1
            mine = await line(alice, "bob")
            assert (mine["alias"], mine["online"]) == ("Bob B.", True)
            assert (mine["peerDeliveredSeq"], mine["peerReadSeq"], mine["unread"]) == (2, 1, 0)
        assert (
            not (await alice.next("presence"))["online"]
            or not (await alice.next("presence"))["online"]
        )
        assert (await line(alice, "bob"))["online"] is False


async def test_pages_come_newest_first(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        for n in range(7):
            async with Peer(server, f"user{n}"):
                await alice.send(f"user{n}", "hi")
        await alice.send("user3", "again")
        names: list[str] = []
        page: Any = {"next": None}
        while "next" in page:
            page = await alice.ask("conversations", {"cursor": page["next"], "limit": 3})
            assert len(page["conversations"]) <= 3
            names += [c["with"] for c in page["conversations"]]
        assert names == ["user3", "user6", "user5", "user4", "user2", "user1", "user0", "ALL"]


async def test_a_page_ends_at_256_kib(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        for n in range(6):
            async with Peer(server, f"user{n}"):
                await alice.send(f"user{n}", "x" * MAX_DATA_BYTES)
        first = await alice.ask("conversations", {})
        assert [c["with"] for c in first["conversations"]] == ["user5", "user4", "user3"]
        rest = await alice.ask("conversations", {"cursor": first["next"]})
        assert [c["with"] for c in rest["conversations"]] == ["user2", "user1", "user0", "ALL"]


async def test_a_made_up_cursor_is_refused(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        answer = await alice.ask("conversations", {"cursor": "made up"})
        assert (answer["code"], answer["message"].split(":")[0]) == ("400", "cursor")


async def test_receipts_reach_the_sender_and_the_users_other_devices(server: ChatServer) -> None:
    async with (
        Peer(server, "alice") as alice,
        Peer(server, "bob") as phone,
        Peer(server, "bob") as desk,
    ):
        await alice.send("bob", "hi")
        assert (await phone.ask("delivered", {"with": "alice", "seq": 1}))["code"] == "200"
        receipt = {"by": "bob", "kind": "delivered", "seq": 1}
        assert await alice.next("receipt") == receipt | {"with": "bob"}
        assert await desk.next("receipt") == receipt | {"with": "alice"}
        await phone.tell("read", {"with": "alice", "seq": 1})
        assert await alice.next("receipt") == receipt | {"with": "bob", "kind": "read"}
        assert await desk.next("receipt") == receipt | {"with": "alice", "kind": "read"}
        await phone.settle()
        assert phone.waiting("receipt") == []
        assert phone.waiting("response") == []


async def test_cursors_only_move_forward(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        for _ in range(3):
            await alice.send("bob", "hi")
        assert (await bob.ask("read", {"with": "alice", "seq": 3}))["code"] == "200"
        assert (await bob.ask("delivered", {"with": "alice", "seq": 2}))["code"] == "200"
        assert (await bob.ask("read", {"with": "alice", "seq": 1}))["code"] == "200"
        mine = await line(bob, "alice")
        assert (mine["deliveredSeq"], mine["readSeq"]) == (3, 3)
        await alice.settle()
        assert [r["seq"] for r in alice.waiting("receipt")] == [3]


async def test_all_and_rooms_have_cursors_but_no_receipts(server: ChatServer) -> None:
    async with (
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
        Peer(server, "bob") as desk,
    ):
        await alice.send("ALL", "hi")
        assert (await line(bob, "ALL"))["unread"] == 1
        await bob.ask("read", {"with": "ALL", "seq": 1})
        assert (await desk.next("receipt"))["with"] == "ALL"
        assert (await line(bob, "ALL"))["unread"] == 0
        await alice.settle()
        assert alice.waiting("receipt") == []


@pytest.mark.parametrize("event", ["delivered", "read"])
@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({"with": "bob", "seq": 2}, "400", "seq"),
        ({"with": "carol", "seq": 1}, "400", "seq"),
        ({"with": "bob", "seq": -1}, "400", "seq"),
        ({"with": "bob"}, "400", "seq"),
        ({"with": "nobody", "seq": 0}, "404", "with"),
        ({"with": "#secret", "seq": 0}, "403", "with"),
        ({"with": 3, "seq": 0}, "400", "with"),
    ],
)
async def test_a_wrong_cursor_is_refused(
    server: ChatServer, event: str, request_: dict[str, Any], code: str, field: str
) -> None:
    async with (
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
        Peer(server, "carol"),
    ):
        await bob.ask("room", command="create", roomId="secret", roomName="s", roomOwner="bob")
        await bob.send("alice", "hi")
        answer = await alice.ask(event, request_)
        assert (answer["code"], answer["message"].split(":")[0]) == (code, field)
        await bob.settle()
        assert bob.waiting("receipt") == []


async def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with (
        serving(store, accounts="open") as server,
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
    ):
        first = await alice.send("bob", "kept")
        await bob.ask("read", {"with": "alice", "seq": 1})
        await alice.send("ALL", "hello")
        await bob.ask("read", {"with": "ALL", "seq": 1})
    async with serving(store, accounts="open") as server, Peer(server, "alice") as alice:
        mine = await line(alice, "bob")
        assert mine["last"]["id"] == first["id"]
        assert (mine["peerReadSeq"], mine["online"]) == (1, False)
        assert (await alice.send("bob", "next"))["seq"] == 2
        async with Peer(server, "bob") as bob:
            assert (await line(bob, "alice"))["unread"] == 1
            assert (await line(bob, "ALL"))["readSeq"] == 1


async def test_the_list_shows_last_seen_and_blocked(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        async with Peer(server, "bob") as bob:
            await bob.send("alice", "hi")
            mine = await line(alice, "bob")
            assert "lastSeen" not in mine
            assert "blocked" not in mine
        while (gone := await alice.next("presence"))["online"]:
            pass
        assert (await line(alice, "bob"))["lastSeen"] == gone["lastSeen"]
        everyone = await line(alice, "ALL")
        assert "lastSeen" not in everyone
        assert "blocked" not in everyone

        await alice.ask("block", id="bob")
        mine = await line(alice, "bob")
        assert mine["blocked"] is True
        assert "lastSeen" not in mine
        await alice.ask("unblock", id="bob")
        assert (await line(alice, "bob"))["lastSeen"] == gone["lastSeen"]
        assert "blocked" not in await line(alice, "bob")


async def test_a_blocked_user_never_sees_the_blocker_online(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        async with Peer(server, "bob") as bob:
            await bob.send("alice", "hi")
            await bob.ask("block", id="alice")
            while (gone := await alice.next("presence"))["online"]:
                pass
            mine = await line(alice, "bob")
            assert mine["lastSeen"] == gone["lastSeen"]
            assert "blocked" not in mine
        assert await line(alice, "bob") == mine
