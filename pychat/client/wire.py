"""Conversion between protocol payloads and the client's records, and checks of answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, Protocol, TypeVar

import msgspec
from msgspec import UNSET, UnsetType, structs

from pychat import protocol
from pychat.client.errors import InvalidAnswer, RequestRefused
from pychat.client.models import (
    ConversationInfo,
    DeliveryStatus,
    DeviceInfo,
    FileInfo,
    MemberInfo,
    MessageInfo,
    QuoteInfo,
    ReactionInfo,
    RoomInfo,
    UserInfo,
)
from pychat.client.safetext import safe_line
from pychat.visible import file_name

T = TypeVar("T")
A = TypeVar("A", bound=protocol.Answer)

ANSWER_TIMEOUT: Final = 10.0
"""Seconds to wait for the answer to a request."""
MAX_RETRY_AFTER: Final = 3600.0
"""Upper limit, in seconds, for the ``retryAfter`` that a server asks for."""
MAX_QUOTED: Final = 120
"""Characters of a quote's text."""
_MAX_REACTIONS: Final = 200
_MAX_KINDS: Final = 20
_MAX_NAMED: Final = 10
"""Limits for the reactions to a message: how many, with how many emoji, and ids for each emoji."""
_MAX_MIME: Final = 100
_YEAR_9999: Final = 253_370_764_800.0
"""Later times cannot be converted to every time zone."""


class SendRequest(Protocol):
    """Send a request and return its answer as a value of the given type.

    Raises RequestRefused, LoginRefused (while logged out) and ServerUnreachable.
    """

    async def __call__(
        self, event: protocol.Event, payload: msgspec.Struct, answer_type: type[A], /
    ) -> A: ...


Progress = Callable[[int], None]
"""Called with the number of bytes of a file that were transferred since the last call."""


def parse(payload: object, kind: type[T]) -> T:
    """Convert decoded JSON to the given type. Raises InvalidAnswer."""
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        raise InvalidAnswer(safe_line(str(error))) from None


def check_refusal(payload: object) -> None:
    """Raise RequestRefused unless the answer's code is 200 or 202."""
    answer = parse(payload, protocol.Answer)
    if answer.code not in (protocol.Code.DONE, protocol.Code.STORED):
        after = answer.retry_after or 0.0
        raise RequestRefused(
            answer.code,
            safe_line(answer.message or f"refused with {answer.code}"),
            min(after, MAX_RETRY_AFTER) if after > 0 else None,
        )


def check_page(request: protocol.HistoryRequest, answer: protocol.HistoryAnswer) -> None:
    """Raise InvalidAnswer unless the page is one that was requested.

    Loops that continue from the first or last message of a page rely on this to terminate.
    """
    seqs = [message.seq for message in answer.messages]
    if len(seqs) > request.limit:
        raise InvalidAnswer("a page has more messages than requested")
    if any(seq >= after for seq, after in pairwise(seqs)):
        raise InvalidAnswer("the messages of a page are not in order")
    if seqs and (
        (request.before is not None and seqs[-1] >= request.before)
        or (request.after is not None and seqs[0] <= request.after)
    ):
        raise InvalidAnswer("a page has messages that were not requested")


def check_changes(request: protocol.HistoryRequest, answer: protocol.HistoryAnswer) -> int:
    """Return the rev that an answer to ``changed_after`` reaches.

    Raises InvalidAnswer for one that was not requested. Loops rely on this to terminate.
    """
    rev = 0 if answer.rev is UNSET else answer.rev
    if len(answer.messages) > request.limit:
        raise InvalidAnswer("a page has more messages than requested")
    if answer.has_more and rev <= (request.changed_after or 0):
        raise InvalidAnswer("a page of changes does not end")
    return rev


def format_time(seconds: float) -> str:
    """Convert a time that ``parse_time`` returned to RFC 3339 again, exact to the millisecond."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    moment = datetime.fromtimestamp(whole, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


def parse_time(text: str) -> float:
    """Convert RFC 3339 to seconds since the epoch. Returns 0 for an invalid time."""
    try:
        moment = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return moment if 0 <= moment < _YEAR_9999 else 0.0


def conversation_name(message: protocol.MessagePayload, user: str) -> str:
    """Return the name of the message's conversation from the view of ``user``."""
    sender, recipient = message.sender or "", message.recepient or ""
    if recipient == protocol.EVERYONE:
        return protocol.EVERYONE
    if message.command == "groupchat":
        return protocol.ROOM_PREFIX + recipient
    return recipient if sender == user else sender


def is_shared(name: str) -> bool:
    """Whether the conversation may have more than two members: a room or ``ALL``."""
    return name == protocol.EVERYONE or name.startswith(protocol.ROOM_PREFIX)


def client_message(message: MessageInfo, user: str) -> protocol.ClientMessage:
    """Return the payload that sends this message.

    ``user``: the login id as the server spells it. The message may have been written before the
    first login, when only the user's spelling was known.
    """
    room = message.conversation.startswith(protocol.ROOM_PREFIX)
    return protocol.ClientMessage(
        sender=user,
        recepient=message.conversation[1:] if room else message.conversation,
        command="groupchat" if room else "chat",
        data=message.text,
        client_id=message.client_id,
        reply_to=message.reply_to.seq if message.reply_to else None,
        file=message.file.id if message.file else None,
    )


