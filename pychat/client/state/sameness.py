"""Whether two records are of the same message, and which one is newer."""

from __future__ import annotations

from pychat.client.models import MessageInfo
from pychat.client.wire import removed_message


def is_same(one: MessageInfo, other: MessageInfo) -> bool:
    """Whether two records with the same seq are the same message.

    Another server, or one with an older store, gives the same seq to another message. The text may
    have been edited if the revs differ. A removed message has only its seq to compare.
    """
    if one.seq != other.seq or one.removed or other.removed:
        return one.seq == other.seq
    edited = one.rev != other.rev
    return _identity(one) == _identity(other) and (edited or one.text == other.text)


def newer(kept: MessageInfo, read: MessageInfo) -> MessageInfo:
    """Return the newer of two records of a message: the kept one, and one that was read."""
    if read.removed:
        return kept if kept.removed else removed_message(kept, read.rev)
    return kept if kept.removed or read.rev < kept.rev else read


def _identity(message: MessageInfo) -> tuple[str, str, float, str]:
    return message.id, message.sender, message.sent_at, message.client_id
