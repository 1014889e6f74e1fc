"""A server process: the real Chat between the simulated network and the simulated store."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from pychat.server.chat import Chat, Limits
from pychat.server.chat.limits import Rate
from pychat.server.store.memory import MemoryStore
from tests.simulation.ledger import Ledger
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Network, Packet, ServerEnd
from tests.simulation.store import SimulatedStore, Weather, as_store

CONNECTIONS_PER_USER = 3
ADMIN = "root"

_ANY = Rate(1e6, 1e6)
LIMITS = Limits(
    messages=_ANY,
    queries=_ANY,
    searches=_ANY,
    typing=_ANY,
    cursors=_ANY,
    changes=_ANY,
    logins=_ANY,
    resumptions=_ANY,
    claims=_ANY,
    text=_ANY,
    conversations=_ANY,
    connections_per_user=CONNECTIONS_PER_USER,
    wrong_passwords=1_000,
)
"""Only the number of connections is limited: a rate would be one more reason for a refusal."""


class Node:
    """Started once, then stopped or crashed; another one takes its place on the same disk."""

    _numbers = 0

    def __init__(
        self,
        disk: MemoryStore,
        loop: SimulatedLoop,
        network: Network,
        weather: Weather,
        ledger: Ledger,
    ) -> None:
        self.ledger = ledger
        self._network = network
        self._loop = loop
        self.store = SimulatedStore(disk, loop, weather, ledger)
        self.accepts = False
        self.gone = False
        self._next = 0
        self.chat = Chat(as_store(self.store), encode_event=Packet, limits=LIMITS, admins=(ADMIN,))

    async def start(self) -> None:
        """Raises StoreError, as the server does at its start."""
        await self.chat.start()
        self.accepts = True
        self._network.node = self

    async def stop(self) -> None:
        """As at SIGTERM: what came in is finished, then the clients are told."""
        self.accepts = False
        await self.chat.stop()
        self._leave(lambda: 0.0)

    def crash(self, draw: Random) -> None:
        """As at SIGKILL."""
        self.store.crash(draw)
        self._leave(lambda: draw.choice((0.0, 0.01, draw.random() * 3.0)))

    def _leave(self, delay: Callable[[], float]) -> None:
        self.accepts = False
        self.gone = True
        self.store.crashed = True
        self.ledger.node_gone()
        for link in self._network.links:
            link.end(delay())
        self._network.links.clear()

    def next_number(self) -> int:
        self._next += 1
        return self._next

    # --- what links call ---

    def connected(self, end: ServerEnd) -> None:
        self.chat.connected(end)

    def event(self, end: ServerEnd, event: str, body: bytes, ack_id: int | None) -> None:
        if not self.gone and not end.closed:
            self.ledger.requested(end, event, body, ack_id)
            self.chat.event(end, event, body, ack_id)

    def disconnected(self, end: ServerEnd, reason: str) -> None:
        if not self.gone:
            self.ledger.closed(end)
            self.chat.disconnected(end, reason)
