"""Polling without HTTP: queued packets to an answer, a body to packets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from pychat.server.engine.answer import HTTPAnswer, bad_request, refusal
from pychat.server.engine.codec.packet import AnyPacket, MalformedPacket
from pychat.server.engine.codec.payload import (
    Received,
    decode_jsonp,
    decode_v4,
    encode_jsonp,
    encode_v3,
    encode_v4,
)
from pychat.server.engine.polling.queue import Polling
from pychat.server.engine.session import BYTES_PER_CREDIT, PARSE_ERROR, EngineSession

BODY_TIMEOUT: Final = 30.0
"""Time limit for the body of a POST, in seconds."""

_TEXT: Final = "text/plain; charset=UTF-8"
_BINARY: Final = "application/octet-stream"
_SCRIPT: Final = "text/javascript; charset=UTF-8"
# Not text/plain, which old browsers offer as a download.
_DONE: Final = HTTPAnswer(200, "text/html", b"ok")
_MALFORMED: Final = refusal(bad_request())

_PACKETS_AT_ONCE: Final = 100
"""Packets of one POST that are handled before other clients have their turn."""


def register_poll(
    session: EngineSession, polling: Polling, query: Mapping[str, str]
) -> HTTPAnswer | None:
    """Register a poll. Return the previous answer if the poll repeats the previous one."""
    if polling.register_poll(query.get("t")):
        return polling.answer
    if session.proof is not None:
        session.proof.polled(polling.received)
    return None


def take(session: EngineSession, polling: Polling, script: str | None) -> HTTPAnswer:
    """Return the queued packets as the answer to a poll.

    ``script``: the number of the JSONP callback, None without JSONP.
    """
    answer = polling.answer = _encode(session, polling, polling.take(), script)
    return answer


def _encode(
    session: EngineSession, polling: Polling, packets: Sequence[AnyPacket], script: str | None
) -> HTTPAnswer:
    if polling.decoder is None:
        return HTTPAnswer(200, _TEXT, encode_v4(packets))
    body, binary = encode_v3(
        packets,
        base64=script is not None or session.handshake.base64,
        encoded_twice=polling.decoder.encoded_twice is True,
    )
    if script is not None:
        return HTTPAnswer(200, _SCRIPT, encode_jsonp(body, _digits(script)))
    return HTTPAnswer(200, _BINARY if binary else _TEXT, body)


def decode_body(body: bytes, polling: Polling, *, script: bool, binary: bool) -> Iterator[Received]:
    """Yield the packets of a POST. Raises MalformedPacket at the first malformed one."""
    if polling.decoder is None:
        yield from decode_v4(body)
    elif script:
        yield from polling.decoder.text(decode_jsonp(body))
    elif binary:
        yield from polling.decoder.binary(body)
    else:
        yield from polling.decoder.text(body)


def receive(
    session: EngineSession, packets: Iterator[Received], done: Callable[[HTTPAnswer], None]
) -> None:
    """Pass packets to the session at its pace. ``done`` gets the answer, now or later."""
    allowance = session.allowance
    try:
        for number, packet in enumerate(packets, 1):
            if isinstance(packet, bytes):
                session.receive_binary(packet)
            else:
                session.receive(packet)
            if not session.open:
                break
            if allowance is not None:
                allowance.left -= 1 + len(packet) // BYTES_PER_CREDIT
                if allowance.left < 0:
                    asyncio.get_running_loop().call_later(
                        allowance.pause(), receive, session, packets, done
                    )
                    return
            elif number == _PACKETS_AT_ONCE:
                asyncio.get_running_loop().call_soon(receive, session, packets, done)
                return
    except MalformedPacket:
        session.end(PARSE_ERROR)
        done(_MALFORMED)
    else:
        done(_DONE)


def _digits(text: str) -> str:
    return "".join(character for character in text if character in "0123456789")
