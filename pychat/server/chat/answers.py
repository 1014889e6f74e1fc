"""Answers to requests: as an acknowledgement, or as the original protocol's ``response`` event."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from pychat.protocol import Answer, Code, Event, ProtocolError, Response
from pychat.server.chat.state.session import ChatSession, EncodeEvent, Packet

encode = msgspec.json.Encoder().encode

MAX_EVENT_NAME_SHOWN = 64
MAX_REASON_CHARACTERS = 500
"""Of an error message, which may quote the request."""
SUCCESS = encode(Answer(Code.DONE, "done"))


class UnknownRecepient(ProtocolError):
    """No account has the id that a message is for. The original protocol answers it as a
    ``login``."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.NOT_FOUND, message, field="recepient")


class Answers:
    """Send answers.

    ``ack_id`` is None if the client asked for no acknowledgement: then only ``response`` events
    can answer it (docs/reference/protocol.md).
    """

    def __init__(self, encode_event: EncodeEvent) -> None:
        self._encode_event = encode_event
        self._responses: dict[tuple[str, str, str], Packet] = {}

    def answer(self, session: ChatSession, ack_id: int | None, answer: Answer) -> None:
        """Acknowledge with an answer. Does nothing without an acknowledgement."""
        if ack_id is not None:
            session.connection.acknowledge(ack_id, encode(answer))

    def done(self, session: ChatSession, event: str, ack_id: int | None, message: str) -> None:
        """Answer 200, as an acknowledgement or a ``response``."""
        if ack_id is not None:
            session.connection.acknowledge(ack_id, encode(Answer(Code.DONE, message)))
        else:
            response = Response(event, Code.DONE, message)
            self.send(session, Event.RESPONSE, encode(response))

    def succeed(self, session: ChatSession, ack_id: int | None) -> None:
        """Acknowledge with 200. Does nothing without an acknowledgement."""
        if ack_id is not None:
            session.connection.acknowledge(ack_id, SUCCESS)

    def respond(self, session: ChatSession, command: str, code: str, message: str) -> None:
        """Send one of the constant ``response`` events, each of which is encoded once."""
        key = (command, code, message)
        packet = self._responses.get(key)
        if packet is None:
            packet = self._encode_event(Event.RESPONSE, encode(Response(command, code, message)))
            self._responses[key] = packet
        session.connection.send(packet)

    def refuse(
        self, session: ChatSession, event: str, ack_id: int | None, error: ProtocolError
    ) -> None:
        """Answer with an error, as an acknowledgement or a ``response``."""
        text = str(error)[:MAX_REASON_CHARACTERS]
        retry_after = UNSET if error.retry_after is None else round(error.retry_after, 3)
        if ack_id is not None:
            answer = Answer(error.code, text, retry_after)
            session.connection.acknowledge(ack_id, encode(answer))
            return
        command = (
            Event.LOGIN if isinstance(error, UnknownRecepient) else event[:MAX_EVENT_NAME_SHOWN]
        )
        response = Response(command, error.code, text, retry_after)
        self.send(session, Event.RESPONSE, encode(response))

    def send(self, session: ChatSession, event: str, payload: bytes) -> None:
        """Answer with an event."""
        session.connection.send(self._encode_event(event, payload))


def require_acknowledgement(ack_id: int | None) -> int:
    """Return ``ack_id``, for requests that only an acknowledgement can answer.

    Raises ProtocolError 400 if there is none.
    """
    if ack_id is None:
        raise ProtocolError(
            Code.MALFORMED, "only an acknowledgement can answer this event: ask for one"
        )
    return ack_id
