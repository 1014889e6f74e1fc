"""Packets that wait for the next poll, and the poll that waits for packets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pychat.server.engine.codec.packet import AnyPacket, Packet, text_packet
from pychat.server.engine.codec.payload import DecoderV3

if TYPE_CHECKING:
    from pychat.server.engine.answer import HTTPAnswer

NOOP_PACKET: Final = text_packet(b"6")
CLOSE_PACKET: Final = text_packet(b"1")


class Polling:
    """The queue of a session that polls, and the state of its requests."""

    __slots__ = (
        "_given_before",
        "_last",
        "_query_time",
        "_query_times_vary",
        "answer",
        "closing",
        "decoder",
        "given",
        "on_ready",
        "packets",
        "polled",
        "posted",
        "received",
        "upgrading",
        "waiting",
    )

    def __init__(self, protocol: int) -> None:
        self.packets: list[AnyPacket] = []
        self.waiting = 0
        self.on_ready: Callable[[], None] | None = None
        self.polled = False
        """Whether a poll waits for its answer."""
        self.posted = False
        """Whether a POST is being handled."""
        self.decoder = DecoderV3() if protocol == 3 else None
        self.closing = False
        self.upgrading = False
        self._last: Packet | None = None
        self.given = 0
        """Number of answers given."""
        self.received = 0
        """Number of answers that the client has proven to have received."""
        self.answer: HTTPAnswer | None = None
        """The last answer, until the next poll."""
        self._given_before = 0
        self._query_time: str | None = None
        self._query_times_vary = False

    @property
    def ready(self) -> bool:
        """Whether a poll would be answered at once."""
        return bool(self.packets) or self._last is not None

    @property
    def ended(self) -> bool:
        """Whether the last packet has been fetched."""
        return self.closing and not self.ready

    def register_poll(self, query_time: str | None) -> bool:
        """Register a poll with that ``t`` in its query. True if it repeats the previous poll.

        Browsers repeat a request whose connection broke. A different ``t`` proves that the previous
        answer was received. Without ``t``, or if a client always sends the same, this poll may be a
        repetition, but the next one is not.
        """
        before, self._query_time = self._query_time, query_time
        if query_time is not None and before is not None:
            if query_time != before:
                self._query_times_vary = True
                self._receive(self.given)
                return False
            if self._query_times_vary:
                return True
        self._receive(self._given_before)
        return False

    def _receive(self, answers: int) -> None:
        self.answer = None
        self.received = answers
        self._given_before = self.given

    def send(self, packet: AnyPacket) -> None:
        """Queue a packet for the next poll's answer."""
        self.packets.append(packet)
        self.waiting += packet.size
        self._wake()

    def take(self) -> list[AnyPacket]:
        """Return and remove all queued packets."""
        packets, self.packets = self.packets, []
        if not packets and self._last is not None:
            packets, self._last = [self._last], None
        self.waiting = 0
        self.given += 1
        return packets

    def begin_upgrade(self) -> None:
        """Answer the open poll, and each later one, at once."""
        self.upgrading = True
        if self.polled and not self.packets:
            self.send(NOOP_PACKET)

    def detach(self) -> list[AnyPacket]:
        """Return the queued packets for another transport. An open poll gets a noop."""
        waiting = [packet for packet in self.packets if packet is not NOOP_PACKET]
        self.packets, self.waiting = [], 0
        if self.polled:
            self.send(NOOP_PACKET)
        return waiting

    def close(self, last: Packet) -> None:
        """End with that packet, alone in the answer to the open poll or a later one.

        JavaScript clients that get a close together with other packets drop these.
        """
        self.closing = True
        self._last = last
        self._wake()

    def _wake(self) -> None:
        on_ready, self.on_ready = self.on_ready, None
        if on_ready is not None:
            on_ready()
