"""The polling transport: GET takes what waits, POST brings packets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from aiohttp import hdrs, web

from pychat.server.engine.pace import BYTES_PER_CREDIT
from pychat.server.engine.packet import MalformedPacket
from pychat.server.engine.payload import (
    Received,
    decode_jsonp,
    decode_v4,
    encode_jsonp,
    encode_v3,
    encode_v4,
)
from pychat.server.engine.refusal import Refused, bad_request
from pychat.server.engine.session import (
    NOOP_PACKET,
    PARSE_ERROR,
    TRANSPORT_CLOSE,
    TRANSPORT_ERROR,
    Polling,
    Session,
)

_TEXT: Final = {hdrs.CONTENT_TYPE: "text/plain; charset=UTF-8"}
_BINARY: Final = {hdrs.CONTENT_TYPE: "application/octet-stream"}
_SCRIPT: Final = {hdrs.CONTENT_TYPE: "text/javascript; charset=UTF-8"}
# Not text/plain: old browsers offer that as a download.
_DONE: Final = {hdrs.CONTENT_TYPE: "text/html"}


_BODY_TIMEOUT: Final = 30.0
_PACKETS_AT_ONCE: Final = 100
"""Of one POST; then others have their turn."""


class Polls:
    """The requests of all polling sessions."""

    def __init__(self, max_payload: int) -> None:
        self._max_payload = max_payload
        self._posting: set[Session] = set()
        self.open: dict[Session, web.Request] = {}

    async def get(self, session: Session, polling: Polling, request: web.Request) -> web.Response:
        """Waits until there is something. Raises Refused for a second poll on a session."""
        if session in self.open:
            session.end(TRANSPORT_ERROR)
            raise bad_request()
        if not polling.ready:
            if not polling.upgrading:
                await self._wait(session, polling, request)
            else:
                polling.send(NOOP_PACKET)
        return self._answer(session, polling, request)

    async def _wait(self, session: Session, polling: Polling, request: web.Request) -> None:
        ready = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        polling.on_ready = wake
        self.open[session] = request
        try:
            await ready
        finally:
            polling.on_ready = None
            del self.open[session]

    def _answer(self, session: Session, polling: Polling, request: web.Request) -> web.Response:
        packets, written = polling.take()
        headers, body = _TEXT, b""
        if session.protocol == 4:
            body = encode_v4(packets)
        else:
            script = request.query.get("j")
            base64 = script is not None or session.handshake.base64
            body, binary = encode_v3(packets, base64=base64)
            if script is not None:
                headers, body = _SCRIPT, encode_jsonp(body, _digits(script))
            elif binary:
                headers = _BINARY
        response = web.Response(body=body, headers=headers)
        if written:
            for callback in written:
                callback()
        return response

    async def post(self, session: Session, polling: Polling, request: web.Request) -> web.Response:
        """Hands the packets to the session. Raises Refused, and ends the session, if malformed."""
        if session in self._posting:
            session.end(TRANSPORT_ERROR)
            raise bad_request()
        self._posting.add(session)
        try:
            body = await self._read(request)
            await self._receive(session, polling, request, body)
        except MalformedPacket:
            session.end(PARSE_ERROR)
            raise bad_request() from None
        except TimeoutError:
            session.end(TRANSPORT_ERROR)
            raise Refused(3, "The body took too long", 408) from None
        finally:
            self._posting.discard(session)
        return web.Response(body=b"ok", headers=_DONE)

    async def _receive(
        self, session: Session, polling: Polling, request: web.Request, body: bytes
    ) -> None:
        packets: Iterator[Received]
        if polling.decoder is None:
            packets = decode_v4(body)
        elif "j" in request.query:
            packets = polling.decoder.text(decode_jsonp(body))
        elif request.content_type == "application/octet-stream":
            packets = polling.decoder.binary(body)
        else:
            packets = polling.decoder.text(body)
        allowance = session.allowance
        for number, packet in enumerate(packets, 1):
            if isinstance(packet, bytes):
                session.receive_binary(packet)
            else:
                session.receive(packet)
            if not session.open:
                return
            if allowance is not None:
                allowance.left -= 1 + len(packet) // BYTES_PER_CREDIT
                if allowance.left < 0:
                    await asyncio.sleep(allowance.pause())
            elif number % _PACKETS_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _read(self, request: web.Request) -> bytes:
        if request.content_length is not None and request.content_length > self._max_payload:
            raise Refused(3, "Payload too large", 413)
        body = bytearray()
        async with asyncio.timeout(_BODY_TIMEOUT):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > self._max_payload:
                    raise Refused(3, "Payload too large", 413)
        return bytes(body)

    def end_abandoned(self) -> None:
        """Ends the sessions whose open poll's connection has gone."""
        for session, request in list(self.open.items()):
            if request.transport is None or request.transport.is_closing():
                session.end(TRANSPORT_CLOSE)


def _digits(text: str) -> str:
    return "".join(character for character in text if character in "0123456789")
