"""One Socket.IO connection to the server, from open to closed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakSet

import aiohttp
import socketio

from pychat.client.connection import packets
from pychat.client.connection.http import ConnectFailure, http_session
from pychat.client.errors import AnswerLost, ServerUnreachable

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for one attempt to connect."""
CLOSE_TIMEOUT: Final = 1.0
"""Seconds for a clean disconnect."""

logger = logging.getLogger("pychat.client.socketio")
# At INFO python-socketio logs every payload, including passwords and tokens. Its warnings are about
# lost connections, which the client reports itself.
logger.setLevel(logging.ERROR)
logger.addHandler(logging.NullHandler())


class ServerConnection:
    """Connection over WebSocket, or over HTTP long-polling if WebSocket does not get through.

    ``on_event`` is called synchronously with the name and the first argument of every event, in
    order.
    """

    def __init__(self, address: str, on_event: Callable[[str, object], None]) -> None:
        self.address = address
        self._on_event = on_event
        self._socket: Any = None  # a socketio.AsyncClient, which has no types
        self._http: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._responses: WeakSet[aiohttp.ClientResponse] = WeakSet()
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Set when the connection ends, to the reason in one line."""
        self.last_received = time.monotonic()
        """Time of the last event or answer, on the clock of time.monotonic."""

    async def open(self) -> None:
        """Connect. Raises ServerUnreachable."""
        failure = await self._attempt("websocket")
        if failure is not None and failure.reached:
            failure = await self._attempt("polling")
        if failure is not None:
            raise ServerUnreachable(failure.reason)

    async def _attempt(self, transport: str) -> ConnectFailure | None:
        failure = ConnectFailure(self.address, CONNECT_TIMEOUT)
        self._http = http_session(
            self.address,
            connect_timeout=CONNECT_TIMEOUT,
            trace=failure.trace(),
            responses=self._responses,
        )
        self._socket = socketio.AsyncClient(
            reconnection=False,
            handle_sigint=False,
            logger=logger,
            engineio_logger=logger,
            http_session=self._http,
            serializer=packets.TolerantPacket,
            json=packets,
        )
        self._socket.on("*", self._received)
        self._socket.on("disconnect", self._disconnected)
        self._socket.on("connect_error", self._rejected)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._socket.connect(
                    self.address, transports=[transport], wait_timeout=CONNECT_TIMEOUT
                )
        except TimeoutError:
            failure.timed_out()
        except (socketio.exceptions.ConnectionError, aiohttp.ClientError) as error:
            failure.refused(str(error))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # python-socketio does not validate the handshake of a server that is not Engine.IO.
            failure.refused(str(error))
        except BaseException:
            await self._release()
            raise
        else:
            return None
        await self._release()
        return failure

    async def _release(self) -> None:
        # After a malformed frame the library drops the WebSocket without closing it.
        for response in self._responses:
            response.close()
        if self._http is not None:
            await self._http.close()
        # The library's own tasks end once the transport is closed.

    def _received(self, event: str, data: object = None, *_more: object) -> None:
        self.last_received = time.monotonic()
        if not self.closed.done():
            self._on_event(event, data)

    def _disconnected(self, reason: str) -> None:
        self._end(
            "the server closed the connection"
            if reason == socketio.AsyncClient.reason.SERVER_DISCONNECT
            else "the connection was lost"
        )

    def _rejected(self, *_details: object) -> None:
        # Also called while connecting, where ``connect`` raises. Later the library would wait on.
        if self._socket.connected:
            self._end("the server closed the connection")

    def _end(self, reason: str) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)

    def send(
        self, event: str, payload: object, answered: Callable[[object], None] | None = None
    ) -> None:
        """Send an event.

        ``payload``: JSON types. ``answered``: called with the answer, in the order in which answers
        and events arrive. It is not called after the connection has closed.
        """
        if self.closed.done():
            return
        task = asyncio.ensure_future(self._emit(event, payload, self._answer(answered)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _answer(self, answered: Callable[[object], None] | None) -> Callable[..., None] | None:
        if answered is None:
            return None

        def callback(*arguments: object) -> None:
            self.last_received = time.monotonic()
            if not self.closed.done():
                answered(arguments[0] if arguments else None)

        return callback

    async def _emit(
        self, event: str, payload: object, callback: Callable[..., None] | None
    ) -> None:
        try:
            await self._socket.emit(event, payload, callback=callback)
        except socketio.exceptions.SocketIOError:
            self._end("the connection was lost")

    async def request(self, event: str, payload: object, answer_timeout: float) -> object:
        """Send an event and return its answer.

        ``answer_timeout``: seconds. Raises AnswerLost if the connection closes first, and
        TimeoutError if the answer does not arrive in time.
        """
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def answered(value: object) -> None:
            if not answer.done():
                answer.set_result(value)

        self.send(event, payload, answered)
        await asyncio.wait(
            (answer, self.closed), timeout=answer_timeout, return_when=asyncio.FIRST_COMPLETED
        )
        if answer.done():
            return answer.result()
        answer.cancel()
        if self.closed.done():
            raise AnswerLost(self.closed.result())
        raise TimeoutError

    def abort(self, reason: str) -> None:
        """End the connection without sending what is queued. Call ``close`` afterwards."""
        self._end(reason)

    async def close(self) -> None:
        """Disconnect, cleanly if the connection is still alive, and close the sockets."""
        alive = not self.closed.done()
        self._end("closed")
        if self._socket is not None and alive:
            with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._socket.disconnect()
        await self._release()
