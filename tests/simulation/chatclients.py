"""The real ChatClient on the simulated network, and what it must show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import Random
from typing import Any
from urllib.parse import urlsplit

from pychat.client import ChatClient, ChatClientError
from pychat.client.connection.socket import ServerConnection
from pychat.client.errors import ServerUnreachable
from pychat.client.events import ClientEvent, MessageAdded, MessagesReset, StatusChanged
from pychat.client.models import ConnectionState, MessageInfo
from tests.simulation.devices import Person
from tests.simulation.ledger import Ledger
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Link, Network


def connection_on(network: Network) -> type[ServerConnection]:
    """The client's Connection, with a simulated link instead of Socket.IO's."""

    class SimulatedConnection(ServerConnection):
        def __init__(self, address: str, on_event: Callable[[str, Any], None]) -> None:
            super().__init__(address, on_event)
            self._link: Link | None = None
            self._asked: dict[int, Callable[..., None]] = {}
            self._next_ack = 0

        async def open(self) -> None:
            host = urlsplit(self.address).hostname or ""
            try:
                self._link = await network.connect(self, host.replace("-", "/"))
            except ConnectionRefusedError:
                raise ServerUnreachable(f"{self.address} does not answer") from None

        def send(
            self, event: str, payload: Any, answered: Callable[[Any], None] | None = None
        ) -> None:
            if self.closed.done() or self._link is None:
                return
            ack_id = None
            callback = self._answer(answered)
            if callback is not None:
                ack_id = self._next_ack
                self._next_ack += 1
                self._asked[ack_id] = callback
            self._link.send_up(event, payload, ack_id)

        async def close(self) -> None:
            self._end("closed")
            if self._link is not None:
                self._link.close_up()

        # --- what the link calls ---

        def arrived(self, event: str, data: Any) -> None:
            self._received(event, data)

        def acknowledged(self, ack_id: int, answer: Any) -> None:
            self._asked.pop(ack_id)(answer)

        def lost(self, link: Link) -> None:
            self._end("the connection was lost")

    return SimulatedConnection


class ChatDevice:
    """A program that stands on ChatClient, as the terminal does: it tells what is new, in the
    background, and comes back by itself. Closed, it keeps but its token."""

    def __init__(
        self, person: Person, number: int, ledger: Ledger, loop: SimulatedLoop, draw: Random
    ) -> None:
        self.person = person
        self.name = f"{person.id}/{number}"
        self._ledger = ledger
        self._loop = loop
        self._draw = draw
        self.client: ChatClient | None = None
        self.rooms: list[str] = []
        """Ids of private rooms that it has made."""
        self._token: str | None = None
        self._told: dict[str, int] = {}
        self._shown: dict[str, set[str]] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._logging_in = False
        person.devices.append(self)

    @property
    def wanted(self) -> bool:
        return self.client is not None

    @property
    def online(self) -> bool:
        return self.client is not None and self.client.status.state is ConnectionState.ONLINE

    @property
    def quiet(self) -> bool:
        if self._working:
            return False
        if self.client is None:
            return True
        status = self.client.status
        if status.state is ConnectionState.ONLINE:
            return not status.waiting
        # Disabled, even if no longer, or on too many devices: it does not get in by itself.
        disabled = status.state is ConnectionState.REFUSED and not self._logging_in
        return disabled or "connections: close one" in status.reason

    def come(self) -> None:
        if self.client is None:
            client = self.client = ChatClient(
                f"http://{self.name.replace('/', '-')}:3000",
                user=self.person.id,
                password=self.person.password,
                token=self._token,
                on_token=self._keep_token,
            )
            self._told.clear()
            self._shown.clear()
            self._loop.create_task(self._listen(client))
            client.start()

    def leave(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            self.do(client.close())

    def drop(self) -> None:
        self.leave()
        self.come()

    def _keep_token(self, token: str) -> None:
        self._token = token or None

    # --- what somebody does with it ---

    def do(self, work: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(self._try(work))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _try(self, work: Coroutine[Any, Any, Any]) -> None:
        with suppress(ChatClientError):  # a program says so, and goes on
            await work

    def act(self, other: str, room: str) -> None:
        """Something, to somebody or in a room."""
        client, draw = self.client, self._draw
        if client is None:
            return
        names = [each.name for each in client.conversations]
        name = draw.choice(names) if names else "ALL"
        known = client.conversation(name)
        last = known.last_seq if known is not None else 0
        match draw.choice("wwwwwqqhrdtjlcpkixbueee+v"):
            case "w":
                self.do(self._post(draw.choice((other, f"#{room}", "ALL", name))))
            case "q":
                self.do(self._reply(name))
            case "p":
                self.do(self._create_private())
            case "h":
                self.do(client.history(name, after=draw.choice((0, None))))
            case "r":
                self.do(client.mark_read(name, last))
            case "d":
                self.do(client.mark_delivered(name, last))
            case "t":
                client.typing(name, draw.random() < 0.5)
            case "j":
                self.do(client.join_room(room))
            case "l":
                self.do(client.leave_room(room))
            case "c":
                self.do(client.create_room(room, f"Room {room}"))
            case "k":
                self.do(client.kick(room, other))
            case "i":
                self.do(client.invite(room, other))
            case "x":
                self.do(client.delete_room(room))
            case "e" | "+" | "v" as kind:
                self._change(kind, name)
            case "b":
                self.do(client.block(other))
            case "u":
                self.do(client.unblock(other))

    def _change(self, kind: str, name: str) -> None:
        """A message that it shows: its own are edited and removed."""
        client, draw = self.client, self._draw
        assert client is not None
        stored = [each for each in client.cached_messages(name) if each.seq and not each.removed]
        own = [each for each in stored if each.sender == client.user]
        with suppress(ChatClientError):  # it is being removed, for example
            if kind == "+" and stored:
                reaction = draw.choice("👍🎉"), draw.random() < 0.7
                client.post_reaction(draw.choice(stored), *reaction)
            elif kind == "e" and own:
                message = draw.choice(own)
                known = message if draw.random() < 0.5 else message.id
                client.post_edit(
                    known, f"edited {draw.choice(('', '@alice', '@bob'))} {message.id}"
                )
            elif kind == "v" and own:
                client.post_removal(draw.choice(own))

    async def _post(self, to: str) -> None:
        if self.client is not None:
            self.client.post(to, self.person.text())

    async def _reply(self, name: str) -> None:
        if self.client is not None:
            stored = [each for each in self.client.cached_messages(name) if each.seq]
            if stored:
                origin = self._draw.choice(stored).seq
                self.client.post(name, self.person.text(), reply_to=origin)

    async def _create_private(self) -> None:
        if self.client is not None:
            self.rooms.append(await self.client.create_private_room("Board"))

    # --- what it is told ---

    async def _listen(self, client: ChatClient) -> None:
        async for event in client.events():
            if client is self.client:
                self._heard(client, event)

    def _heard(self, client: ChatClient, event: ClientEvent) -> None:
        match event:
            case MessageAdded(message):
                self._added(message)
            case MessagesReset(name):
                self._told.pop(name, None)
                self._shown.pop(name, None)
            case StatusChanged(status) if status.state is ConnectionState.REFUSED:
                if not self._logging_in and not self.person.disabled:
                    self._logging_in = True
                    self.do(self._log_in(client))

    async def _log_in(self, client: ChatClient) -> None:
        """With the password that holds now."""
        await asyncio.sleep(self._draw.random())
        self._logging_in = False
        if client is self.client:
            await client.login(self.person.password)

    def _added(self, message: MessageInfo) -> None:
        name, seq = message.conversation, message.seq
        shown = self._shown.setdefault(name, set())
        key = message.client_id or f"seq {seq}"
        if key in shown and not message.removed:
            self._ledger.fail("shown twice", f"{self.name} shows {message} twice")
        shown.add(key)
        if seq:
            told = self._told.get(name)
            if told is not None and seq <= told:
                self._ledger.fail("shown", f"{self.name} shows {name} {seq} after {told}")
            self._told[name] = seq
