"""The layer above the sessions: packets for python-socketio's server, handlers as tasks."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

import msgspec

from pychat.server.asyncserver.environ import Environ
from pychat.server.engine.codec.packet import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    DISCONNECT,
    EVENT,
    RESERVED_EVENTS,
    MalformedPacket,
    SocketPacket,
    check_depth,
    read_packet,
    with_attachments,
)
from pychat.server.engine.server import EngineServer
from pychat.server.engine.session import FORCED_CLOSE, PARSE_ERROR, EngineSession


class Tasks:
    """Starts coroutines as tasks, keeps them until they are done, and logs their failures.

    From Python 3.12 on, a task runs at once until it first waits.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None] | None] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, coroutine: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        """Start a task. Tasks start in the order of the calls. It may be done when this returns."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        # With a given name, asyncio does not have to make one.
        if sys.version_info >= (3, 12):
            task = asyncio.Task(
                self._run(coroutine), loop=self._loop, name="event", eager_start=True
            )
            if task.done():
                return task
        else:
            task = asyncio.Task(self._run(coroutine), loop=self._loop, name="event")
        self._running.add(task)
        return task

    async def done(self) -> None:
        """Wait for the tasks that run now."""
        running = [task for task in self._running if task is not None]
        if running:
            await asyncio.wait(running)

    async def _run(self, coroutine: Coroutine[Any, Any, object]) -> None:
        # A done callback would take another turn of the loop for every event.
        try:
            await coroutine
        except Exception:
            logger.exception("event handler failed")
        finally:
            self._running.discard(asyncio.current_task())


logger = logging.getLogger("pychat.engine")

_MAX_REFUSALS: Final = 10


class SocketIO(Protocol):
    """The receiver of the packets: python-socketio's server."""

    def knows_namespace(self, namespace: str) -> bool: ...

    def is_joined(self, eio_sid: str, namespace: str) -> bool: ...

    async def client_connects(self, client: Client, namespace: str, auth: Any) -> None: ...

    async def client_leaves(self, client: Client, namespace: str | None, reason: str) -> None: ...

    def client_event(
        self, client: Client, namespace: str, ack_id: int | None, data: list[Any]
    ) -> None: ...

    def client_ack(self, client: Client, namespace: str, ack_id: int, data: list[Any]) -> None: ...


class Client:
    """A session as python-socketio sees it: its environ and its stored data."""

    __slots__ = (
        "attachments",
        "environ",
        "lifecycle",
        "packet",
        "refusals",
        "session",
        "stored",
        "waiting",
    )

    def __init__(self, session: EngineSession, path: str) -> None:
        self.session = session
        self.environ = Environ(session.handshake, path)
        self.stored: dict[str, Any] = {}
        self.packet: SocketPacket | None = None
        self.attachments: list[bytes] = []
        self.refusals = 0
        self.waiting = 0
        """Number of events that wait for their turn."""
        # Joining and leaving are handled one after the other, however long handlers take.
        self.lifecycle: asyncio.Task[None] | None = None


