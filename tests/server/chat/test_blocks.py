"""``block`` and ``unblock``: nothing gets through, and the blocked user cannot detect it."""

from __future__ import annotations

import pytest

from pychat.server.app import ChatServer
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import chatting, logged_in
from tests.server.chat.peers import OriginalPage, Peer


async def test_a_blocked_sender_does_not_get_through_and_learns_nothing(
    server: ChatServer,
) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        await bob.send("alice", "before")
        await alice.ask("read", {"with": "bob", "seq": 1})
        await bob.next("receipt")
        await alice.next("message")
        await bob.next("presence")
        await alice.next("presence")
        assert (await alice.ask("block", id="bob"))["code"] == "200"
        assert (await bob.next("presence"))["online"] is False
        assert (await alice.next("presence"))["online"] is False
        assert (await bob.send("alice", "hello?"))["code"] == "202"
        assert (await bob.ask("typing", recepient="alice", typing=True))["code"] == "200"
        await bob.send("ALL", "everybody?")
        await alice.ask("read", {"with": "bob", "seq": 2})
        await alice.settle()
        await bob.settle()
        assert alice.waiting("message") == alice.waiting("typing") == []
        assert bob.waiting("receipt") == []
        (bobs, _) = (await bob.ask("conversations", {}))["conversations"]
        bobs = next(
            c for c in (await bob.ask("conversations", {}))["conversations"] if c["with"] == "alice"
        )
        assert (bobs["online"], bobs["peerReadSeq"], bobs["peerDeliveredSeq"]) == (False, 1, 1)
        (mine,) = [
            c for c in (await alice.ask("conversations", {}))["conversations"] if c["with"] == "bob"
        ]
        assert (mine["unread"], mine["last"]["removed"]) == (0, True)
        page = (await alice.ask("history", {"with": "bob"}))["messages"]
        assert page == [{"id": m["id"], "seq": n, "removed": True} for n, m in enumerate(page, 1)]
        assert (await alice.ask("search", text="hello"))["messages"] == []
        assert [u["online"] for u in (await bob.ask("users", query="alice"))["users"]] == [False]


async def test_unblocking_restores_everything(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        await alice.ask("block", id="bob")
        await bob.send("alice", "hello?")
        assert (await alice.ask("unblock", id="bob"))["code"] == "200"
        assert (await bob.send("alice", "again"))["code"] == "200"
        assert (await alice.next("message"))["data"] == "again"
        page = (await alice.ask("history", {"with": "bob"}))["messages"]
        assert [m["data"] for m in page] == ["hello?", "again"]


async def test_an_unblocked_sender_is_heard_by_those_who_unblocked() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob, carol = [await logged_in(chat, id) for id in ("alice", "bob", "carol")]
        for each in (alice, carol):
            await each.ask("block", id="bob")
        await alice.ask("unblock", id="bob")
        await bob.send_message("ALL", "hello")
        assert [len(each.of("message")) for each in (alice, carol)] == [1, 0]


@pytest.mark.parametrize("stored", [True, False])
async def test_a_block_whose_answer_is_an_error_holds_if_it_is_stored(stored: bool) -> None:
    store = DelayedStore()
    failing = store.fail if stored else store.refuse
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        answered = "200" if stored else "503"
        failing("block")
        assert (await alice.ask("block", id="bob"))["code"] == answered
        heard = "202" if stored else "200"
        assert (await bob.send_message("alice", "hello"))["code"] == heard
        assert (await alice.ask("block", id="bob"))["code"] == "200"
        failing("unblock")
        assert (await alice.ask("unblock", id="bob"))["code"] == answered
        heard = "200" if stored else "202"
        assert (await bob.send_message("alice", "hello"))["code"] == heard


async def test_a_block_holds_in_rooms_and_after_the_next_login(server: ChatServer) -> None:
    async with Peer(server, "bob") as bob:
        async with Peer(server, "alice") as alice:
            await bob.ask("room", command="create", roomId="r", roomName="R", roomOwner="bob")
            await alice.ask("room", command="join", roomId="r")
            await alice.ask("block", id="bob")
        async with Peer(server, "alice") as alice:
            await bob.send("r", "hi", "groupchat")
            await bob.send("ALL", "hi")
            assert (await bob.send("alice", "hi"))["code"] == "202"
            await alice.settle()
            assert alice.waiting("message") == []


async def test_a_block_holds_for_original_clients(server: ChatServer) -> None:
    async with Peer(server, "bob") as bob, Peer(server, "carol") as carol:
        async with Peer(server, "alice") as alice:
            await alice.ask("block", id="bob")
        await bob.send("alice", "hidden")
        while (await carol.send("alice", "shown"))["code"] != "202":
            pass
        async with OriginalPage(server, "alice") as page:
            assert (await page.next("message"))["data"] == "shown"
            await carol.send("alice", "last")
            while (await page.next("message"))["data"] != "last":
                pass
            assert [p["sender"] for e, p in page.order if e == "message"].count("bob") == 0


@pytest.mark.parametrize(
    ("id", "code"), [("nobody", "404"), ("alice", "400"), ("", "400"), ("#r", "400")]
)
async def test_ids_that_cannot_be_blocked(server: ChatServer, id: str, code: str) -> None:
    async with Peer(server, "alice") as alice:
        assert (await alice.ask("block", id=id))["code"] == code


async def test_those_who_block_the_asker_take_no_place_among_the_found(
    server: ChatServer,
) -> None:
    async with (
        Peer(server, "alice") as alice,
        Peer(server, "anna") as anna,
        Peer(server, "carol") as carol,
        Peer(server, "dave") as dave,
        Peer(server, "bob") as bob,
    ):
        for peer in (alice, anna):
            assert (await peer.ask("block", id="bob"))["code"] == "200"
        for peer in (alice, anna, carol, dave):
            assert (await peer.login(alias="friend"))["code"] == "200"
        found = (await bob.ask("users", query="friend", limit=3))["users"]
        assert [user["id"] for user in found] == ["carol", "dave"]
