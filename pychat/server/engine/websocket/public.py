"""WebSockets through aiohttp's public API, where ``takeover`` cannot be used.

Slower than ``takeover``: a task for each connection, and objects for each message. Before its
session is admitted, a client's message is refused by its size only after it has been received.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiohttp import WebSocketError, WSMessage, WSMsgType, web

from pychat.server.engine.session import BYTES_PER_CREDIT, MAX_WAITING
from pychat.server.engine.websocket.transport import INTERNAL_ERROR, OK, WebSocket

logger = logging.getLogger("pychat.engine")

_CLOSE_SECONDS: Final = 2.0
"""How long aiohttp waits for the client's close frame after a protocol error."""
_ENDS: Final = (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)


class PublicWebSocket(WebSocket):
    """A WebSocket whose transport tells aiohttp, and not the socket, when it is full."""

    __slots__ = ()

    def flush(self) -> None:
        self.stalled = self.transport.get_write_buffer_size() > MAX_WAITING
        super().flush()


class ServedSocket:
    """A WebSocket that aiohttp reads. Frames are written to the transport directly.

    aiohttp writes nothing by itself here, except a close frame after a protocol error.
    """

    def __init__(self, socket: WebSocket, response: web.WebSocketResponse) -> None:
        self._socket = socket
        self._response = response

    async def run(self) -> web.StreamResponse:
        """Read messages until the connection ends."""
        socket = self._socket
        allowance = socket.session.allowance
        try:
            while True:
                message = await self._response.receive()
                if message.type in _ENDS:
                    self._ended(message)
                    break
                if message.type is WSMsgType.CLOSE:
                    if not socket.closing:
                        socket.receive_close(message.data or OK)
                    socket.transport.close()
                    break
                if socket.closing:
                    continue
                size = self._handle(message)
                if allowance is not None:
                    allowance.left -= 1 + size // BYTES_PER_CREDIT
                    if allowance.left < 0:
                        await asyncio.sleep(allowance.pause())
        finally:
            socket.disconnected()
        return self._response

    def _handle(self, message: WSMessage) -> int:
        """Return the size of the message in bytes."""
        socket, kind = self._socket, message.type
        size = len(message.data.encode() if kind is WSMsgType.TEXT else message.data)
        try:
            if socket.is_too_large(size):
                pass
            elif kind is WSMsgType.TEXT:
                socket.receive(message.data)
            elif kind is WSMsgType.BINARY:
                socket.receive_binary(bytes(message.data))
            elif kind is WSMsgType.PING:
                socket.receive_ping(bytes(message.data))
            elif kind is WSMsgType.PONG:
                socket.session.pong_frame(bytes(message.data))
        except Exception:
            logger.exception("a WebSocket message was not handled")
            socket.failed(INTERNAL_ERROR)
        return size

    def _ended(self, message: WSMessage) -> None:
        if isinstance(message.data, WebSocketError) and not self._socket.closing:
            # aiohttp has closed the connection: this ends the session.
            self._socket.failed(message.data.code)


async def serve(
    request: web.Request, accept: str, socket: WebSocket, max_payload: int
) -> ServedSocket:
    """Answer the handshake. Raises ConnectionResetError if the client has gone."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    socket.transport = transport
    response = web.WebSocketResponse(
        timeout=_CLOSE_SECONDS,
        autoclose=False,
        autoping=False,
        compress=False,
        # aiohttp refuses a message of just this size.
        max_msg_size=max_payload + 1,
    )
    await response.prepare(request)
    return ServedSocket(socket, response)
