"""Clients of the original protocol: each row of the protocol's table, catch-up and proof."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from pychat.server.app import ChatServer
from pychat.server.chat.limits import Limits, Rate
from pychat.server.chat.notices import original, proof
from pychat.server.chat.state.entities import Pair
from tests.server.chat.peers import OriginalPage, Peer
from tests.serving import serving


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let proof count after a short time."""
    monkeypatch.setattr(proof, "ASK_SECONDS", 0.02)
    monkeypatch.setattr(proof, "STAY_SECONDS", 0.05)


async def test_login_and_one_to_one(server: ChatServer) -> None:
    async with OriginalPage(server) as alice, OriginalPage(server, "bob") as bob:
        alice.id = "alice"
        await alice.login()
        response = await alice.next("response")
        assert (response["command"], response["code"]) == ("login", "200")
        assert response["message"]
        await alice.send("bob", "hello")
        response = await alice.next("response")
        assert (response["command"], response["code"]) == ("message", "200")
        message = await bob.next("message")
        original = {k: message[k] for k in ("sender", "recepient", "command", "type", "data")}
        assert original == {
            "sender": "alice",
            "recepient": "bob",
            "command": "chat",
            "type": "text",
            "data": "hello",
        }


async def test_an_unknown_recepient_is_answered_as_a_login(server: ChatServer) -> None:
    async with OriginalPage(server, "alice") as alice:
        await alice.send("nobody", "hello")
        response = await alice.next("response")
        assert (response["command"], response["code"]) == ("login", "404")


async def test_messages_to_all_are_echoed_without_a_response(server: ChatServer) -> None:
    async with OriginalPage(server, "alice") as alice, OriginalPage(server, "bob") as bob:
        await alice.send("ALL", "everybody")
        assert (await alice.next("message"))["data"] == "everybody"
        assert (await bob.next("message"))["data"] == "everybody"
        await alice.send("bob", "then")
        assert (await alice.next("response"))["command"] == "message"
        assert alice.waiting("response") == []


async def test_rooms_as_the_original_knows_them(server: ChatServer) -> None:
    room = {"roomId": "r1", "roomName": "Room one", "roomOwner": "alice"}
    async with OriginalPage(server, "alice") as alice, OriginalPage(server, "bob") as bob:
        await alice.tell("room", room | {"command": "create"})
        for page in (alice, bob):
            assert await page.next("room") == {
                "command": "list",
                "rooms": [{"id": "r1", "name": "Room one", "owner": "alice"}],
            }
        await bob.tell("room", room | {"command": "join"})
        response = await bob.next("response")
        assert (response["command"], response["code"]) == ("room", "200")
        await bob.next("room")
        await bob.send("r1", "hi room", command="groupchat")
        assert (await alice.next("message"))["data"] == "hi room"
        assert (await bob.next("message"))["recepient"] == "r1"
        response = await bob.next("response")
        assert (response["command"], response["code"]) == ("message", "200")
        await alice.next("room")
        await alice.tell("room", room | {"command": "update", "roomName": "New"})
        assert (await bob.next("room"))["rooms"][0]["name"] == "New"
        await bob.tell("room", room | {"command": "delete"})
        response = await bob.next("response")
        assert (response["command"], response["code"]) == ("room", "403")
        await bob.tell("room", room | {"command": "leave"})
        assert (await bob.next("response"))["code"] == "200"
        await bob.next("room")
        await alice.tell("room", room | {"command": "delete"})
        assert (await bob.next("room"))["rooms"] == []
        assert alice.waiting("response") == []


async def test_events_before_the_login_is_answered_wait_for_it(server: ChatServer) -> None:
    async with OriginalPage(server, "bob") as bob, OriginalPage(server) as alice:
        alice.id = "alice"
        await alice.login()
        for n in range(16):
            await alice.send("bob", str(n))
        assert [(await bob.next("message"))["data"] for _ in range(16)] == [
            str(n) for n in range(16)
        ]
        commands = [(await alice.next("response"))["command"] for _ in range(17)]
        assert commands == ["login"] + ["message"] * 16