def message_info(message: protocol.MessagePayload, name: str, user: str) -> MessageInfo:
    """Return the message as part of the conversation ``name``, from the view of ``user``."""
    own = message.sender == user
    mentions = () if message.removed else mentioned_ids(message.mentions)
    return MessageInfo(
        conversation=name,
        sender=message.sender or "",
        text=message.data or "",
        client_id=message.client_id or "",
        id=message.id,
        seq=message.seq,
        sent_at=parse_time(message.sent_at) if message.sent_at is not UNSET else 0.0,
        removed=message.removed,
        own=own,
        delivery=DeliveryStatus.SENT if own else None,
        rev=message.rev,
        edited=parse_time(message.edited) if message.edited is not UNSET else None,
        reactions=() if message.reactions is UNSET else _reactions(message.reactions),
        reply_to=None if message.reply_to is UNSET else _quote(message.reply_to),
        mentions=mentions,
        mentioned=not own and _is_mentioned(mentions, user),
        file=None if message.removed or message.file is UNSET else file_info(message.file),
    )


def file_info(file: protocol.FilePayload) -> FileInfo | None:
    """Return the file, None if its id is not one that the server gives."""
    if not is_file_id(file.id):
        return None
    return FileInfo(
        file.id,
        file_name(file.name),
        max(0, file.size),
        file.mime[:_MAX_MIME],
        None if file.width is UNSET else min(max(1, file.width), protocol.MAX_PIXELS),
        None if file.height is UNSET else min(max(1, file.height), protocol.MAX_PIXELS),
        "" if file.blurhash is UNSET else file.blurhash[: protocol.MAX_BLURHASH],
    )


is_file_id: Final = re.compile("[0-9a-f]{32}").fullmatch
"""Whether a text is the id of a file."""


def mentioned_ids(mentions: list[str] | UnsetType) -> tuple[str, ...]:
    """Return the ids that a message mentions."""
    if mentions is UNSET:
        return ()
    return tuple(id[: protocol.MAX_ID_CHARACTERS] for id in mentions[: protocol.MAX_MENTIONS])


def _is_mentioned(mentions: tuple[str, ...], user: str) -> bool:
    return user in mentions or protocol.EVERYONE in mentions


def _quote(quote: protocol.QuotePayload) -> QuoteInfo:
    text = (quote.data or "")[:MAX_QUOTED]
    return QuoteInfo(quote.seq, (quote.sender or "")[: protocol.MAX_ID_CHARACTERS], text)


def _reactions(payloads: list[protocol.ReactionPayload]) -> tuple[ReactionInfo, ...]:
    return tuple(
        ReactionInfo(
            emoji=each.emoji,
            count=max(1, min(each.count, _MAX_REACTIONS)),
            by=tuple(id[: protocol.MAX_ID_CHARACTERS] for id in each.by[:_MAX_NAMED]),
            mine=each.mine,
        )
        for each in payloads[:_MAX_KINDS]
        if _is_emoji(each.emoji)
    )


def _is_emoji(text: str) -> bool:
    try:
        protocol.check_emoji(text)
    except (protocol.ProtocolError, UnicodeEncodeError):
        return False
    return True


def quote_of(message: MessageInfo) -> QuoteInfo:
    """Return the quote of a message in its replies."""
    if message.removed:
        return QuoteInfo(message.seq)
    text = message.text or (message.file.name if message.file else "")
    return QuoteInfo(message.seq, message.sender, text[:MAX_QUOTED])


def quote_after(quote: QuoteInfo, change: protocol.Changed) -> QuoteInfo:
    """Return the quote after a change of its origin."""
    if change.removed:
        return QuoteInfo(quote.seq)
    if change.data is UNSET or not quote.sender:
        return quote
    return QuoteInfo(quote.seq, quote.sender, change.data[:MAX_QUOTED])


def with_quote(
    message: MessageInfo, origin: int, update: Callable[[QuoteInfo], QuoteInfo]
) -> MessageInfo:
    """Return the message with its quote updated if it quotes ``origin``.

    Returns the same object if nothing is changed.
    """
    quote = message.reply_to
    if quote is None or quote.seq != origin or (updated := update(quote)) == quote:
        return message
    return structs.replace(message, reply_to=updated)


def removed_message(message: MessageInfo, rev: int) -> MessageInfo:
    """Return what is left of a message that was removed by the change ``rev``."""
    return structs.replace(
        message,
        text="",
        removed=True,
        rev=max(message.rev, rev),
        edited=None,
        reactions=(),
        reply_to=None,
        mentions=(),
        mentioned=False,
        file=None,
    )


