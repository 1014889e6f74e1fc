"""``presence``, ``typing`` and ``users``."""

from __future__ import annotations

from typing import Any

import pytest

from pychat.server.app import ChatServer
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import chatting, logged_in
from tests.server.chat.peers import Peer


async def test_partners_see_each_other_come_and_go(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "stranger") as stranger:
        async with Peer(server, "bob") as bob:
            await alice.send("bob", "hi")
            presence = {"id": "bob", "alias": "bob", "online": True, "lastSeen": None}
            assert await alice.next("presence") == presence
            assert (await bob.next("presence"))["id"] == "alice"
        gone = await alice.next("presence")
        assert gone["lastSeen"].endswith("Z")
        assert gone == presence | {"online": False, "lastSeen": gone["lastSeen"]}
        async with Peer(server, "bob") as phone:
            assert await alice.next("presence") == presence
            async with Peer(server, "bob"):
                pass
            await phone.settle()
            await alice.settle()
            assert alice.waiting("presence") == []
        await stranger.settle()
        assert stranger.waiting("presence") == []


async def test_typing_reaches_the_other_one_only(server: ChatServer) -> None:
    async with (
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
        Peer(server, "eve") as eve,
    ):
        assert (await alice.ask("typing", recepient="bob", typing=True))["code"] == "200"
        notice = {"sender": "alice", "recepient": "bob", "typing": True}
        assert await bob.next("typing") == notice
        await alice.tell("typing", {"recepient": "bob", "typing": False})
        assert await bob.next("typing") == notice | {"typing": False}
        await alice.tell("typing", {"recepient": "ALL", "typing": True})
        assert (await bob.next("typing"))["recepient"] == "ALL"
        assert (await eve.next("typing"))["recepient"] == "ALL"
        await alice.settle()
        assert alice.order == []


async def test_typing_in_a_room_reaches_its_members(server: ChatServer) -> None:
    async with (
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
        Peer(server, "eve") as eve,
    ):
        await alice.ask("room", command="create", roomId="r", roomName="R", roomOwner="alice")
        await bob.ask("room", command="join", roomId="r")
        await alice.ask("typing", recepient="#r", typing=True)
        assert (await bob.next("typing"))["recepient"] == "#r"
        assert (await eve.ask("typing", recepient="#r", typing=True))["code"] == "403"
        await alice.settle()
        assert eve.waiting("typing") == alice.waiting("typing") == []


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({"recepient": "nobody", "typing": True}, "404", "recepient"),
        ({"recepient": "bob", "typing": "yes"}, "400", "typing"),
        ({"recepient": "bob"}, "400", "typing"),
        ({"typing": True}, "400", "recepient"),
        ({"recepient": "x" * 65, "typing": True}, "400", "recepient"),
    ],
)
async def test_wrong_typing_is_refused(
    server: ChatServer, request_: dict[str, Any], code: str, field: str
) -> None:
    async with Peer(server, "alice") as alice:
        answer = await alice.ask("typing", request_)
        assert (answer["code"], answer["message"].split(":")[0]) == (code, field)


async def test_users_are_found_by_id_and_alias(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        async with Peer(server) as bob:
            await bob.login("bob", alias="Robert Ézé")
            found = await alice.ask("users", query="eze")
            assert found["users"] == [{"id": "bob", "alias": "Robert Ézé", "online": True}]
        everybody = await alice.ask("users", {})
        assert [u["id"] for u in everybody["users"]] == ["alice", "bob"]
        assert len((await alice.ask("users", {"limit": 1}))["users"]) == 1
        assert (await alice.ask("users", query="x" * 257))["code"] == "400"
        assert (await alice.ask("users", limit=0))["code"] == "400"


async def test_who_is_online_when_the_server_stops_was_last_seen_then() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        await logged_in(chat, "alice")
    account = await store.inner.account("alice")
    assert account is not None
    assert account.last_seen_at is not None