class AsyncLayer:
    """Decodes what clients send. A session's ``context`` is its Client."""

    def __init__(self, tasks: Tasks) -> None:
        self.socketio: SocketIO
        self.decode: Callable[[str], Any] = msgspec.json.Decoder().decode
        self.leaving: dict[str, Client] = {}
        """Clients by sid whose session has ended, while their disconnect handlers run."""
        self._tasks = tasks

    def watch_connecting(self, engine: EngineServer, timeout: float) -> None:
        """End sessions that do not CONNECT, or do not finish a binary packet, in that time."""
        self._server = engine
        self._connecting = engine.wheel.add(timeout, self._too_late, EngineSession.abandon)

    # --- called by the sessions

    def opened(self, session: EngineSession) -> None:
        """In Engine.IO 3 the client joins ``/`` without asking."""
        client = session.context = Client(session, self._server.path)
        if session.protocol == 3:
            self._join(client, "/", None)
        else:
            self._server.wheel.start(self._connecting, session)

    def text(self, session: EngineSession, text: str) -> None:
        """Handle a packet, except for its attachments."""
        client: Client = session.context
        try:
            if client.packet is not None:
                raise MalformedPacket("text instead of an attachment")
            packet = read_packet(text)
            if packet.attachments:
                if not self.socketio.is_joined(session.sid, packet.namespace):
                    raise MalformedPacket("not connected to that namespace")
                client.packet = packet
                self._server.wheel.start(self._connecting, session)
            else:
                self._packet(client, packet)
        except MalformedPacket:
            session.end(PARSE_ERROR)

    def binary(self, session: EngineSession, data: bytes) -> None:
        """Add an attachment to the packet that waits for it."""
        client: Client = session.context
        packet = client.packet
        size = len(data) + sum(map(len, client.attachments))
        if packet is None or size > self._server.max_payload:
            session.end(PARSE_ERROR)
            return
        client.attachments.append(data)
        if len(client.attachments) == packet.attachments:
            try:
                self._packet(client, packet)
            except MalformedPacket:
                session.end(PARSE_ERROR)
            client.packet = None
            client.attachments = []
            self._connecting.stop(session)

    def closed(self, session: EngineSession, reason: str) -> None:
        """Run the disconnect handlers."""
        self._connecting.stop(session)
        client: Client = session.context
        self.leaving[session.sid] = client
        self._leave(client, None, reason)
        assert client.lifecycle is not None
        client.lifecycle.add_done_callback(lambda _: self.leaving.pop(session.sid))

    # --- packets

    def _packet(self, client: Client, packet: SocketPacket) -> None:
        kind = packet.type
        if kind in (EVENT, BINARY_EVENT):
            data = self._arguments(packet, client.attachments)
            name = data[0] if data else None
            if not isinstance(name, str | int) or name in RESERVED_EVENTS:
                raise MalformedPacket("invalid or reserved event name")
            if not self.socketio.is_joined(client.session.sid, packet.namespace):
                raise MalformedPacket("not connected to that namespace")
            self.socketio.client_event(client, packet.namespace, packet.id, data)
        elif kind in (ACK, BINARY_ACK):
            data = self._arguments(packet, client.attachments)
            if packet.id is None:
                raise MalformedPacket("an acknowledgement without an id")
            self.socketio.client_ack(client, packet.namespace, packet.id, data)
        elif kind == CONNECT:
            self._connect(client, packet)
        elif kind == DISCONNECT:
            self._leave(client, packet.namespace, "client disconnect")
        else:
            raise MalformedPacket("CONNECT_ERROR from a client")

    def _connect(self, client: Client, packet: SocketPacket) -> None:
        session = client.session
        if session.protocol == 3 and packet.namespace == "/":
            return
        auth = self._json(packet.data) if packet.data else None
        if auth is not None and not isinstance(auth, dict):
            raise MalformedPacket("auth must be an object")
        if not self.socketio.knows_namespace(packet.namespace):
            client.refusals += 1
            if client.refusals > _MAX_REFUSALS:
                raise MalformedPacket("too many namespaces")
        else:
            self._connecting.stop(session)
        self._join(client, packet.namespace, auth)

    def _join(self, client: Client, namespace: str, auth: Any) -> None:
        self.in_turn(client, self.socketio.client_connects(client, namespace, auth))

    def _leave(self, client: Client, namespace: str | None, reason: str) -> None:
        self.in_turn(client, self.socketio.client_leaves(client, namespace, reason))

    def in_turn(self, client: Client, step: Coroutine[Any, Any, None]) -> None:
        """Run ``step`` when the client's earlier steps are done."""
        before = client.lifecycle
        if before is not None and not before.done():
            step = _one_after_the_other(before, step)
        client.lifecycle = self._tasks.start(step)

    def _arguments(self, packet: SocketPacket, attachments: list[bytes]) -> list[Any]:
        data = self._json(packet.data)
        if not isinstance(data, list):
            raise MalformedPacket("arguments must be an array")
        if packet.attachments:
            data = [with_attachments(item, attachments) for item in data]
        return data

    def _json(self, text: str) -> Any:
        check_depth(text)
        try:
            return self.decode(text)
        except (ValueError, RecursionError) as error:
            raise MalformedPacket(str(error)) from None
        except Exception as error:
            logger.exception("json module failed on a packet, closing its session")
            raise MalformedPacket("the json module failed") from error

    def _too_late(self, session: EngineSession) -> None:
        session.end(FORCED_CLOSE)


async def _one_after_the_other(before: asyncio.Task[None], step: Coroutine[Any, Any, None]) -> None:
    await asyncio.wait([before])
    await step
