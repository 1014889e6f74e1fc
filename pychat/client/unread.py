"""How much is unread: counted in the cache where that reaches, else worked out from the cursors."""

from __future__ import annotations

from pychat import protocol
from pychat.client.cache import Cache
from pychat.client.models import ConversationInfo


def unread_after(cache: Cache, known: ConversationInfo, seq: int) -> tuple[int, bool]:
    """What ``known.unread`` becomes when everything up to ``seq`` is read, at most MAX_UNREAD; and
    whether that is certain: only the server knows which of the messages in between are one's own.
    """
    left = known.last_seq - seq
    if left <= 0 or (not known.unread and seq >= known.read_seq):
        return 0, True
    rest = cache.messages_after(known.name, seq)
    if rest and rest[-1].seq >= known.last_seq:
        others = sum(not each.own and not each.removed for each in rest)
        return min(others, protocol.MAX_UNREAD), True
    if known.unread >= protocol.MAX_UNREAD:
        return min(left, protocol.MAX_UNREAD), False
    # Rather one too many than a conversation that seems to be read.
    return max(1, min(left, known.unread - (seq - known.read_seq))), False


def merged(
    cache: Cache, listed: ConversationInfo, known: ConversationInfo
) -> tuple[ConversationInfo, bool]:
    """The listed record, set right: the list may have been made before what has arrived, or was
    read or sent, meanwhile. And whether ``unread`` is certain."""
    certain = True
    read_seq = max(listed.read_seq, known.read_seq)
    if known.last_seq > listed.last_seq:
        listed.last_seq, listed.last = known.last_seq, known.last
        listed.read_seq, listed.unread = known.read_seq, known.unread
    if read_seq > listed.read_seq:
        listed.unread, certain = unread_after(cache, listed, read_seq)
        listed.read_seq = read_seq
    listed.delivered_seq = max(listed.delivered_seq, known.delivered_seq)
    return listed, certain
