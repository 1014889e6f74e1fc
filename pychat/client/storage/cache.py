"""What the client keeps: the interface, and the one that keeps it in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from pychat.client.models import ConversationInfo, MessageInfo

KEPT_IN_MEMORY: Final = 250


class Cache(Protocol):
    """Conversations, the newest messages of each without a gap, the outbox, drafts.

    Synchronous and quick. What concerns the outbox is kept when the call returns; the rest when
    ``flush`` does.
    """

    def open(self, server: str, user: str) -> None:
        """Raises CacheUnusable."""

    def close(self) -> None: ...

    def flush(self) -> None: ...

    # --- conversations ---
    def conversations(self) -> list[ConversationInfo]: ...

    def save_conversation(self, conversation: ConversationInfo) -> None: ...

    def drop_conversation(self, name: str) -> None:
        """With its messages; the outbox and the draft stay."""

    # --- stored messages ---
    def newest_seq(self, name: str) -> int | None: ...

    def oldest_seq(self, name: str) -> int | None: ...

    def messages(self, name: str, *, before: int | None = None, limit: int) -> list[MessageInfo]:
        """The newest of them (below ``before``), oldest first."""

    def messages_after(self, name: str, seq: int) -> list[MessageInfo] | None:
        """All that come after seq, oldest first; None if the cache does not reach back to it."""

    def save_messages(self, name: str, messages: Sequence[MessageInfo]) -> None:
        """Adds or replaces, by seq."""

    def clear_messages(self, name: str) -> None: ...

    # --- the outbox, in the order in which it was written ---
    def outbox(self) -> list[MessageInfo]: ...

    def save_outgoing(self, message: MessageInfo) -> None:
        """Adds it at the end, or replaces it where it stands, by client_id."""

    def drop_outgoing(self, client_id: str) -> None: ...

    # --- drafts ---
    def draft(self, name: str) -> str: ...

    def save_draft(self, name: str, text: str) -> None:
        """An empty one is forgotten."""


class MemoryCache:
    """Ends with the process; keeps the newest 250 messages of a conversation or somewhat more."""

    def __init__(self) -> None:
        self._conversations: dict[str, ConversationInfo] = {}
        self._messages: dict[str, dict[int, MessageInfo]] = {}
        self._outbox: dict[str, MessageInfo] = {}
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
        # Twice as many may gather before the older half goes: sorting for each one would cost more.
        if len(kept) > 2 * KEPT_IN_MEMORY:
            _drop(kept, sorted(kept)[:-KEPT_IN_MEMORY])

    def clear_messages(self, name: str) -> None:
        self._messages.pop(name, None)

    def outbox(self) -> list[MessageInfo]:
        return list(self._outbox.values())

    def save_outgoing(self, message: MessageInfo) -> None:
        self._outbox[message.client_id] = message

    def drop_outgoing(self, client_id: str) -> None:
        self._outbox.pop(client_id, None)

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
