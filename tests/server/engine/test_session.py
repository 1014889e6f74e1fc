"""The state of a session, without a socket."""

from __future__ import annotations

import pytest

from pychat.server.engine.codec.packet import BinaryPacket, encode_event
from pychat.server.engine.polling.queue import CLOSE_PACKET, NOOP_PACKET, Polling
from pychat.server.engine.session import MAX_WAITING, EngineSession
from tests.server.engine.sansio import Carrier, session


@pytest.mark.parametrize(
    ("protocol", "packet", "told", "answers"),
    [
        (4, "4anything", [("text", "4anything")], 0),
        (4, "3", [], 1),
        (3, "2", [], 1),
        (4, "2", [("closed", "parse error")], 0),
        (3, "3", [("closed", "parse error")], 0),
        (4, "1", [("closed", "transport close")], 0),
        (4, "6", [], 0),
        (4, "5", [], 0),
        (4, "6x", [("closed", "parse error")], 0),
        (4, "0", [("closed", "parse error")], 0),
        (4, "7", [("closed", "parse error")], 0),
        (4, "", [("closed", "parse error")], 0),
        (4, "bAAE=", [("binary", b"\x00\x01")], 0),
        (3, "b4AAE=", [("binary", b"\x00\x01")], 0),
        (3, "b3AAE=", [("closed", "parse error")], 0),
        (4, "bA", [("closed", "parse error")], 0),
    ],
)
def test_what_a_packet_does(
    protocol: int, packet: str, told: list[tuple[str, object]], answers: int
) -> None:
    subject, layer, heartbeat = session(protocol)
    subject.carrier = Carrier()
    subject.receive(packet)
    assert layer.told == told
    assert heartbeat.answers == answers


def test_the_end_is_told_once_and_nothing_after_it() -> None:
    subject, layer, _ = session()
    carrier = subject.carrier = Carrier()
    subject.end("transport close")
    subject.end("transport error")
    subject.close()
    subject.receive("4late")
    subject.receive_binary(b"late")
    assert layer.told == [("closed", "transport close")]
    assert carrier.end == "closed"


@pytest.mark.parametrize("reason", ["ping timeout", "slow consumer"])
def test_who_does_not_read_gets_no_goodbye(reason: str) -> None:
    subject, _, _ = session()
    carrier = subject.carrier = Carrier()
    subject.end(reason)
    assert carrier.end == "aborted"


def test_polling_hands_over_what_waits() -> None:
    subject, _, _ = session()
    subject.polling = Polling(4)
    for n in range(3):
        subject.send(encode_event("n", b"%d" % n))
    subject.send(BinaryPacket(b"data"))
    carrier = Carrier()
    subject.upgrade(carrier)
    assert [frame[2:] for frame in carrier.sent] == [
        b'42["n",0]',
        b'42["n",1]',
        b'42["n",2]',
        b"data",
    ]
    assert subject.polling is None


def test_an_open_poll_is_told_that_it_is_over() -> None:
    polling = Polling(4)
    woken: list[int] = []
    polling.polled = True
    polling.on_ready = lambda: woken.append(1)
    assert polling.detach() == []
    assert woken
    assert polling.take() == [NOOP_PACKET]


def test_the_last_packet_comes_alone_and_last() -> None:
    polling = Polling(4)
    packet = encode_event("a", b"1")
    polling.send(packet)
    polling.close(CLOSE_PACKET)
    assert polling.take() == [packet]
    assert not polling.ended
    assert polling.take() == [CLOSE_PACKET]
    assert polling.ended


def test_a_server_that_closes_lets_the_poll_fetch_the_rest() -> None:
    for by_server in (True, False):
        subject, _, heartbeat = session()
        subject.polling = Polling(4)
        (subject.close if by_server else lambda s=subject: s.end("transport close"))()  # type: ignore[misc]
        assert heartbeat.lingers is by_server


def test_an_abandoned_session_has_no_connection_whatever_fails() -> None:
    subject, layer, heartbeat = session()
    carrier = subject.carrier = Carrier()

    def fail(session: EngineSession, reason: str) -> None:
        raise RuntimeError("a fault")

    layer.closed = fail  # type: ignore[method-assign] # a layer with a fault
    with pytest.raises(RuntimeError):
        subject.abandon()
    assert not subject.open
    assert heartbeat.lingers is False
    assert carrier.end == "aborted"


def test_what_waits_for_a_poll_is_bounded() -> None:
    subject, layer, _ = session()
    subject.polling = Polling(4)
    packet = encode_event("a", b'"' + b"x" * 100_000 + b'"')
    for _ in range(MAX_WAITING // 100_000 + 1):
        subject.send(packet)
    assert subject.open
    subject.send(packet)
    assert layer.told == [("closed", "slow consumer")]
