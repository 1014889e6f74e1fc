"""Answers and events that the real server rarely or never sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pychat.client import ChatClient, RequestRefused, ServerUnreachable
from pychat.client.events import ConversationChanged, ConversationsLoaded, StatusChanged
from pychat.client.models import ConnectionState, DeliveryStatus
from pychat.protocol import Availability, NotifyLevel
from tests.client.scripted import DONE, ScriptedServer, message, scripted
from tests.client.watcher import Watcher, started


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted() as server:
        yield server


@pytest.fixture
async def alice(server: ScriptedServer) -> AsyncIterator[Watcher]:
    async with started(ChatClient(server.url, user="alice", password="x password")) as alice:
        await alice.next(ConversationsLoaded)
        yield alice


def stored(seq: int) -> dict[str, Any]:
    return {**DONE, "id": f"1-{seq}", "seq": seq, "sentAt": "2026-01-01T00:00:00.000Z"}


async def test_a_removed_message_loses_its_text(server: ScriptedServer, alice: Watcher) -> None:
    await server.emit("message", message(1, "regretted"))
    await alice.added("regretted")
    await server.emit("changed", {"with": "bob", "seq": 1, "rev": 1, "removed": True})
    gone = await alice.changed(seq=1, removed=True)
    assert gone.text == ""
    assert alice.client.cached_messages("bob") == [gone]
    conversation = alice.client.conversation("bob")
    assert conversation is not None
    assert conversation.last == gone


async def test_a_choice_that_the_server_may_have_stored_is_looked_up(
    server: ScriptedServer, alice: Watcher
) -> None:
    listed = server.conversation()
    server.answers["notify"] = lambda _: {"code": "503", "message": "the store is away"}
    server.answers["conversations"] = lambda _: {
        **DONE,
        "conversations": [listed | {"notify": "muted"}],
    }
    with pytest.raises(RequestRefused, match="the store is away"):
        await alice.client.set_notify("bob", NotifyLevel.MUTED)
    seen = await alice.next(ConversationsLoaded)
    assert [each.notify for each in seen.conversations] == [NotifyLevel.MUTED]


async def test_words_of_a_newer_server_are_none(server: ScriptedServer, alice: Watcher) -> None:
    presence = {"id": "bob", "alias": "Bob", "online": True, "lastSeen": None}
    await server.emit("presence", presence | {"status": "asleep", "statusText": "x" * 200})
    await server.emit("notify", {"with": "bob", "level": "weekdays"})
    seen = await alice.next(ConversationChanged, lambda e: bool(e.conversation.status_text))
    known = seen.conversation
    assert (known.status, known.notify) == (Availability.ONLINE, NotifyLevel.ALL)
    assert len(known.status_text) == 100


async def test_the_removal_of_an_unknown_message_changes_no_other(
    server: ScriptedServer, alice: Watcher
) -> None:
    await server.emit("changed", {"with": "bob", "seq": 1, "rev": 1, "removed": True})
    await server.emit("message", message(1, "one"))
    await server.emit("changed", {"with": "bob", "seq": 9, "rev": 1, "removed": True})
    await server.emit("message", message(2, "two"))
    await alice.added("two")
    kept = alice.client.cached_messages("bob")
    assert [(each.seq, each.text, each.removed) for each in kept] == [
        (1, "one", False),
        (2, "two", False),
    ]


async def test_invalid_events_are_ignored(
    server: ScriptedServer, alice: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    await server.emit("message", {"id": 7})
    await server.emit("message", "text")
    await server.emit("receipt", None)
    await server.emit("presence", [1, 2])
    await server.emit("of the future", {"anything": True})
    await server.emit("receipt", {"with": "nobody", "by": "x", "kind": "read", "seq": 3})
    await server.emit("typing", {"sender": "nobody", "recepient": "alice", "typing": True})
    await server.emit("message", message(1, "fine"))
    await alice.added("fine")
    assert alice.client.status.state is ConnectionState.ONLINE
    assert "invalid event ignored: event=message" in caplog.text


async def test_an_invalid_answer_is_reported_in_one_line(
    server: ScriptedServer, alice: Watcher
) -> None:
    server.answers["users"] = lambda _: {**DONE, "users": "none"}
    with pytest.raises(RequestRefused, match="the server sent an invalid answer") as refused:
        await alice.client.users()
    assert refused.value.code == "500"


async def test_while_the_store_is_unavailable_the_message_stays_in_the_outbox(
    server: ScriptedServer, alice: Watcher
) -> None:
    refusals = [
        {"code": "503", "message": "the store is away", "retryAfter": 0.05},
        {"code": "429", "message": "too fast", "retryAfter": 0.05},
    ]
    server.answers["message"] = lambda _: refusals.pop(0) if refusals else stored(1)
    posted = alice.client.post("bob", "patience")
    sent = await alice.changed(client_id=posted.client_id)
    assert (sent.delivery, sent.seq) == (DeliveryStatus.SENT, 1)
    ids = [payload["clientId"] for payload in server.payloads("message")]
    assert ids == [posted.client_id] * 3


async def test_a_slow_answer_does_not_end_a_working_connection(
    server: ScriptedServer, alice: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pychat.client.storage.sendqueue.ANSWER_TIMEOUT", 0.2)
    answer = asyncio.Event()

    async def slow(_sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        await server.note("message", payload)
        await answer.wait()
        return stored(1)

    async def chatter() -> None:
        for seq in range(1, 1000):
            await server.emit("typing", {"sender": f"{seq}", "recepient": "ALL", "typing": True})
            await asyncio.sleep(0.02)

    server.sio.on("message", slow)
    posted = alice.client.post("bob", "patience")
    chatting = asyncio.ensure_future(chatter())
    # Sent again after 0.2 s, on the same connection.
    await server.until(lambda: len(server.payloads("message")) == 2)
    answer.set()
    await alice.changed(client_id=posted.client_id, delivery=DeliveryStatus.SENT)
    chatting.cancel()
    assert len(server.payloads("login")) == 1
    assert [each.seq for each in alice.client.cached_messages("bob")] == [1]


async def test_one_unanswered_message_per_conversation(
    server: ScriptedServer, alice: Watcher
) -> None:
    answers: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def held(_sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        answers[payload["data"]] = asyncio.get_running_loop().create_future()
        await server.note("message", payload)
        return await answers[payload["data"]]

    server.sio.on("message", held)
    for to, text in (("bob", "b1"), ("bob", "b2"), ("carol", "c1")):
        alice.client.post(to, text)
    assert alice.client.status.waiting == 3
    await server.until(lambda: len(answers) == 2)
    assert sorted(answers) == ["b1", "c1"]
    answers["b1"].set_result(stored(1))
    await alice.changed(text="b1", delivery=DeliveryStatus.SENT)
    await server.until(lambda: "b2" in answers)
    answers["b2"].set_result({"code": "413", "message": "too large"})
    failed = await alice.changed(text="b2", delivery=DeliveryStatus.FAILED)
    assert failed.error == "too large"
    answers["c1"].set_result({**stored(1), "id": "2-1"})
    await alice.next(StatusChanged, lambda event: event.status.waiting == 0)


async def test_a_message_discarded_too_late_is_shown(
    server: ScriptedServer, alice: Watcher
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def held(_sid: str, _payload: dict[str, Any]) -> dict[str, Any]:
        asked.set()
        await answer.wait()
        return stored(1)

    server.sio.on("message", held)
    posted = alice.client.post("bob", "oh no")
    await asked.wait()
    alice.client.discard(posted.client_id)
    await alice.changed(client_id=posted.client_id, removed=True)
    assert alice.client.cached_messages("bob") == []
    answer.set()
    assert (await alice.added("oh no")).seq == 1


async def test_one_delivered_cursor_is_sent_for_many_messages(
    server: ScriptedServer, alice: Watcher
) -> None:
    for seq in range(1, 101):
        await server.emit("message", message(seq, str(seq)))
    await alice.added("100")
    await server.until(lambda: server.payloads("delivered")[-1:] == [{"with": "bob", "seq": 100}])
    assert len(server.payloads("delivered")) < 20
    assert server.payloads("history") == []


async def test_typing_is_rate_limited_and_times_out(
    server: ScriptedServer, alice: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pychat.client.state.typing.IDLE_TIMEOUT", 0.1)
    for _ in range(20):
        alice.client.typing("bob", True)
    await server.until(lambda: len(server.payloads("typing")) == 2)
    assert [payload["typing"] for payload in server.payloads("typing")] == [True, False]
    alice.client.typing("bob", False)
    alice.client.typing("bob", True)
    alice.client.post("bob", "said")
    await server.until(lambda: len(server.payloads("message")) == 1)
    assert [payload["typing"] for payload in server.payloads("typing")] == [True, False] * 2


async def test_typing_of_others_ends_by_timeout_or_message(
    server: ScriptedServer, alice: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def typing(now: bool) -> Any:
        return lambda event: event.conversation.typing == (("bob",) if now else ())

    start = {"sender": "bob", "recepient": "alice", "typing": True}
    await server.emit("typing", start)
    await alice.next(ConversationChanged, typing(True))
    await server.emit("message", message(1, "there"))
    await alice.next(ConversationChanged, typing(False))
    monkeypatch.setattr("pychat.client.state.typing.TYPING_SHOWN", 0.05)
    await server.emit("typing", start)
    await alice.next(ConversationChanged, typing(True))
    await alice.next(ConversationChanged, typing(False))


async def test_all_pages_of_a_list_are_read(server: ScriptedServer) -> None:
    names = [f"peer {i}" for i in range(250)]

    def page(request: dict[str, Any]) -> dict[str, Any]:
        start = int(request.get("cursor", "0"))
        end = start + request["limit"]
        listed = [
            {**server.conversation(), "with": name, "alias": name} for name in names[start:end]
        ]
        return {**DONE, "conversations": listed, **({"next": str(end)} if end < 250 else {})}

    server.answers["conversations"] = page
    async with ChatClient(server.url, user="alice", password="x password") as alice:
        assert sorted(each.name for each in alice.conversations) == sorted(names)


async def test_a_login_is_retried_while_the_store_is_unavailable(server: ScriptedServer) -> None:
    login = server.answers["login"]
    refusals = [{"code": "503", "message": "the store is away", "retryAfter": 0.05}]
    server.answers["login"] = lambda p: refusals.pop() if refusals else login(p)
    async with started(ChatClient(server.url, user="alice", password="x password")) as alice:
        offline = await alice.next(StatusChanged, lambda event: event.status.retry_at is not None)
        assert offline.status.reason == "the store is away"
        await alice.state(ConnectionState.ONLINE)


@pytest.mark.parametrize("answer", [None, {**DONE, "message": "OK"}])
async def test_a_server_of_the_original_protocol_is_reported(
    server: ScriptedServer, answer: Any
) -> None:
    server.answers["login"] = lambda _: answer
    with pytest.raises(ServerUnreachable, match="does not speak pychat's protocol 1: it is older"):
        async with ChatClient(server.url, user="alice", password="x password"):
            pass
