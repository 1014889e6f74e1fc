"""What is stored, as the wire shows it to one reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import UNSET

from pychat.protocol import EVERYONE, MAX_PAGE_BYTES, MessagePayload
from pychat.server.chat.answers import encode
from pychat.server.chat.clock import rfc3339
from pychat.server.chat.state.entities import Conversation, OnlineUser, Pair, Room
from pychat.server.store.records import MessageRecord

ENVELOPE_BYTES = 1024
"""Kept free for what is around the entries of a page."""


def to_wire(
    reader: OnlineUser,
    conversation: Conversation,
    stored: MessageRecord,
    senders: Mapping[int, OnlineUser],
) -> MessagePayload:
    """``{id, seq, removed: true}`` if it is gone or its reader has blocked its sender."""
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


def fitting(entries: Sequence[object]) -> int:
    """How many of the entries, from the first on, fit a page; at least one."""
    size = ENVELOPE_BYTES
    for count, entry in enumerate(entries):
        size += len(encode(entry)) + 1
        if size > MAX_PAGE_BYTES:
            return max(count, 1)
    return len(entries)