def after_change(message: MessageInfo, change: protocol.Changed, user: str) -> MessageInfo:
    """Return the message after a change of it, from the view of ``user``.

    Returns the same object if it is not changed: it shows the change already.
    """
    if change.removed:
        return message if message.removed else removed_message(message, change.rev)
    if message.removed or change.rev <= message.rev:
        return message
    if change.data is not UNSET:
        edited = parse_time(change.edited) if change.edited is not UNSET else 0.0
        mentions = mentioned_ids(change.mentions)
        return structs.replace(
            message,
            text=change.data,
            edited=edited,
            rev=change.rev,
            mentions=mentions,
            mentioned=not message.own and _is_mentioned(mentions, user),
        )
    if change.reaction is not UNSET:
        reactions = _after_reaction(message.reactions, change.reaction, user)
        return structs.replace(message, reactions=reactions, rev=change.rev)
    return message


def _after_reaction(
    before: tuple[ReactionInfo, ...], reaction: protocol.Reaction, user: str
) -> tuple[ReactionInfo, ...]:
    kinds = {each.emoji: each for each in before}
    known = kinds.get(reaction.emoji)
    by = reaction.by[: protocol.MAX_ID_CHARACTERS]
    mine = reaction.on if by == user else known is not None and known.mine
    if reaction.on:
        if known is not None:
            named = known.by if len(known.by) >= _MAX_NAMED else (*known.by, by)
            count = min(known.count + 1, _MAX_REACTIONS)
            kinds[reaction.emoji] = ReactionInfo(reaction.emoji, count, named, mine)
        elif len(kinds) < _MAX_KINDS and _is_emoji(reaction.emoji):
            kinds[reaction.emoji] = ReactionInfo(reaction.emoji, 1, (by,), mine)
    elif known is not None and known.count > 1:
        named = tuple(each for each in known.by if each != by)
        kinds[reaction.emoji] = ReactionInfo(reaction.emoji, known.count - 1, named, mine)
    elif known is not None:
        del kinds[reaction.emoji]
    return tuple(kinds.values())


def with_reaction(message: MessageInfo, emoji: str, on: bool, user: str) -> MessageInfo:
    """Return the message with a reaction of ``user``, or without it."""
    if on == any(each.mine for each in message.reactions if each.emoji == emoji):
        return message
    reaction = protocol.Reaction(emoji, user, on)
    return structs.replace(message, reactions=_after_reaction(message.reactions, reaction, user))


def conversation_info(
    listed: protocol.ConversationPayload, user: str, known: ConversationInfo | None
) -> ConversationInfo:
    """Return the listed conversation. ``typing`` is not in the list: it is taken from ``known``."""
    name = listed.with_
    last = message_info(listed.last, name, user) if listed.last else None
    status, text = status_of(listed)
    return ConversationInfo(
        name=name,
        alias=listed.alias,
        online=listed.online,
        last_seen=None if listed.last_seen is UNSET else parse_time(listed.last_seen),
        first_seq=listed.first_seq,
        last_seq=listed.last_seq,
        delivered_seq=listed.delivered_seq,
        read_seq=listed.read_seq,
        peer_delivered_seq=listed.peer_delivered_seq,
        peer_read_seq=listed.peer_read_seq,
        unread=listed.unread,
        unread_mentions=listed.unread_mentions,
        last=last,
        last_stored=last,
        typing=known.typing if known else (),
        blocked=listed.blocked is True,
        topic=listed.topic or "",
        role=listed.role or "",
        notify=notify_level(listed.notify),
        status=status,
        status_text=text,
    )


def status_of(
    payload: protocol.UserPayload
    | protocol.MemberPayload
    | protocol.PresencePayload
    | protocol.ConversationPayload
    | protocol.LoginAnswer
    | protocol.ProfileAnswer,
) -> tuple[protocol.Availability, str]:
    """Return the status and the status text. A status that this version does not know is none."""
    known = [each for each in protocol.Availability if each == payload.status]
    status = known[0] if known else protocol.Availability.ONLINE
    return status, (payload.status_text or "")[: protocol.MAX_STATUS_CHARACTERS]


def notify_level(level: str | UnsetType) -> protocol.NotifyLevel:
    """Return a level that the server has sent. One that this version does not know is ``all``."""
    known = [each for each in protocol.NotifyLevel if each == level]
    return known[0] if known else protocol.NotifyLevel.ALL


def room_info(room: protocol.RoomPayload, member: bool = False) -> RoomInfo:
    """Return the room. ``member`` is used if the payload does not say whether it is joined."""
    return RoomInfo(
        id=room.id,
        name=room.name,
        owner=room.owner,
        member=member if room.member is UNSET else bool(room.member),
        topic=room.topic,
        private=room.private,
        invited=room.invited,
    )


def member_info(member: protocol.MemberPayload) -> MemberInfo:
    status, text = status_of(member)
    return MemberInfo(member.id, member.alias, member.role, member.online, status, text)


def user_info(user: protocol.UserPayload) -> UserInfo:
    status, text = status_of(user)
    return UserInfo(user.id, user.alias, user.online, status, text)


def device_info(device: protocol.DevicePayload) -> DeviceInfo:
    return DeviceInfo(
        id=device.id,
        device=device.device,
        since=parse_time(device.since),
        last_seen=parse_time(device.last_seen),
        current=device.current,
    )
