"""The store in memory: nothing survives the process; the last 1,000 messages of a conversation."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec

from pychat.protocol import canonical_id
from pychat.server.store.base import AlreadyExists
from pychat.server.store.cursors import decode_cursor, encode_cursor
from pychat.server.store.memory_accounts import MemoryAccounts
from pychat.server.store.records import (
    Appended,
    Conversation,
    ConversationKind,
    ConversationSummary,
    CursorMove,
    Membership,
    NewMessage,
    Room,
    StoredMessage,
)
from pychat.server.store.terms import Query

KEPT_MESSAGES = 1000
MAX_UNREAD = 1000


class _Log:
    """A conversation with its messages and members. ``number`` counts the store's messages."""

    __slots__ = ("conversation", "deleted", "last_seq", "members", "messages", "number", "numbers")

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.members: dict[int, Membership] = {}
        self.messages: deque[StoredMessage] = deque()
        self.numbers: deque[int] = deque()
        self.last_seq = 0
        self.number = 0
        self.deleted = False

    def after(self, seq: int) -> Iterable[StoredMessage]:
        """The kept messages with a greater seq, oldest first."""
        first = self.last_seq - len(self.messages) + 1
        return islice(self.messages, max(0, seq + 1 - first), None)


class MemoryStore(MemoryAccounts):
    """See ``base.Store`` for what each method promises."""

    location = "memory"

    def __init__(self) -> None:
        super().__init__()
        self._everyone = Conversation(1, ConversationKind.EVERYONE, ())
        self._logs: dict[int, _Log] = {1: _Log(self._everyone)}
        self._next_conversation = 2
        self._pairs: dict[tuple[int, int], int] = {}
        self._of_account: dict[int, set[int]] = {}
        self._rooms: dict[str, Room] = {}
        self._client_ids: dict[tuple[int, bytes], Appended] = {}
        self._number = 0

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def check_ready(self) -> None: ...

    async def index(self) -> None: ...

    async def check(self) -> list[str]:
        return []

    # --- conversations ---

    def _account_created(self, key: int) -> None:
        self._join(self._logs[self._everyone.key], key, from_now=True)

    def _join(self, log: _Log, account: int, *, from_now: bool) -> Membership:
        before = log.last_seq if from_now else 0
        membership = Membership(log.conversation.key, account, before + 1, before, before)
        membership = log.members.setdefault(account, membership)
        self._of_account.setdefault(account, set()).add(log.conversation.key)
        return membership

    def _new_log(
        self, kind: ConversationKind, accounts: tuple[int, int] | tuple[()], room_id: str = ""
    ) -> _Log:
        key = self._next_conversation
        self._next_conversation += 1
        log = self._logs[key] = _Log(Conversation(key, kind, accounts, room_id))
        return log

    async def everyone(self) -> Conversation:
        return self._everyone

    async def pair(self, a: int, b: int) -> Conversation | None:
        key = self._pairs.get((min(a, b), max(a, b)))
        return None if key is None else self._logs[key].conversation

    async def open_pair(self, a: int, b: int) -> Conversation:
        existing = await self.pair(a, b)
        if existing:
            return existing
        accounts = (min(a, b), max(a, b))
        log = self._new_log(ConversationKind.PAIR, accounts)
        self._pairs[accounts] = log.conversation.key
        for account in accounts:
            self._join(log, account, from_now=False)
        return log.conversation

    async def conversations_by_key(self, keys: Sequence[int]) -> list[Conversation]:
        logs = [self._logs[key] for key in keys if key in self._logs]
        return [log.conversation for log in logs if not log.deleted]

    async def partners(self, account: int) -> list[int]:
        found = []
        for key in self._of_account.get(account, ()):
            accounts = self._logs[key].conversation.accounts
            if accounts and accounts[0] != accounts[1]:
                found.append(accounts[0] if accounts[1] == account else accounts[1])
        return sorted(found)

    async def membership(self, conversation: int, account: int) -> Membership | None:
        log = self._logs.get(conversation)
        return log.members.get(account) if log else None

    async def last_seq(self, conversation: int) -> int:
        log = self._logs.get(conversation)
        return log.last_seq if log else 0

    async def conversations(
        self, account: int, *, cursor: str | None, limit: int
    ) -> tuple[list[ConversationSummary], str | None]:
        mine = [
            (log.number, key)
            for key in self._of_account.get(account, ())
            if (log := self._logs[key]).number or log.conversation.kind is not ConversationKind.PAIR
        ]
        mine.sort(reverse=True)
        if cursor is not None:
            start = tuple(decode_cursor(cursor, 2))
            mine = [place for place in mine if place < start]
        page = mine[:limit]
        following = encode_cursor(*page[-1]) if len(mine) > limit else None
        return [self._summary(self._logs[key], account) for _, key in page], following

    def _summary(self, log: _Log, account: int) -> ConversationSummary:
        membership = log.members[account]
        peer = None
        if log.conversation.accounts:
            a, b = log.conversation.accounts
            peer = log.members[b if a == account else a]
        unread_from = max(membership.read_seq, membership.first_seq - 1)
        others = (m for m in log.after(unread_from) if m.sender != account)
        last = log.messages[-1] if log.last_seq >= membership.first_seq else None
        return ConversationSummary(
            conversation=log.conversation,
            membership=membership,
            peer=peer,
            last_seq=log.last_seq,
            last=last,
            unread=sum(1 for _ in islice(others, MAX_UNREAD)),
        )

    async def move_cursors(self, moves: Sequence[CursorMove]) -> list[Membership]:
        return [self._move_cursor(move) for move in moves]

    def _move_cursor(self, move: CursorMove) -> Membership:
        log = self._logs.get(move.conversation)
        before = log.members.get(move.account) if log else None
        if log is None or before is None:
            return Membership(move.conversation, move.account, 0, 0, 0)
        moved = msgspec.structs.replace(
            before,
            delivered_seq=max(before.delivered_seq, move.delivered_seq, move.read_seq),
            read_seq=max(before.read_seq, move.read_seq),
        )
        log.members[move.account] = moved
        return moved

    async def put_memberships(self, memberships: Sequence[Membership]) -> None:
        for membership in memberships:
            self._logs[membership.conversation].members[membership.account] = membership
            self._of_account.setdefault(membership.account, set()).add(membership.conversation)

    # --- messages ---

    async def append(self, batch: Sequence[NewMessage]) -> list[Appended]:
        return [self._append(message) for message in batch]

    def _append(self, new: NewMessage) -> Appended:
        if new.client_id is not None:
            existing = self._client_ids.get((new.sender, new.client_id))
            if existing:
                return msgspec.structs.replace(existing, duplicate=True)
        log = self._logs[new.conversation]
        log.last_seq += 1
        self._number = log.number = self._number + 1
        appended = Appended(new.conversation, log.last_seq, new.sent_at)
        if new.client_id is not None:
            self._client_ids[new.sender, new.client_id] = appended
        if len(log.messages) == KEPT_MESSAGES:
            oldest = log.messages.popleft()
            log.numbers.popleft()
            if oldest.client_id is not None:
                del self._client_ids[oldest.sender, oldest.client_id]
        log.messages.append(
            StoredMessage(
                new.conversation, log.last_seq, new.sender, new.client_id, new.sent_at, new.data
            )
        )
        log.numbers.append(self._number)
        return appended

    async def history(
        self,
        conversation: int,
        *,
        first_seq: int,
        before: int | None,
        after: int | None,
        limit: int,
    ) -> tuple[list[StoredMessage], bool]:
        log = self._logs.get(conversation)
        if log is None:
            return [], False
        if after is not None:
            found = list(islice(log.after(max(after, first_seq - 1)), limit + 1))
            return found[:limit], len(found) > limit
        end = log.last_seq + 1 if before is None else min(before, log.last_seq + 1)
        readable = [m for m in log.after(max(first_seq - 1, end - limit - 2)) if m.seq < end]
        return readable[-limit:], len(readable) > limit

    async def undelivered(self, account: int, limit: int) -> list[StoredMessage]:
        found: list[StoredMessage] = []
        for key in sorted(self._of_account.get(account, ())):
            log = self._logs[key]
            if log.conversation.kind is ConversationKind.PAIR:
                waiting = log.after(log.members[account].delivered_seq)
                others = (m for m in waiting if m.sender != account)
                found.extend(islice(others, limit - len(found)))
        return found

    async def search(
        self,
        account: int,
        text: str,
        *,
        conversation: int | None,
        cursor: str | None,
        limit: int,
    ) -> tuple[list[StoredMessage], str | None]:
        end = decode_cursor(cursor, 1)[0] if cursor is not None else self._number + 1
        keys = self._of_account.get(account, set())
        query = Query(text)
        found = []
        for key in keys if conversation is None else keys & {conversation}:
            log = self._logs[key]
            first_seq = log.members[account].first_seq
            for number, message in zip(log.numbers, log.messages, strict=True):
                if number < end and message.seq >= first_seq and query.matches(message.data):
                    found.append((number, message))
        found.sort(key=lambda pair: pair[0], reverse=True)
        page = found[:limit]
        following = encode_cursor(page[-1][0]) if len(found) > limit else None
        return [message for _, message in page], following

    async def remove_message(self, conversation: int, seq: int) -> bool:
        log = self._logs.get(conversation)
        index = seq - 1 - (log.last_seq - len(log.messages)) if log else -1
        if log is None or not 0 <= index < len(log.messages):
            return False
        log.messages[index] = msgspec.structs.replace(log.messages[index], data="", removed=True)
        return True

    # --- rooms ---

    async def create_room(self, id: str, name: str, owner: int) -> Room:
        canonical = canonical_id(id)
        if canonical in self._rooms:
            raise AlreadyExists(id)
        log = self._new_log(ConversationKind.ROOM, (), id)
        room = self._rooms[canonical] = Room(id, name, owner, log.conversation.key)
        self._join(log, owner, from_now=False)
        return room

    async def room(self, id: str) -> Room | None:
        return self._rooms.get(canonical_id(id))

    async def rooms(self) -> list[Room]:
        return [self._rooms[canonical] for canonical in sorted(self._rooms)]

    def _room_of(self, conversation: int) -> str | None:
        log = self._logs.get(conversation)
        return canonical_id(log.conversation.room_id) if log else None

    async def rename_room(self, conversation: int, name: str) -> None:
        canonical = self._room_of(conversation)
        if canonical in self._rooms:
            self._rooms[canonical] = msgspec.structs.replace(self._rooms[canonical], name=name)

    async def delete_room(self, conversation: int) -> None:
        canonical = self._room_of(conversation)
        if not canonical or canonical not in self._rooms:
            return
        del self._rooms[canonical]
        log = self._logs[conversation]
        for account in log.members:
            self._of_account[account].discard(conversation)
        for message in log.messages:
            if message.client_id is not None:
                del self._client_ids[message.sender, message.client_id]
        # What was on its way to the room may still come: it goes where nobody reads.
        log.deleted = True
        log.members.clear()
        log.messages.clear()
        log.numbers.clear()

    async def join_room(self, conversation: int, account: int) -> Membership:
        return self._join(self._logs[conversation], account, from_now=True)

    async def leave_room(self, conversation: int, account: int) -> None:
        log = self._logs.get(conversation)
        if log and log.members.pop(account, None):
            self._of_account[account].discard(conversation)

    async def members(self, conversation: int) -> list[int]:
        log = self._logs.get(conversation)
        return sorted(log.members) if log else []
