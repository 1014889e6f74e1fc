"""One simulation: a world made of its seed, what happens in it, and the end when all is healed."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import pairwise
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID

from pychat.client.connection import socket as client_connection
from pychat.protocol import ProtocolError
from pychat.server.chat.events.files import OfferedFile
from pychat.server.store.base import StoreError
from pychat.server.store.memory import MemoryStore
from pychat.server.store.records import NewMessage
from tests.simulation import final
from tests.simulation.actions import ROOMS, Actions
from tests.simulation.chatclients import ChatDevice, connection_on
from tests.simulation.commands import Operator
from tests.simulation.devices import PATIENCE, Device, OriginalDevice, Person
from tests.simulation.invariants import FILE_NAME, FILE_SIZE, Invariants
from tests.simulation.ledger import Timeline
from tests.simulation.loop import SimulatedLoop
from tests.simulation.machine import simulated_machine
from tests.simulation.network import Network
from tests.simulation.node import ADMIN, Node
from tests.simulation.store import SimulatedStore, Weather, now

IDS = ("alice", "bob", ADMIN, "carol")
SETTLING = 120.0
"""Seconds within which everything must be answered once nothing fails any more."""

Story = Callable[["Simulation"], Coroutine[Any, Any, None]]


class Simulation:
    """After ``run``, ``violations`` says what went wrong.

    Without a ``story`` everything that happens is drawn from the seed. A story has a calm store
    and network, and nobody in it who was not added. ``ignored`` are rules not to look at.
    """

    def __init__(
        self,
        seed: int,
        *,
        story: Story | None = None,
        trace: bool = False,
        ignored: frozenset[str] = frozenset(),
    ) -> None:
        self.seed = seed
        self._story = story
        self.faults: Counter[str] = Counter()
        self.loop = SimulatedLoop(Random(f"{seed} order"), self._unhandled)
        self._draw = Random(f"{seed} world")
        self.disk = MemoryStore()
        self.ledger = Invariants(self.disk, self.loop)
        self.ledger.ignored = ignored
        if trace:
            self.ledger.trace = []
        self.weather = Weather(Random(f"{seed} store"), self.faults)
        self.network = Network(self.loop, Random(f"{seed} network"), self.faults)
        self.operator = Operator(
            SimulatedStore(self.disk, self.loop, self.weather, self.ledger, operator=True)
        )
        self.people: list[Person] = []
        self.node: Node | None = None

    @property
    def violations(self) -> list[str]:
        return self.ledger.violations

    def run(self) -> None:
        collecting = gc.isenabled()
        gc.disable()  # when something is collected is not the seed's to say
        try:
            chance = Random(f"{self.seed} chance")
            connection = patch.object(
                client_connection, "ServerConnection", connection_on(self.network)
            )
            with simulated_machine(self.loop, chance), _listening(self.ledger), connection:
                self.loop.run(self._run())
        finally:
            logging.disable(logging.CRITICAL)
            self.loop.close()
            logging.disable(logging.NOTSET)
            if collecting:
                gc.enable()

    async def _run(self) -> None:
        if self._story is None:
            self._add_people()
            self._add_past()
            await self._start()
            await self._anything()
        else:
            self._calm()
            await self._start()
            await self._story(self)
        await self._settle()
        await self._check()

    # --- what happens by itself ---

    def _add_people(self) -> None:
        draw = self._draw
        with_clients = draw.random() < 0.4
        for id in IDS[: draw.choice((2, 2, 3, 3, 4))]:
            exists = id == ADMIN or draw.random() < 0.9
            kind = draw.choice(("new", "new", "old")) if exists else None
            devices = draw.choice((1, 2, 2, 3, 4))
            original = draw.random()
            if original < 0.1:  # but the one below
                devices = 0
            self.add(
                id,
                devices=devices,
                original=original < 0.3,
                chat_client=with_clients and draw.random() < 0.7,
                password_kind=kind,
            )

    def _add_past(self) -> None:
        """A room, messages and blocks that are there at the start."""
        draw, ledger = self._draw, self.ledger
        keys = [key for person in self.people if (key := ledger.key(person.id))]
        if not keys:
            return

        def write(conversation: int, sender: int) -> None:
            text = self.people[[p.id for p in self.people].index(ledger.name(sender))].text()
            self._past("append", [NewMessage(conversation, sender, None, 0, text)])

        if draw.random() < 0.6:
            room = self._past("create_room", ROOMS[0], "Room", draw.choice(keys))
            for key in keys:
                if draw.random() < 0.5:
                    write(room.conversation, room.owner)
                if draw.random() < 0.7:
                    self._past("join_room", room.conversation, key)
        for one, other in pairwise(keys):
            if draw.random() < 0.3:
                write(self._past("open_pair", one, other).key, one)
            if draw.random() < 0.1:
                self._past("block", one, other)

    def _past(self, name: str, *arguments: Any) -> Any:
        result = now(getattr(self.disk, name)(*arguments))
        self.ledger.committed(name, arguments, {}, result, False)
        return result

    async def _anything(self) -> None:
        draw = self._draw
        for person in self.people:
            for device in person.devices:
                if draw.random() < 0.7:
                    device.come()
        actions = Actions(self, Random(f"{self.seed} actions"))
        await actions.run(draw.choice((10, 25, 50)))

    # --- what a story says ---

    def add(
        self,
        id: str,
        *,
        devices: int = 1,
        original: bool = False,
        chat_client: bool = False,
        password_kind: str | None = "new",
    ) -> list[Device]:
        """Somebody with so many scripted devices of protocol 1, and perhaps one of the original
        protocol, and a ChatClient.

        ``password_kind`` None: the id is not claimed yet; "old": its hash is to be renewed."""
        person = Person(id, f"{id} password")
        if password_kind is not None:
            now(self.disk.create_account(id, id, f"{password_kind}:{person.password}", 0))
            self.ledger.passwords[id] = Timeline(person.password)
            self.ledger.disabled[id] = Timeline(False)
        self.people.append(person)
        made = [
            Device(person, number, self.network, self.loop, self._draw) for number in range(devices)
        ]
        if original:
            OriginalDevice(person, 9, self.network, self.loop, self._draw)
        if chat_client:
            ChatDevice(person, 8, self.ledger, self.loop, self._draw)
        return made

    async def online(self, *devices: Device | OriginalDevice | ChatDevice) -> None:
        """They come; returns when they are there and know everything."""
        for device in devices:
            device.come()
        await self.quiet()

    async def quiet(self) -> None:
        """Until nobody waits for anything."""
        end = self.loop.time() + SETTLING
        while not all(device.quiet for person in self.people for device in person.devices):
            if self.loop.time() > end:
                busy = [d.name for p in self.people for d in p.devices if not d.quiet]
                self.ledger.fail("settles", f"{busy} still wait")
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def client_id(self) -> str:
        return str(UUID(int=self._draw.getrandbits(128), version=4))

    async def send_file(self, device: Device, to: str, client_id: str) -> None:
        """Upload a file, as over HTTP, and send it."""
        node = self.node
        assert node is not None
        try:
            async with asyncio.timeout(PATIENCE):
                offered = OfferedFile(FILE_SIZE, FILE_NAME)
                upload = await node.chat.begin_upload(device.token, offered)
                try:
                    await node.chat.write_upload(upload, b"x" * FILE_SIZE)
                    file = await node.chat.finish_upload(upload, "text/plain")
                finally:
                    upload.close()
        except (ProtocolError, TimeoutError):
            return  # refused, or the server has crashed
        for each in (client_id, self.client_id()):
            device.write(to, each, file=file.id)  # only one is accepted
            await asyncio.sleep(self._draw.random() * 0.01)

    # --- the server's life ---

    async def _start(self) -> None:
        while True:
            node = Node(self.disk, self.loop, self.network, self.weather, self.ledger)
            try:
                await node.start()
            except StoreError:
                await asyncio.sleep(0.1)  # whoever started it starts it again
                continue
            self.node = node
            return

    async def restart(self, *, crash: bool) -> None:
        """The server crashes or stops, and another one is started on the same store."""
        node = self.node
        assert node is not None
        if not crash:
            self.faults["server stopped"] += 1
            await node.stop()
        else:
            self.faults["server crashed"] += 1
            node.crash(self._draw)
        await asyncio.sleep(self._draw.random())
        await self._start()

    # --- the end ---

    def _calm(self) -> None:
        self.weather.calm()
        self.network.calm()

    async def _settle(self) -> None:
        self._calm()
        for link in list(self.network.links):
            link.heal()
        for person in self.people:
            for device in person.devices:
                if isinstance(device, Device) and (device.outbox or device.wishes):
                    self._finish(device)
        await self.quiet()
        self._probe()
        await self.quiet()
        await asyncio.sleep(4.0)  # what is written, told, looked at or proven but now and then
        await self.quiet()
        # The cursors of who has just come back. Who was on too many devices comes late.
        for _ in range(20):
            online = self._online()
            await asyncio.sleep(2.0)
            if self._online() == online:
                break
        for person in self.people:
            for device in person.devices:
                if isinstance(device, ChatDevice) and not device.online:
                    device.leave()  # it would come back in the middle of the checks

    def _online(self) -> list[bool]:
        return [device.online for person in self.people for device in person.devices]

    def _finish(self, device: Device) -> None:
        """Somebody goes on with what was not answered, or gives it up."""
        if self._draw.random() < 0.5:
            device.come()
        elif not device.wanted:
            device.outbox.clear()
            device.wishes.clear()

    def _probe(self) -> None:
        """Everybody reads everything and writes everywhere: what was cached wrongly shows."""
        for person in self.people:
            online = [d for d in person.devices if isinstance(d, Device) and d.online]
            for device in online:
                for name in device.view.shown:
                    device.ask("history", {"with": name, "after": 0, "limit": 100})
            for number, name in enumerate(online[0].view.shown if online else ()):
                online[number % len(online)].write(name, self.client_id())

    async def _check(self) -> None:
        ledger, people = self.ledger, self.people
        final.check_connections(ledger)
        final.check_presence(ledger, people)
        final.check_rooms(ledger, people)
        final.check_cursors(ledger, people)
        final.check_original(ledger, people)
        final.check_chat_clients(ledger, people)
        for person in people:
            for device in person.devices:
                if isinstance(device, Device) and device.online:
                    device.sync()
        await self.quiet()
        final.check_views(ledger, people)
        assert self.node is not None
        await final.check_files(ledger, people, self.node.chat)

    def _unhandled(self, context: dict[str, Any]) -> None:
        self.ledger.fail("errors", f"{context['exception']!r}: {context.get('message')}")


@contextmanager
def _listening(ledger: Invariants) -> Iterator[None]:
    """What the code under test logs with a traceback is a failure of it."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info:
                ledger.fail("errors", f"{record.getMessage()}: {record.exc_info[1]!r}")

    listener = Listener(logging.ERROR)
    logger = logging.getLogger("pychat")
    propagated = logger.propagate
    logger.addHandler(listener)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagated
