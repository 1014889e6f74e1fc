"""``message``: delivery, answers and refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from pychat.protocol import MAX_DATA_BYTES
from pychat.server.app import ChatServer
from pychat.server.chat import delivery
from pychat.server.store.base import StoreUnavailable
from pychat.server.store.memory import MemoryStore
from pychat.server.store.records import Appended, NewMessage
from tests.server.chat.peers import Peer
from tests.serving import serving


async def test_a_message_reaches_its_recepient_and_is_answered(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        sent = alice.message("bob", "안녕 👋🏽 <b>")
        answer = await alice.ask("message", sent)
        received = await bob.next("message")
        assert answer["code"] == "200"
        assert received == sent | {k: answer[k] for k in ("id", "seq", "sentAt")}
        assert answer["seq"] == 1
        assert answer["sentAt"].endswith("Z")
        await alice.settle()
        assert alice.waiting("message") == []


async def test_every_device_except_the_origin_gets_it(server: ChatServer) -> None:
    async with (
        Peer(server, "alice") as phone,
        Peer(server, "alice") as desk,
        Peer(server, "bob") as bob,
        Peer(server, "bob") as bobs_phone,
    ):
        await phone.send("bob", "hi")
        for peer in (desk, bob, bobs_phone):
            assert (await peer.next("message"))["data"] == "hi"
        await phone.settle()
        assert phone.waiting("message") == []


async def test_a_message_to_oneself_comes_back(server: ChatServer) -> None:
    async with Peer(server, "alice") as phone, Peer(server, "alice") as desk:
        answer = await phone.send("alice", "note")
        assert answer["code"] == "200"
        assert (await phone.next("message"))["data"] == "note"
        assert (await desk.next("message"))["data"] == "note"
        await phone.settle()
        assert phone.waiting("message") == []


async def test_messages_to_all_reach_everybody_and_have_no_response(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob, Peer(server) as guest:
        await alice.tell("message", alice.message("ALL", "hello", command="whatever"))
        for peer in (alice, bob):
            message = await peer.next("message")
            assert (message["recepient"], message["data"]) == ("ALL", "hello")
        answer = await alice.send("ALL", "again")
        assert (answer["code"], answer["seq"]) == ("200", 2)
        assert alice.waiting("response") == []
        assert (await guest.ask("users"))["code"] == "401"
        assert guest.waiting("message") == []


async def test_an_offline_recipient_gets_it_after_the_next_login(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        async with Peer(server, "bob"):
            pass
        answer = await alice.send("bob", "later")
        assert answer["code"] == "202"
        async with Peer(server, "bob") as bob:
            (line, _) = (await bob.ask("conversations"))["conversations"]
            assert (line["with"], line["unread"], line["lastSeq"]) == ("alice", 1, 1)
            (message,) = (await bob.ask("history", {"with": "alice"}))["messages"]
            assert message["data"] == "later"


async def test_without_acknowledgement_the_answer_is_a_response(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob"):
        await alice.tell("message", alice.message("bob", "hi"))
        response = await alice.next("response")
        assert (response["command"], response["code"]) == ("message", "200")
        await alice.tell("message", alice.message("nobody", "hi"))
        response = await alice.next("response")
        assert (response["command"], response["code"]) == ("login", "404")


async def test_the_same_client_id_is_the_same_message(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        message = alice.message("bob", "once")
        first = await alice.ask("message", message)
        again = await alice.ask("message", message)
        upper = await alice.ask("message", message | {"clientId": message["clientId"].upper()})
        assert first == again == upper
        await alice.send("bob", "twice")
        assert [(await bob.next("message"))["data"] for _ in range(2)] == ["once", "twice"]
        assert len((await bob.ask("history", {"with": "alice"}))["messages"]) == 2


async def test_ids_are_found_by_their_canonical_form(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        answer = await alice.send("BOB", "hi")
        assert answer["code"] == "200"
        assert (await bob.next("message"))["recepient"] == "bob"


async def test_seqs_ascend_on_every_connection(server: ChatServer) -> None:
    async with (
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
        Peer(server, "bob") as desk,
    ):
        answers = await asyncio.gather(
            *(alice.send("bob", f"a{n}") for n in range(40)),
            *(bob.send("alice", f"b{n}") for n in range(40)),
        )
        await asyncio.gather(alice.settle(), bob.settle(), desk.settle())
        assert sorted(answer["seq"] for answer in answers) == list(range(1, 81))
        seqs = [message["seq"] for message in desk.waiting("message")]
        assert seqs == list(range(1, 81))
        for peer in (alice, bob):
            seqs = [message["seq"] for message in peer.waiting("message")]
            assert len(seqs) == 40
            assert seqs == sorted(seqs)


async def test_events_keep_their_order_when_the_first_must_be_looked_up(
    server: ChatServer,
) -> None:
    async with Peer(server, "bob"), Peer(server, "carol"):
        pass
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        # carol and bob are not in memory: the first message to each has to ask the store.
        for n in range(5):
            await alice.tell("message", alice.message("carol", f"c{n}"))
            await alice.tell("message", alice.message("bob", f"b{n}"))
        assert [(await bob.next("message"))["data"] for _ in range(5)] == [
            f"b{n}" for n in range(5)
        ]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"sender": "bob"}, "403", "sender"),
        ({"sender": 7}, "400", "sender"),
        ({"recepient": "nobody"}, "404", "recepient"),
        ({"recepient": ""}, "400", "recepient"),
        ({"recepient": "x" * 65}, "400", "recepient"),
        ({"recepient": "all"}, "400", "recepient"),
        ({"recepient": None}, "400", "recepient"),
        ({"recepient": {"$ne": 1}}, "400", "recepient"),
        ({"command": "shout"}, "400", "command"),
        ({"command": "groupchat", "recepient": "nowhere"}, "404", "recepient"),
        ({"type": "image"}, "400", "type"),
        ({"data": ""}, "400", "data"),
        ({"data": ["x"]}, "400", "data"),
        ({"data": "x" * (MAX_DATA_BYTES + 1)}, "413", "data"),
        ({"data": "é" * (MAX_DATA_BYTES // 2 + 1)}, "413", "data"),
        ({"clientId": "1"}, "400", "clientId"),
        ({"clientId": 5}, "400", "clientId"),
    ],
)
async def test_a_wrong_message_is_refused_and_changes_nothing(
    server: ChatServer, change: dict[str, Any], code: str, field: str
) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        answer = await alice.ask("message", alice.message("bob", "hi") | change)
        assert answer["code"] == code
        assert answer["message"].startswith(field)
        await bob.settle()
        assert bob.waiting("message") == []
        assert (await bob.ask("history", {"with": "alice"}))["messages"] == []
        assert (await alice.send("bob", "x" * MAX_DATA_BYTES))["code"] == "200"


@pytest.mark.parametrize("payload", [None, 1, "text", [], {}, {"sender": "alice"}])
async def test_malformed_payloads_are_refused(server: ChatServer, payload: Any) -> None:
    async with Peer(server, "alice") as alice:
        answer = await alice.sio.call("message", payload, timeout=60)
        assert answer["code"] == "400"
        assert (await alice.send("alice", "still here"))["code"] == "200"


async def test_sending_requires_a_login(server: ChatServer) -> None:
    async with Peer(server) as guest, Peer(server, "alice"):
        guest.id = "alice"
        assert (await guest.send("alice", "hi"))["code"] == "401"
        assert (await guest.send("ALL", "hi"))["code"] == "401"


async def test_an_unknown_event_is_refused(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice:
        assert (await alice.ask("subscribe", {}))["code"] == "400"


class FailingStore(MemoryStore):
    """A store that is unavailable while ``away``, and raises other errors while ``broken``."""

    away = False
    broken = False
    half = False

    async def append(self, batch: Sequence[NewMessage]) -> list[Appended]:
        if self.half:
            await super().append(batch)
            raise StoreUnavailable("nobody knows what was written")
        if self.away:
            raise StoreUnavailable("the disk is full")
        if self.broken:
            raise RuntimeError("a fault of ours")
        return await super().append(batch)


async def test_a_message_that_is_not_stored_is_neither_delivered_nor_acknowledged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FailingStore()
    async with (
        serving(store, accounts="open") as server,
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
    ):
        client_id = str(uuid4())
        store.away = True
        answer = await alice.send("bob", "one secret", clientId=client_id)
        assert (answer["code"], answer["retryAfter"] > 0) == ("503", True)
        store.away, store.broken = False, True
        assert (await alice.send("bob", "one secret", clientId=client_id))["code"] == "500"
        assert "a fault of ours" in caplog.text
        assert "one secret" not in caplog.text
        await bob.settle()
        assert bob.waiting("message") == []
        store.broken = False
        answer = await alice.send("bob", "one secret", clientId=client_id)
        assert (answer["code"], answer["seq"]) == ("200", 1)
        assert (await bob.next("message"))["seq"] == 1


@pytest.mark.parametrize("to", ["bob", "ALL"])
async def test_a_message_stored_by_a_failed_write_is_delivered_by_the_retry(
    to: str,
) -> None:
    store = FailingStore()
    async with (
        serving(store, accounts="open") as server,
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
    ):
        store.half = True
        sent = alice.message(to, "in doubt")
        assert (await alice.ask("message", sent))["code"] == "503"
        store.half = False
        for _ in range(2):
            answer = await alice.ask("message", sent)
            assert (answer["code"], answer["seq"]) == ("200", 1)
        assert (await bob.next("message"))["seq"] == 1
        await bob.settle()
        assert bob.waiting("message") == []


async def test_a_backlog_is_stored_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "MAX_BATCH", 7)
    async with (
        serving(accounts="open", limits=False) as server,
        Peer(server, "alice") as alice,
        Peer(server, "bob") as bob,
    ):
        for n in range(100):
            await alice.tell("message", alice.message("bob", str(n)))
        page = await alice.ask("history", {"with": "bob", "limit": 100})
        assert [m["data"] for m in page["messages"]] == [str(n) for n in range(100)]
        received = [await bob.next("message") for _ in range(100)]
        assert [(m["seq"], m["data"]) for m in received] == [(n + 1, str(n)) for n in range(100)]
