"""How a request is answered: by its acknowledgement, or by what the original protocol expects."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from pychat.protocol import Answer, Code, Event, ProtocolError, Response
from pychat.server.chat.connection import EncodeEvent
from pychat.server.chat.state.session import ChatSession

encode = msgspec.json.Encoder().encode

MAX_EVENT_NAME_SHOWN = 64
MAX_REASON_CHARACTERS = 500
"""A reason may quote what was wrong."""
SUCCESS = encode(Answer(Code.DONE, "done"))


class UnknownRecepient(ProtocolError):
    """Nobody has the id that a message is for; the original answers it as a ``login``."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.NOT_FOUND, message, field="recepient")


class Answers:
    """Without an acknowledgement only ``response`` events can answer (design: docs/protocol.md)."""

    def __init__(self, encode_event: EncodeEvent) -> None:
        self._encode_event = encode_event
        self._responses: dict[tuple[str, str, str], Any] = {}

    def answer(self, session: ChatSession, ack_id: int | None, answer: Answer) -> None:
        """To the acknowledgement only: nothing if there is none."""
        if ack_id is not None:
            session.connection.acknowledge(ack_id, encode(answer))

    def done(self, session: ChatSession, event: str, ack_id: int | None, message: str) -> None:
        """200, to the acknowledgement or as a ``response``."""
        if ack_id is not None:
            session.connection.acknowledge(ack_id, encode(Answer(Code.DONE, message)))
        else:
            response = Response(event, Code.DONE, message)
            session.connection.send(self._encode_event(Event.RESPONSE, encode(response)))

    def succeed(self, session: ChatSession, ack_id: int | None) -> None:
        """200 to the acknowledgement; nothing if there is none."""
        if ack_id is not None:
            session.connection.acknowledge(ack_id, SUCCESS)

    def respond(self, session: ChatSession, command: str, code: str, message: str) -> None:
        """One of the few constant ``response`` events, encoded once."""
        key = (command, code, message)
        packet = self._responses.get(key)
        if packet is None:
            packet = self._encode_event(Event.RESPONSE, encode(Response(command, code, message)))
            self._responses[key] = packet
        session.connection.send(packet)

    def refuse(
        self, session: ChatSession, event: str, ack_id: int | None, error: ProtocolError
    ) -> None:
        """The reason, to the acknowledgement or as a ``response``."""
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
        session.connection.send(self._encode_event(Event.RESPONSE, encode(response)))


def require_acknowledgement(ack_id: int | None) -> int:
    """For requests whose answer has no event of its own. Raises ProtocolError 400."""
    if ack_id is None:
        raise ProtocolError(
            Code.MALFORMED, "the answer comes as an acknowledgement only: ask for one"
        )
    return ack_id
