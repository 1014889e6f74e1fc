"""One conversation in memory: its members and its last messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from pychat.server.store.records import ConversationRecord, Membership, MessageRecord


class Log:
    """``number`` is the last message's among all of the store's; ``numbers`` are its messages'."""

    __slots__ = ("conversation", "deleted", "last_seq", "members", "messages", "number", "numbers")

    def __init__(self, conversation: ConversationRecord) -> None:
        self.conversation = conversation
        self.members: dict[int, Membership] = {}
        self.messages: deque[MessageRecord] = deque()
        self.numbers: deque[int] = deque()
        self.last_seq = 0
        self.number = 0
        self.deleted = False

    def after(self, seq: int) -> Iterable[MessageRecord]:
        """The kept messages with a greater seq, oldest first."""
        first = self.last_seq - len(self.messages) + 1
        return islice(self.messages, max(0, seq + 1 - first), None)