async def test_missed_messages_are_sent_once(server: ChatServer) -> None:
    async with Peer(server, "carol") as carol, Peer(server, "alice") as alice:
        async with OriginalPage(server, "bob"):
            pass
        async with asyncio.timeout(60):
            while (await alice.send("bob", "0"))["code"] != "202":
                pass
        for n in range(1, 300):
            assert (await alice.send("bob", str(n)))["code"] == "202"
        await carol.send("bob", "and carol")
        async with OriginalPage(server, "bob") as bob:
            missed = [await bob.next("message") for _ in range(301)]
            of_alice = [m for m in missed if m["sender"] == "alice"]
            assert [m["seq"] for m in of_alice] == list(range(1, 301))
            assert [m["data"] for m in missed if m["sender"] == "carol"] == ["and carol"]
            assert (await alice.send("bob", "live"))["code"] == "200"
            assert (await bob.next("message"))["data"] == "live"
            while (await alice.next("receipt"))["seq"] != 301:
                pass
        async with OriginalPage(server, "bob") as bob:
            await alice.send("bob", "only this")
            assert (await bob.next("message"))["data"] == "only this"


async def test_messages_during_the_catch_up_come_in_order(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        async with Peer(server, "bob"):
            pass
        for n in range(250):
            await alice.tell("message", alice.message("bob", str(n)))
        await alice.settle()
        async with OriginalPage(server) as bob:
            bob.id = "bob"
            await bob.login()
            for n in range(250, 500):
                await alice.tell("message", alice.message("bob", str(n)))
            seqs = [(await bob.next("message"))["seq"] for _ in range(500)]
            assert seqs == list(range(1, 501))
            await alice.settle()
            assert bob.waiting("message") == []


async def test_a_restart_keeps_the_delivered_cursor(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with (
        serving(store, accounts="open") as server,
        Peer(server, "alice") as alice,
        OriginalPage(server, "bob") as bob,
    ):
        await alice.send("bob", "seen")
        assert (await bob.next("message"))["data"] == "seen"
        assert (await alice.next("receipt"))["kind"] == "delivered"
    async with serving(store, accounts="open") as server, Peer(server, "alice") as alice:
        assert (await alice.send("bob", "unseen"))["code"] == "202"
        async with OriginalPage(server, "bob") as bob:
            assert (await bob.next("message"))["data"] == "unseen"


async def test_it_gets_no_events_of_newer_protocols(server: ChatServer) -> None:
    async with OriginalPage(server, "bob") as bob, Peer(server, "alice") as alice:
        await bob.send("alice", "hi")
        assert (await bob.next("response"))["code"] == "200"
        await alice.ask("read", {"with": "bob", "seq": 1})
        await alice.ask("typing", recepient="bob", typing=True)
        await alice.ask("typing", recepient="ALL", typing=True)
        await alice.send("bob", "last")
        await bob.next("message")
        assert {event for event, _ in bob.order} == {"response", "message"}


async def test_a_page_that_leaves_at_once_causes_no_error(tmp_path: Path) -> None:
    async with (
        serving(f"sqlite:///{tmp_path}/chat.db", accounts="open", limits=False) as server,
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
    ):

        async def come_and_go(n: int) -> None:
            async with OriginalPage(server, "carol"):
                await bob.send("carol", str(n))

        for n in range(1, 21):
            await bob.send("alice", str(n))
            answer, _ = await asyncio.gather(
                alice.ask("read", {"with": "bob", "seq": n}), come_and_go(n)
            )
            assert answer["code"] == "200"


async def delivered(alice: Peer, seq: int) -> None:
    """Return when the receipt for that message has come."""
    while (receipt := await alice.next("receipt"))["seq"] < seq:
        assert receipt["kind"] == "delivered"


@pytest.mark.parametrize("pongs", [True, False])
async def test_a_page_that_leaves_at_once_gets_the_message_again(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, pongs: bool
) -> None:
    async with Peer(server, "alice") as alice:
        if pongs:
            monkeypatch.setattr(proof, "STAY_SECONDS", 60)
        for _ in range(2):
            async with OriginalPage(server, "bob", pongs=pongs) as bob:
                if not alice.order:
                    await alice.send("bob", "live")
                first = await bob.next("message")
                assert (first["data"], first["seq"]) == ("live", 1)
                assert not alice.waiting("receipt")
            await alice.gone_offline("bob")
        monkeypatch.setattr(proof, "STAY_SECONDS", 0)
        async with OriginalPage(server, "bob") as bob:
            assert (await bob.next("message"))["seq"] == 1
            await delivered(alice, 1)
            await alice.send("bob", "next")
            assert (await bob.next("message"))["data"] == "next"


async def test_proven_messages_are_sent_once(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        async with OriginalPage(server, "bob") as bob:
            for n in range(1, 11):
                await alice.send("bob", str(n))
                assert (await bob.next("message"))["data"] == str(n)
            await delivered(alice, 10)
        async with OriginalPage(server, "bob") as bob:
            await alice.send("bob", "new")
            assert (await bob.next("message"))["data"] == "new"


async def test_proof_on_one_connection_counts_for_the_user(server: ChatServer) -> None:
    async with (
        Peer(server, "alice") as alice,
        OriginalPage(server, "bob", pongs=False) as deaf,
        OriginalPage(server, "bob") as bob,
    ):
        await alice.send("bob", "both")
        assert (await deaf.next("message"))["data"] == "both"
        assert (await bob.next("message"))["data"] == "both"
        await delivered(alice, 1)


async def test_messages_to_oneself_right_after_the_login(server: ChatServer) -> None:
    for n in range(1, 4):
        async with OriginalPage(server, pongs=False) as alice:
            alice.id = "alice"
            await alice.login()
            await alice.send("alice", str(n))
            assert [(await alice.next("message"))["seq"] for _ in range(n)] == list(range(1, n + 1))


async def test_messages_to_oneself_from_a_newer_client_are_not_missed(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        await alice.send("alice", "a note")
        async with OriginalPage(server, "alice") as page:
            await page.send("alice", "another")
            assert (await page.next("message"))["data"] == "another"


async def test_without_proof_two_pages_are_sent(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(original, "PAGE", 10)
    async with Peer(server, "alice") as alice:
        async with Peer(server, "bob"):
            pass
        for n in range(35):
            await alice.tell("message", alice.message("bob", str(n)))
        await alice.settle()
        async with OriginalPage(server, "bob", pongs=False) as bob:
            await alice.send("bob", "waits for its turn")
            assert [(await bob.next("message"))["seq"] for _ in range(20)] == list(range(1, 21))
            await bob.send("alice", "answered after the pages")
            await bob.next("response")
            assert bob.waiting("message") == []
        async with OriginalPage(server, "bob") as bob:
            assert [(await bob.next("message"))["seq"] for _ in range(36)] == list(range(1, 37))


async def test_when_the_server_stops_proof_counts_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    monkeypatch.setattr(proof, "STAY_SECONDS", 60)
    proven = asyncio.Event()
    count = proof.ReceiptProof._received

    def counted(self: proof.ReceiptProof, seqs: dict[Pair, int]) -> None:
        count(self, seqs)
        proven.set()

    monkeypatch.setattr(proof.ReceiptProof, "_received", counted)
    async with (
        serving(store, accounts="open") as server,
        Peer(server, "alice") as alice,
        OriginalPage(server, "bob") as bob,
    ):
        await alice.send("bob", "seen")
        await bob.next("message")
        await proven.wait()
        await server.stop()
    async with serving(store, accounts="open") as server, Peer(server, "alice") as alice:
        await alice.send("bob", "unseen")
        async with OriginalPage(server, "bob") as bob:
            assert (await bob.next("message"))["data"] == "unseen"


async def test_a_failed_catch_up_disconnects_the_client(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Peer(server, "alice") as alice:
        async with Peer(server, "bob"):
            pass
        await alice.gone_offline("bob")
        await alice.send("bob", "missed")
        with monkeypatch.context() as broken:
            broken.setattr(original, "message_payload", None)
            async with OriginalPage(server, "bob") as bob:
                await bob.gone()
        async with OriginalPage(server, "bob") as bob:
            assert (await bob.next("message"))["data"] == "missed"


# --- pages without a login


async def test_a_page_without_a_login_writes_to_all_and_gets_an_echo(server: ChatServer) -> None:
    async with OriginalPage(server) as page, Peer(server, "bob") as bob:
        page.id = "test01"
        await page.send("ALL", "hello")
        assert (await page.next("message"))["data"] == "hello"
        message = await bob.next("message")
        assert (message["sender"], message["data"]) == ("test01", "hello")
        await page.send("bob", "to one")
        assert (await bob.next("message"))["data"] == "to one"
        response = await page.next("response")
        # The login, which the page did not request, is not answered.
        assert (response["command"], response["code"]) == ("message", "200")
        await bob.send("test01", "back")
        assert (await page.next("message"))["data"] == "back"
        page.id = "test02"
        await page.send("ALL", "the same page, another sender")
        assert (await bob.next("message"))["sender"] == "test02"
        assert (await bob.send("test01", "gone"))["code"] == "202"


async def test_messages_without_a_login_come_in_order(server: ChatServer) -> None:
    async with OriginalPage(server) as page, Peer(server, "bob") as bob:
        page.id = "test01"
        for n in range(50):
            await page.send("ALL", str(n))
        assert [(await bob.next("message"))["data"] for _ in range(50)] == [
            str(n) for n in range(50)
        ]


async def test_after_a_login_only_its_user_writes(server: ChatServer) -> None:
    async with OriginalPage(server) as page:
        page.id = "test01"
        await page.send("ALL", "without")
        await page.next("message")
        await page.login("alice")
        assert (await page.next("response"))["command"] == "login"
        await page.send("ALL", "forged")
        response = await page.next("response")
        assert (response["command"], response["code"]) == ("message", "403")


@pytest.mark.parametrize(
    ("sender", "text", "code"),
    [("ALL", "hi", "400"), ("#x", "hi", "400"), ("", "hi", "400"), ("new", "", "400")],
)
async def test_a_refused_message_creates_no_account(
    server: ChatServer, sender: str, text: str, code: str
) -> None:
    async with OriginalPage(server) as page, Peer(server, "bob") as bob:
        page.id = sender
        await page.send("ALL", text)
        response = await page.next("response")
        assert (response["command"], response["code"]) == ("message", code)
        assert response["message"].startswith("data: " if not text else "sender: ")
        assert [user["id"] for user in (await bob.ask("users", query=""))["users"]] == ["bob"]


@pytest.mark.parametrize("accounts", ["claim", "closed"])
async def test_with_passwords_a_page_must_log_in(
    accounts: Literal["claim", "closed"],
) -> None:
    async with serving(accounts=accounts) as server, OriginalPage(server) as page:
        page.id = "test01"
        await page.send("ALL", "hello")
        response = await page.next("response")
        assert (response["command"], response["code"]) == ("message", "401")


async def test_writing_without_a_login_has_the_limits_of_logins() -> None:
    limits = Limits(logins=Rate(0.001, 2))
    async with serving(accounts="open", limits=limits) as server, OriginalPage(server) as page:
        for n in range(3):
            page.id = f"test0{n}"
            await page.send("ALL", "hello")
        response = await page.next("response")
        assert (response["command"], response["code"]) == ("message", "429")


async def test_a_page_may_spell_its_id_in_another_way(server: ChatServer) -> None:
    async with Peer(server, "Alice"), OriginalPage(server, "aLICE") as page:
        await page.send("ALL", "hello")
        assert (await page.next("message"))["sender"] == "Alice"
