"""Interface of the client's cache, and the implementation in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from pychat.client.models import ConversationInfo, MessageInfo, PendingChange

KEPT_IN_MEMORY: Final = 250
"""Messages per conversation that MemoryCache keeps at least."""


class Cache(Protocol):
    """Conversations, the newest messages of each without a gap, the outbox, unanswered changes of
    messages, and drafts.

    All methods are synchronous and take microseconds. What is written to the outbox and of changes
    is persisted when the call returns, everything else when ``flush`` returns.
    """

    def open(self, server: str, user: str) -> None:
        """Open the cache of this account. Raises CacheUnusable."""

    def close(self) -> None: ...

    def flush(self) -> None: ...

    # --- conversations ---
    def conversations(self) -> list[ConversationInfo]: ...

    def save_conversation(self, conversation: ConversationInfo) -> None: ...

    def drop_conversation(self, name: str) -> None:
        """Delete a conversation and its stored messages, but not its outbox or draft."""

    # --- stored messages ---
    def newest_seq(self, name: str) -> int | None: ...

    def oldest_seq(self, name: str) -> int | None: ...

    def messages(self, name: str, *, before: int | None = None, limit: int) -> list[MessageInfo]:
        """Return the newest messages (with a seq below ``before``), oldest first."""

    def messages_after(self, name: str, seq: int) -> list[MessageInfo] | None:
        """Return all messages after ``seq``, oldest first.

        Returns None if messages directly after ``seq`` are not in the cache.
        """

    def save_messages(self, name: str, messages: Sequence[MessageInfo]) -> None:
        """Add messages, or replace those with the same seq."""

    def clear_messages(self, name: str) -> None: ...

    def replies(self, name: str, origin: int) -> list[MessageInfo]:
        """Return the messages that quote the message with the seq ``origin``, oldest first."""

    def oldest_origin(self, name: str) -> int | None:
        """Return the lowest seq that a message quotes."""

    def revs(self) -> dict[str, int]:
        """Return the rev up to which the messages show all changes, by conversation."""

    def save_rev(self, name: str, rev: int) -> None: ...

    # --- outbox, in the order of posting ---
    def outbox(self) -> list[MessageInfo]: ...

    def save_outgoing(self, message: MessageInfo) -> None:
        """Append a message, or replace the one with the same client_id in place."""

    def drop_outgoing(self, client_id: str) -> None: ...

    # --- changes that are not answered yet, in the order of making ---
    def changes(self) -> list[PendingChange]: ...

    def save_change(self, change: PendingChange) -> None:
        """Append a change, or replace the one with the same key in place."""

    def drop_change(self, key: str) -> None: ...

    # --- drafts ---
    def draft(self, name: str) -> str: ...

    def save_draft(self, name: str, text: str) -> None:
        """Save a draft. An empty text deletes it."""


def message_at(cache: Cache, name: str, seq: int) -> MessageInfo | None:
    """Return the stored message with this seq; None if it is not in the cache."""
    found = cache.messages(name, before=seq + 1, limit=1)
    return found[0] if found and found[0].seq == seq else None


class MemoryCache:
    """Cache that ends with the process. Keeps 250 to 500 messages per conversation."""

    def __init__(self) -> None:
        self._conversations: dict[str, ConversationInfo] = {}
        self._messages: dict[str, dict[int, MessageInfo]] = {}
        self._outbox: dict[str, MessageInfo] = {}
        self._changes: dict[str, PendingChange] = {}
        self._drafts: dict[str, str] = {}

    def open(self, server: str, user: str) -> None:
        pass

    def close(self) -> None:
        pass

    def flush(self) -> None:
        pass

    def conversations(self) -> list[ConversationInfo]:
        return list(self._conversations.values())

    def save_conversation(self, conversation: ConversationInfo) -> None:
        self._conversations[conversation.name] = conversation

    def drop_conversation(self, name: str) -> None:
        self._conversations.pop(name, None)
        self._messages.pop(name, None)

    def newest_seq(self, name: str) -> int | None:
        kept = self._messages.get(name)
        return max(kept) if kept else None

    def oldest_seq(self, name: str) -> int | None:
        kept = self._messages.get(name)
        return min(kept) if kept else None

    def messages(self, name: str, *, before: int | None = None, limit: int) -> list[MessageInfo]:
        kept = self._messages.get(name, {})
        seqs = sorted(seq for seq in kept if before is None or seq < before)
        return [kept[seq] for seq in seqs[-limit:]]

    def messages_after(self, name: str, seq: int) -> list[MessageInfo] | None:
        kept = self._messages.get(name)
        if not kept or min(kept) > seq + 1:
            return None
        return [kept[each] for each in sorted(kept) if each > seq]

    def save_messages(self, name: str, messages: Sequence[MessageInfo]) -> None:
        kept = self._messages.setdefault(name, {})
        kept.update((message.seq, message) for message in messages)
        # Trims only when twice the limit is reached: sorting for every message would cost more.
        if len(kept) > 2 * KEPT_IN_MEMORY:
            _drop(kept, sorted(kept)[:-KEPT_IN_MEMORY])

    def clear_messages(self, name: str) -> None:
        self._messages.pop(name, None)

    def replies(self, name: str, origin: int) -> list[MessageInfo]:
        kept = self._messages.get(name, {})
        seqs = [seq for seq, each in kept.items() if each.reply_to and each.reply_to.seq == origin]
        return [kept[seq] for seq in sorted(seqs)]

    def oldest_origin(self, name: str) -> int | None:
        kept = self._messages.get(name, {}).values()
        return min((each.reply_to.seq for each in kept if each.reply_to), default=None)

    def revs(self) -> dict[str, int]:
        return {}  # the messages end with the process too

    def save_rev(self, name: str, rev: int) -> None:
        pass

    def outbox(self) -> list[MessageInfo]:
        return list(self._outbox.values())

    def save_outgoing(self, message: MessageInfo) -> None:
        self._outbox[message.client_id] = message

    def drop_outgoing(self, client_id: str) -> None:
        self._outbox.pop(client_id, None)

    def changes(self) -> list[PendingChange]:
        return list(self._changes.values())

    def save_change(self, change: PendingChange) -> None:
        self._changes[change.key] = change

    def drop_change(self, key: str) -> None:
        self._changes.pop(key, None)

    def draft(self, name: str) -> str:
        return self._drafts.get(name, "")

    def save_draft(self, name: str, text: str) -> None:
        if text:
            self._drafts[name] = text
        else:
            self._drafts.pop(name, None)


def _drop(kept: dict[int, MessageInfo], seqs: Iterable[int]) -> None:
    for seq in seqs:
        del kept[seq]
