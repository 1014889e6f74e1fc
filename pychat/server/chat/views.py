"""Stored messages and rooms as one reader sees them on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import UNSET

from pychat.protocol import EVERYONE, MAX_PAGE_BYTES, MessagePayload, RoomPayload
from pychat.server.chat.answers import encode
from pychat.server.chat.clock import rfc3339
from pychat.server.chat.state.entities import Conversation, OnlineUser, Pair, Room
from pychat.server.store.records import MessageRecord

ENVELOPE_BYTES = 1024
"""Reserved in a page for everything around its entries."""


def message_payload(
    reader: OnlineUser,
    conversation: Conversation,
    stored: MessageRecord,
    senders: Mapping[int, OnlineUser],
) -> MessagePayload:
    """Return a stored message.

    It is ``{id, seq, removed: true}`` if the message was removed or the reader has blocked its
    sender. ``senders``: users by key.
    """
    id = f"{stored.conversation}-{stored.seq}"
    sender = senders.get(stored.sender)
    if stored.removed or sender is None or stored.sender in reader.blocked:
        return MessagePayload(id, stored.seq, removed=True)
    if isinstance(conversation, Pair):
        recepient, command = conversation.other_id(stored.sender), "chat"
    elif isinstance(conversation, Room):
        recepient, command = conversation.id, "groupchat"
    else:
        recepient, command = EVERYONE, "chat"
    client_id = UNSET if stored.client_id is None else str(UUID(bytes=stored.client_id))
    return MessagePayload(
        id,
        stored.seq,
        sender.id,
        recepient,
        command,
        "text",
        stored.data,
        rfc3339(stored.sent_at),
        client_id,
    )


def room_payload(room: Room, member: bool | None = None) -> RoomPayload:
    """Return a room. ``member``: whether the reader is a member; left out if None."""
    return RoomPayload(room.id, room.name, room.owner_id, UNSET if member is None else member)


def fitting(entries: Sequence[object]) -> int:
    """Return how many entries, from the first on, fit on a page; at least one if there is any."""
    size = ENVELOPE_BYTES
    for count, entry in enumerate(entries):
        size += len(encode(entry)) + 1
        if size > MAX_PAGE_BYTES:
            return max(count, 1)
    return len(entries)
