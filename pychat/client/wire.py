"""Between the wire's records and those that the client shows."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET

from pychat import protocol
from pychat.client.errors import AnswerNotUnderstood, RequestRefused
from pychat.client.models import (
    ConversationInfo,
    DeliveryStatus,
    DeviceInfo,
    MessageInfo,
    RoomInfo,
    UserInfo,
)
from pychat.client.safetext import safe_line

T = TypeVar("T")

ANSWER_TIMEOUT: Final = 10.0
"""Seconds that a request waits for its answer."""
LONGEST_WAIT: Final = 3600.0
"""Seconds: a server that asks for more patience is asked again after this."""
_YEAR_9999: Final = 253_370_764_800.0
"""Later times cannot be told in every timezone."""


def parsed(payload: Any, kind: type[T]) -> T:
    """What the server sent, as its type. Raises AnswerNotUnderstood if it is not that."""
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        raise AnswerNotUnderstood(safe_line(str(error))) from None


def check_refusal(payload: Any) -> None:
    """Raises RequestRefused unless the answer's code is 200 or 202."""
    answer = parsed(payload, protocol.Answer)
    if answer.code not in (protocol.Code.DONE, protocol.Code.STORED):
        after = answer.retry_after or 0.0
        raise RequestRefused(
            answer.code,
            safe_line(answer.message or f"refused with {answer.code}"),
            min(after, LONGEST_WAIT) if after > 0 else None,
        )


def check_page(request: protocol.HistoryRequest, answer: protocol.HistoryAnswer) -> None:
    """Raises AnswerNotUnderstood unless it is a page that was asked for: who goes on from its first
    or last message comes to an end."""
    seqs = [message.seq for message in answer.messages]
    if len(seqs) > request.limit:
        raise AnswerNotUnderstood("a page has more messages than were asked for")
    if any(seq >= after for seq, after in pairwise(seqs)):
        raise AnswerNotUnderstood("the messages of a page are not in order")
    if seqs and (
        (request.before is not None and seqs[-1] >= request.before)
        or (request.after is not None and seqs[0] <= request.after)
    ):
        raise AnswerNotUnderstood("a page has messages that were not asked for")


def seconds(stamp: str) -> float:
    """RFC 3339 as seconds since the epoch; 0 for what is not, or is no time of a chat."""
    try:
        moment = datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return moment if 0 <= moment < _YEAR_9999 else 0.0


def conversation_name(message: protocol.MessagePayload, user: str) -> str:
    """What the reader calls the conversation that the message is in."""
    sender, recepient = message.sender or "", message.recepient or ""
    if recepient == protocol.EVERYONE:
        return protocol.EVERYONE
    if message.command == "groupchat":
        return protocol.ROOM_PREFIX + recepient
    return recepient if sender == user else sender


def is_shared(name: str) -> bool:
    """Whether the conversation is one of many people: a room, or ``ALL``."""
    return name == protocol.EVERYONE or name.startswith(protocol.ROOM_PREFIX)


def outgoing(message: MessageInfo, user: str) -> protocol.ClientMessage:
    """One's own message, as it is sent. ``user``: as the server writes the id, which may not be how
    it was typed when the message was written."""
    room = message.conversation.startswith(protocol.ROOM_PREFIX)
    return protocol.ClientMessage(
        sender=user,
        recepient=message.conversation[1:] if room else message.conversation,
        command="groupchat" if room else "chat",
        data=message.text,
        client_id=message.client_id,
    )


def message_record(message: protocol.MessagePayload, name: str, user: str) -> MessageInfo:
    """The message as an entry of the conversation ``name``."""
    own = message.sender == user
    return MessageInfo(
        conversation=name,
        sender=message.sender or "",
        text=message.data or "",
        client_id=message.client_id or "",
        id=message.id,
        seq=message.seq,
        sent_at=seconds(message.sent_at) if message.sent_at is not UNSET else 0.0,
        removed=message.removed,
        own=own,
        delivery=DeliveryStatus.SENT if own else None,
    )


def conversation_record(
    listed: protocol.ConversationPayload, user: str, known: ConversationInfo | None
) -> ConversationInfo:
    """``known`` gives what the list does not say."""
    name = listed.with_
    return ConversationInfo(
        name=name,
        alias=listed.alias,
        online=listed.online,
        last_seen=None if listed.last_seen is UNSET else seconds(listed.last_seen),
        first_seq=listed.first_seq,
        last_seq=listed.last_seq,
        delivered_seq=listed.delivered_seq,
        read_seq=listed.read_seq,
        peer_delivered_seq=listed.peer_delivered_seq,
        peer_read_seq=listed.peer_read_seq,
        unread=listed.unread,
        last=message_record(listed.last, name, user) if listed.last else None,
        typing=known.typing if known else (),
        blocked=listed.blocked is True,
    )


def room_record(room: protocol.RoomPayload, member: bool = False) -> RoomInfo:
    """``member`` is what is known where the server does not say."""
    return RoomInfo(
        id=room.id,
        name=room.name,
        owner=room.owner,
        member=member if room.member is UNSET else bool(room.member),
    )


def user_record(user: protocol.UserPayload) -> UserInfo:
    return UserInfo(id=user.id, alias=user.alias, online=user.online)


def session_record(session: protocol.DevicePayload) -> DeviceInfo:
    return DeviceInfo(
        id=session.id,
        device=session.device,
        since=seconds(session.since),
        last_seen=seconds(session.last_seen),
        current=session.current,
    )
