"""Proof of receipt on every transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pychat.server.engine import registry
from pychat.server.engine.codec.frame import ping_frame, text_frame
from pychat.server.engine.codec.packet import encode_event
from pychat.server.engine.polling.queue import Polling
from pychat.server.engine.polling.transport import register_poll, take
from pychat.server.engine.session import EngineSession
from tests.server.engine.conftest import Start
from tests.server.engine.rawsocket import RawSocket, frame, text
from tests.server.engine.sansio import Carrier, session

PACKET = encode_event("a", b"1")


class Received:
    """Counts the callbacks of a session."""

    def __init__(self, session: EngineSession) -> None:
        self._session = session
        self.times = 0

    def send_and_ask(self) -> None:
        self._session.send(PACKET)
        self.ask()

    def ask(self) -> None:
        self._session.when_received(self._count)

    def _count(self) -> None:
        self.times += 1


def polling_session(
    protocol: int = 4,
) -> tuple[EngineSession, Callable[[str | None], bytes], Received]:
    """A session that polls; a function that polls with a ``t``; and its proofs."""
    subject, _, _ = session(protocol)
    polling = subject.polling = Polling(protocol)

    def poll(t: str | None) -> bytes:
        query = {} if t is None else {"t": t}
        return (register_poll(subject, polling, query) or take(subject, polling, None)).body

    return subject, poll, Received(subject)


# --- websocket, Engine.IO 4


def test_protocol_4_answers_a_ping_behind_the_messages() -> None:
    subject, _, heartbeat = session()
    carrier = subject.carrier = Carrier()
    received = Received(subject)
    received.send_and_ask()
    assert carrier.sent == [PACKET.frame, text_frame(b"2")]
    assert received.times == 0
    subject.receive("3")
    assert received.times == 1
    assert heartbeat.answers == 1
    subject.receive("3")
    assert received.times == 1


def test_the_pong_to_an_earlier_ping_does_not_count() -> None:
    subject, _, _ = session()
    subject.carrier = Carrier()
    received = Received(subject)
    subject.ping()
    received.send_and_ask()
    subject.receive("3")
    assert received.times == 0
    subject.ping()
    subject.receive("3")
    assert received.times == 1


def test_pongs_nobody_asked_for_are_no_proof_of_what_comes_later() -> None:
    subject, _, _ = session()
    subject.carrier = Carrier()
    received = Received(subject)
    for _ in range(3):
        subject.receive("3")
    received.send_and_ask()
    assert received.times == 0
    subject.receive("3")
    assert received.times == 1


def test_a_second_question_takes_the_place_of_the_first() -> None:
    subject, _, _ = session()
    subject.carrier = Carrier()
    first, second = Received(subject), Received(subject)
    first.send_and_ask()
    second.send_and_ask()
    subject.receive("3")
    assert (first.times, second.times) == (0, 0)
    subject.receive("3")
    assert (first.times, second.times) == (0, 1)


@pytest.mark.parametrize("protocol", [3, 4])
def test_nothing_is_proven_after_the_end(protocol: int) -> None:
    subject, _, _ = session(protocol)
    subject.carrier = Carrier()
    received = Received(subject)
    received.send_and_ask()
    subject.end("transport close")
    subject.receive("3")
    subject.pong_frame(b"1")
    received.ask()
    subject.pong_frame(b"2")
    assert received.times == 0


# --- websocket, Engine.IO 3


def test_protocol_3_answers_a_ping_frame() -> None:
    subject, _, _ = session(3)
    carrier = subject.carrier = Carrier()
    received = Received(subject)
    received.send_and_ask()
    assert carrier.sent == [PACKET.frame, ping_frame(b"1")]
    for other in (b"", b"0", b"2", b"x"):
        subject.pong_frame(other)
    assert received.times == 0
    subject.pong_frame(b"1")
    subject.pong_frame(b"1")
    assert received.times == 1
    received.send_and_ask()
    subject.pong_frame(b"1")
    assert received.times == 1
    subject.pong_frame(b"2")
    assert received.times == 2


def test_a_browser_answers_though_its_page_stands_still() -> None:
    subject, _, heartbeat = session(3)
    carrier = subject.carrier = Carrier()
    received = Received(subject)
    heartbeat.late = True
    received.send_and_ask()
    subject.pong_frame(b"1")
    assert received.times == 0
    heartbeat.late = False
    subject.receive("2")
    assert carrier.sent[-2:] == [ping_frame(b"2"), text_frame(b"3")]
    subject.pong_frame(b"2")
    assert received.times == 1


def test_without_pong_frames_the_second_heartbeat_counts() -> None:
    subject, _, _ = session(3)
    subject.carrier = Carrier()
    received = Received(subject)
    subject.receive("2")
    received.send_and_ask()
    subject.receive("2")
    assert received.times == 0
    subject.receive("2")
    assert received.times == 1


async def test_a_page_that_stands_still_is_noticed_by_its_heartbeat(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_LATE", 0.0)
    server = await start(ping_interval=0.2, ping_timeout=60)
    raw = await (await RawSocket.open(server.port, "EIO=3&transport=websocket")).joined()
    (subject,) = server.server._engine.sessions.values()
    assert not subject.heartbeat.overdue(subject)
    await asyncio.sleep(0.25)
    assert subject.heartbeat.overdue(subject)
    raw.send(text("2"))
    assert await raw.receive() == (0x81, b"3")
    assert not subject.heartbeat.overdue(subject)
    raw.close()


async def test_protocol_3_over_the_wire(start: Start) -> None:
    server = await start()
    raw = await (await RawSocket.open(server.port, "EIO=3&transport=websocket")).joined()
    connection = server.handler.connections[0]
    received = asyncio.Event()
    connection.send(PACKET)
    connection.when_received(received.set)
    assert (await raw.receive())[1] == b'42["a",1]'
    first, payload = await raw.receive()
    assert first == 0x89
    raw.send(frame(0x8A, payload))
    async with asyncio.timeout(60):
        await received.wait()
    raw.close()


# --- polling


@pytest.mark.parametrize("protocol", [3, 4])
def test_the_next_poll_counts(protocol: int) -> None:
    _, poll, received = polling_session(protocol)
    poll("t0")
    received.send_and_ask()
    assert b'42["a",1]' in poll("t1")
    assert received.times == 0
    poll("t2")
    assert received.times == 1


def test_what_was_polled_before_the_question_counts_too() -> None:
    subject, poll, received = polling_session()
    subject.send(PACKET)
    poll("t1")
    received.ask()
    assert received.times == 0
    poll("t2")
    assert received.times == 1
    received.ask()
    poll("t3")
    assert received.times == 2


def test_a_poll_that_comes_again_gets_the_same_answer_and_proves_nothing() -> None:
    subject, poll, received = polling_session()
    poll("t0")
    received.send_and_ask()
    answer = poll("t1")
    subject.send(encode_event("b", b"2"))
    assert poll("t1") == poll("t1") == answer
    assert received.times == 0
    assert poll("t2") == b'42["b",2]'
    assert received.times == 1


@pytest.mark.parametrize("t", [None, "always the same"])
def test_a_client_that_does_not_number_its_polls(t: str | None) -> None:
    subject, poll, received = polling_session()
    poll(t)
    received.send_and_ask()
    assert poll(t) == b'42["a",1]'
    subject.send(encode_event("b", b"2"))
    assert poll(t) == b'42["b",2]'
    assert received.times == 0
    poll(t)
    assert received.times == 1


def test_an_answer_is_not_kept_while_a_poll_waits() -> None:
    subject, poll, _ = polling_session()
    poll("t0")
    assert subject.polling is not None
    assert subject.polling.answer is not None
    assert register_poll(subject, subject.polling, {"t": "t1"}) is None
    assert subject.polling.answer is None


def test_the_upgrade_counts() -> None:
    subject, poll, received = polling_session()
    received.send_and_ask()
    poll("t1")
    subject.upgrade(Carrier())
    assert received.times == 1


@pytest.mark.parametrize("protocol", [3, 4])
def test_what_only_the_websocket_carries_is_proven_there(protocol: int) -> None:
    subject, poll, received = polling_session(protocol)
    poll("t1")
    received.send_and_ask()
    carrier = Carrier()
    subject.upgrade(carrier)
    assert received.times == 0
    assert carrier.sent == [PACKET.frame, text_frame(b"2") if protocol == 4 else ping_frame(b"1")]
    if protocol == 4:
        subject.receive("3")
    else:
        subject.pong_frame(b"1")
    assert received.times == 1


async def test_a_repeated_poll_over_the_wire(start: Start) -> None:
    server = await start()
    query = await server.open_polling()
    await server.post(query, '42["a",1]')
    await server.get(f"{query}&t=t0")
    await server.post(query, '42["b",2]')
    first = await server.get(f"{query}&t=t1")
    assert first == (200, '42["b",2]')
    assert await server.get(f"{query}&t=t1") == first
    await server.post(query, '42["c",3]')
    assert await server.get(f"{query}&t=t2") == (200, '42["c",3]')
