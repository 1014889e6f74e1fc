"""python-socketio's AsyncServer on this engine: faster, and for clients since 1.x."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

import msgspec
import socketio
from aiohttp import web
from socketio import exceptions
from socketio import packet as upstream

from pychat.server.asyncserver.engine import AsyncEngine
from pychat.server.asyncserver.layer import Client
from pychat.server.asyncserver.recovery import RecoveringManager, Recovery
from pychat.server.asyncserver.rooms import Manager, send_packets
from pychat.server.engine.codec.packet import AnyPacket, has_binary, text_packet, without_binary
from pychat.server.engine.session import (
    FORCED_CLOSE,
    PARSE_ERROR,
    SERVER_SHUTDOWN,
    SLOW_CONSUMER,
    EngineSession,
)

logger = logging.getLogger("pychat.engine")

_MAX_WAITING_EVENTS: Final = 1024
"""Events that may wait for one client with ``async_handlers=False``. One more disconnects it."""

_REASONS = {
    PARSE_ERROR: "transport error",
    SLOW_CONSUMER: "transport error",
    FORCED_CLOSE: "server disconnect",
    SERVER_SHUTDOWN: "server disconnect",
}


class AsyncServer(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio has no types
    """A drop-in for ``socketio.AsyncServer(async_mode="aiohttp")``; see its documentation.

    Handlers of one client start in the order of its events and interleave where they await. With
    ``async_handlers=False`` each runs after the previous one is done. What is not supported is
    listed in docs/reference/library.md. Raises ValueError for unsupported options.
    """

    eio: AsyncEngine
    manager_initialized: bool

    def __init__(
        self,
        client_manager: Any = None,
        connection_state_recovery: float | None = None,
        **options: Any,
    ) -> None:
        """``connection_state_recovery``: seconds that a client may be away and still recover."""
        if options.get("serializer", "default") != "default":
            raise ValueError("serializer is not supported: packets are JSON")
        if not (client_manager is None or isinstance(client_manager, socketio.AsyncManager)):
            raise ValueError("client_manager must be an asyncio one, such as AsyncRedisManager")
        self._recovery: Recovery | None = None
        if connection_state_recovery is not None:
            if client_manager is not None:
                raise ValueError("connection_state_recovery works without a client_manager only")
            if not connection_state_recovery > 0:
                raise ValueError(
                    "connection_state_recovery must be a number of seconds above 0: "
                    f"not {connection_state_recovery!r}"
                )
            self._recovery = Recovery(connection_state_recovery)
            client_manager = RecoveringManager(self._recovery)
        custom_json = options.get("json")
        super().__init__(client_manager=client_manager or Manager(), **options)
        self.eio.layer.socketio = self
        if custom_json is not None:
            self.eio.layer.decode = custom_json.loads
        self._custom_json = custom_json

    def attach(self, app: Any, socketio_path: str = "socket.io") -> None:
        """Add the route to an aiohttp application. Raises TypeError for other applications."""
        if not isinstance(app, web.Application):
            raise TypeError(f"only aiohttp applications are supported: not {type(app)!r}")
        super().attach(app, socketio_path)

    async def handle_request(self, *args: Any, **kwargs: Any) -> Any:
        """Answer an aiohttp request, for applications that add the route themselves.

        Raises TypeError for other requests.
        """
        if kwargs or len(args) != 1 or not isinstance(args[0], web.Request):
            raise TypeError("only aiohttp requests are supported: no ASGI, Sanic or Tornado")
        return await super().handle_request(*args)

    def _engineio_server_class(self) -> type[AsyncEngine]:
        return AsyncEngine

    def instrument(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not supported, because the admin UI reads the internals of python-engineio."""
        raise NotImplementedError("instrument() needs python-engineio; it is not supported here")

    async def emit(
        self,
        event: str,
        data: Any = None,
        to: Any = None,
        room: Any = None,
        skip_sid: str | Sequence[str] | None = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """See python-socketio. Concurrent calls are safe, because packets are written whole."""
        await self.manager.emit(
            event,
            data,
            namespace or "/",
            room=to or room,
            skip_sid=skip_sid,
            callback=callback,
            ignore_queue=ignore_queue,
        )

    def recovered(self, sid: str, namespace: str | None = None) -> bool:
        """Whether the client has continued an earlier connection, with its rooms and session.

        Connect handlers may ask too. Always False without ``connection_state_recovery``.
        """
        return self._recovery is not None and self._recovery.is_recovered(namespace or "/", sid)

    async def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False
    ) -> None:
        """See python-socketio. A client that is away for the moment cannot recover afterwards."""
        if self._recovery is not None:
            self._recovery.forget(namespace or "/", sid)
        await super().disconnect(sid, namespace, ignore_queue)

    # --- called by the layer

    def knows_namespace(self, namespace: str) -> bool:
        """Whether clients may join the namespace."""
        return (
            namespace in self.handlers
            or namespace in self.namespace_handlers
            or self.namespaces == "*"
            or namespace in self.namespaces
        )

    def is_joined(self, eio_sid: str, namespace: str) -> bool:
        """Whether the client has asked to join the namespace and was not refused."""
        return self.manager.sid_from_eio_sid(eio_sid, namespace) is not None

    async def client_connects(self, client: Client, namespace: str, auth: Any) -> None:
        """Run the connect handler and answer the client."""
        session = client.session
        if not session.open:
            return
        if not self.manager_initialized:
            self.manager_initialized = True
            self.manager.initialize()
        self.environ[session.sid] = client.environ
        if not self.knows_namespace(namespace):
            await self._send_packet(
                session.sid,
                self.packet_class(
                    upstream.CONNECT_ERROR,
                    data={"message": "Invalid namespace"},
                    namespace=namespace,
                ),
            )
            return
        if session.protocol == 3:
            prefix = "" if namespace == "/" else namespace + "#"
            self.eio.set_next_id(prefix + session.sid)
        elif self._recovery is not None and not self.is_joined(session.sid, namespace):
            earlier_sid, auth = await self._recovery.find(client, namespace, auth)
            self.eio.set_next_id(earlier_sid)
        try:
            await self._handle_connect(session.sid, namespace, auth)
        except Exception:
            logger.exception("connect handler failed")
            sid = self.manager.sid_from_eio_sid(session.sid, namespace)
            if sid is not None:
                refusal = exceptions.ConnectionRefusedError("Connection refused by server")
                await self._send_packet(
                    session.sid,
                    self.packet_class(
                        upstream.CONNECT_ERROR, data=refusal.error_args, namespace=namespace
                    ),
                )
                await self.manager.disconnect(sid, namespace, ignore_queue=True)
        finally:
            self.eio.set_next_id(None)

    async def client_leaves(self, client: Client, namespace: str | None, reason: str) -> None:
        """Run the disconnect handler of the namespace, of all namespaces for None."""
        eio_sid = client.session.sid
        if self._recovery is not None and namespace is None:
            for joined in self.manager.get_namespaces():
                sid = self.manager.sid_from_eio_sid(eio_sid, joined)
                if self.manager.is_connected(sid, joined):
                    self._recovery.broken(joined, sid, reason)
        reason = _REASONS.get(reason, reason)
        if namespace is not None:
            await self._handle_disconnect(eio_sid, namespace, reason)
        else:
            await self._handle_eio_disconnect(eio_sid, reason)

    def client_event(
        self, client: Client, namespace: str, ack_id: int | None, data: list[Any]
    ) -> None:
        """Start the event handler, without waiting for it."""
        eio_sid = client.session.sid
        if not self.async_handlers:
            if client.waiting >= _MAX_WAITING_EVENTS:
                client.session.end(SLOW_CONSUMER)
                return
            client.waiting += 1
            self.eio.layer.in_turn(client, self._in_turn(client, namespace, ack_id, data))
            return
        sid = self.manager.sid_from_eio_sid(eio_sid, namespace)
        if self.manager.is_connected(sid, namespace):
            self.eio.tasks.start(self._handled(eio_sid, namespace, sid, ack_id, data))

    async def _in_turn(
        self, client: Client, namespace: str, ack_id: int | None, data: list[Any]
    ) -> None:
        client.waiting -= 1
        eio_sid = client.session.sid
        sid = self.manager.sid_from_eio_sid(eio_sid, namespace)
        if self.manager.is_connected(sid, namespace):
            await self._handled(eio_sid, namespace, sid, ack_id, data)

    async def _handled(
        self, eio_sid: str, namespace: str, sid: str, ack_id: int | None, data: list[Any]
    ) -> None:
        handler, arguments = self._get_event_handler(data[0], namespace, (sid, *data[1:]))
        if handler is None:
            result = await self._trigger_event(data[0], namespace, sid, *data[1:])
        else:
            result = handler(*arguments)
            if inspect.isawaitable(result):
                result = await result
        if ack_id is None or result is self.not_handled:
            return
        if result is None:
            answer = []
        elif isinstance(result, tuple):
            answer = list(result)
        else:
            answer = [result]
        self.send_to_session(self.eio.session(eio_sid), b"3", namespace, ack_id, answer)

    def client_ack(self, client: Client, namespace: str, ack_id: int, data: list[Any]) -> None:
        """Call the callback of an emit."""
        sid = self.manager.sid_from_eio_sid(client.session.sid, namespace)
        if ack_id != 0:  # the manager keeps its counter under 0
            self.eio.tasks.start(self.manager.trigger_callback(sid, ack_id, data))

    # --- packets

    async def _send_packet(self, eio_sid: str, pkt: upstream.Packet) -> None:
        session = self.eio.session(eio_sid)
        if session is None:
            return
        kind, data = pkt.packet_type, pkt.data
        namespace = pkt.namespace or "/"
        if kind == upstream.CONNECT_ERROR and isinstance(data, str):
            data = {"message": data}
        if session.protocol == 3:
            if kind == upstream.CONNECT:
                data = None
            elif kind == upstream.CONNECT_ERROR:
                data = data.get("data") or data.get("message")
        elif kind == upstream.CONNECT and self._recovery is not None:
            pid, missed = self._recovery.connected(namespace, data["sid"])
            self.send_to_session(session, b"0", namespace, None, {**data, "pid": pid})
            send_packets(session, missed)
            return
        self.send_to_session(session, b"%d" % kind, namespace, pkt.id, data)

    def send_to_session(
        self,
        session: EngineSession | None,
        kind: bytes,
        namespace: str,
        ack_id: int | None,
        data: Any,
    ) -> None:
        if session is not None:
            for packet in self.encode(kind, namespace, ack_id, data):
                session.send(packet)

    def encode(self, kind: bytes, namespace: str, ack_id: int | None, data: Any) -> list[AnyPacket]:
        """Return a Socket.IO packet and its attachments. Raises TypeError if it is not JSON."""
        attachments: list[AnyPacket] = []
        if has_binary(data):
            data = without_binary(data, attachments)
            kind = {b"2": b"5", b"3": b"6"}.get(kind, kind) + b"%d-" % len(attachments)
        head = b"4" + kind
        if namespace != "/":
            head += namespace.encode() + b","
        if ack_id is not None:
            head += b"%d" % ack_id
        if data is not None:
            head += self._encode_json(data)
        packets: list[AnyPacket] = [text_packet(head)]
        return packets + attachments if attachments else packets

    def _encode_json(self, data: Any) -> bytes:
        if self._custom_json is not None:
            text: str = self._custom_json.dumps(data, separators=(",", ":"))
            return text.encode()
        return msgspec.json.encode(data)
