"""The in-memory store: conversations, cursors, messages and search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from uuid import uuid4

import msgspec

from pychat.protocol import MAX_UNREAD, NotifyLevel
from pychat.server.store.base import LAST_NUMBER, decode_cursor, encode_cursor
from pychat.server.store.changes import decide
from pychat.server.store.memory.rooms import ConversationLog, MemoryRooms
from pychat.server.store.records import (
    ALL_MEMBERS,
    EVERYONE,
    Appended,
    ChangeResult,
    ConversationKind,
    ConversationRecord,
    ConversationSummary,
    CursorMove,
    Membership,
    MessageRecord,
    NewChange,
    NewMessage,
    Outcome,
    RecordPage,
)
from pychat.server.store.terms import Query

KEPT_MESSAGES = 1000
"""Per conversation. Older messages are dropped."""


class MemoryStore(MemoryRooms):
    """Implements ``base.Store``. Its content is lost when the process ends."""

    location = "memory"

    def __init__(self) -> None:
        super().__init__()
        self._pairs: dict[tuple[int, int], int] = {}
        self._number = 0
        self._epoch = uuid4().hex

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def check_ready(self) -> None: ...

    async def index(self) -> None: ...

    async def epoch(self) -> str:
        return self._epoch

    async def renew_epoch(self) -> None:
        self._epoch = uuid4().hex

    async def check(self) -> list[str]:
        return []

    # --- conversations ---

    async def everyone(self) -> ConversationRecord:
        return EVERYONE

    async def pair(self, a: int, b: int) -> ConversationRecord | None:
        key = self._pairs.get((min(a, b), max(a, b)))
        return None if key is None else self._logs[key].conversation

    async def open_pair(self, a: int, b: int) -> ConversationRecord:
        existing = await self.pair(a, b)
        if existing:
            return existing
        accounts = (min(a, b), max(a, b))
        log = self._new_log(ConversationKind.PAIR, accounts)
        self._pairs[accounts] = log.conversation.key
        for account in accounts:
            self._join(log, account, from_now=False)
        return log.conversation

    async def open_pairs(self, pairs: Sequence[tuple[int, int]]) -> list[ConversationRecord]:
        return [await self.open_pair(a, b) for a, b in pairs]

    async def pairs(self, account: int) -> list[ConversationRecord]:
        mine = [self._logs[key].conversation for key in self._of_account.get(account, ())]
        return [each for each in mine if each.kind is ConversationKind.PAIR]

    async def conversations_by_key(self, keys: Sequence[int]) -> list[ConversationRecord]:
        logs = [self._logs[key] for key in keys if key in self._logs]
        return [log.conversation for log in logs if not log.deleted]

    async def membership(self, conversation: int, account: int) -> Membership | None:
        log = self._logs.get(conversation)
        return log.members.get(account) if log else None

    async def memberships(self, conversations: Sequence[int]) -> list[Membership]:
        logs = [self._logs[key] for key in conversations if key in self._logs]
        return [membership for log in logs for membership in log.members.values()]

    async def last_seq(self, conversation: int) -> int:
        log = self._logs.get(conversation)
        return log.last_seq if log else 0

    async def last_seqs(self, conversations: Sequence[int]) -> list[int]:
        return [await self.last_seq(key) for key in conversations]

    async def conversations(
        self, account: int, *, cursor: str | None, limit: int
    ) -> tuple[list[ConversationSummary], str | None]:
        mine = [
            (log.number, key)
            for key in self._of_account.get(account, ())
            if (log := self._logs[key]).number or log.conversation.kind is not ConversationKind.PAIR
        ]
        start = tuple(decode_cursor(cursor, LAST_NUMBER, 0))
        mine = sorted((place for place in mine if place < start), reverse=True)
        page = mine[:limit]
        following = encode_cursor(*page[-1]) if len(mine) > limit else None
        return [self._summary(self._logs[key], account) for _, key in page], following

    def _summary(self, log: ConversationLog, account: int) -> ConversationSummary:
        membership = log.members[account]
        peer = None
        if log.conversation.accounts:
            a, b = log.conversation.accounts
            peer = log.members[b if a == account else a]
        unread_from = max(membership.read_seq, membership.first_seq - 1)
        left_out = {account, *self._blocked.get(account, ())}
        counted = (m for m in log.after(unread_from) if not m.removed and m.sender not in left_out)
        unread = list(islice(counted, MAX_UNREAD))
        named = {account, ALL_MEMBERS}
        last = log.messages[-1] if log.last_seq >= membership.first_seq else None
        return ConversationSummary(
            conversation=log.conversation,
            membership=membership,
            peer=peer,
            last_seq=log.last_seq,
            last=last,
            unread=len(unread),
            rev=log.rev,
            unread_mentions=sum(not named.isdisjoint(m.mentions) for m in unread),
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

    async def set_notify(self, conversation: int, account: int, level: NotifyLevel) -> bool:
        membership = await self.membership(conversation, account)
        if membership is not None:
            changed = msgspec.structs.replace(membership, notify=level)
            self._logs[conversation].members[account] = changed
        return membership is not None

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
        file = None
        log.last_seq += 1
        if new.file is not None:
            file = self._attach(new.file, new.conversation, log.last_seq)
        self._number = log.number = self._number + 1
        appended = Appended(new.conversation, log.last_seq, new.sent_at)
        if new.client_id is not None:
            self._client_ids[new.sender, new.client_id] = appended
        if len(log.messages) == KEPT_MESSAGES:
            oldest = log.messages.popleft()
            log.numbers.popleft()
            log.changed.pop(oldest.seq, None)
            self._forget_file(oldest.file)
            if oldest.client_id is not None:
                del self._client_ids[oldest.sender, oldest.client_id]
        log.messages.append(
            MessageRecord(
                new.conversation,
                log.last_seq,
                new.sender,
                new.client_id,
                new.sent_at,
                new.data,
                reply_to=new.reply_to,
                mentions=new.mentions,
                file=file,
            )
        )
        log.numbers.append(self._number)
        return appended

    async def commit(
        self, batch: Sequence[NewMessage | NewChange]
    ) -> list[Appended | ChangeResult]:
        return [
            self._append_any(new) if isinstance(new, NewMessage) else self._change(new)
            for new in batch
        ]

    def _append_any(self, new: NewMessage) -> Appended | ChangeResult:
        """Append a message that may have a file."""
        if new.file is None or self._may_attach(new.file, new.sender):
            return self._append(new)
        known = None if new.client_id is None else self._client_ids.get((new.sender, new.client_id))
        if known is None:
            return ChangeResult(Outcome.MISSING, None)
        return msgspec.structs.replace(known, duplicate=True)

    def _change(self, change: NewChange) -> ChangeResult:
        log = self._logs.get(change.conversation)
        if log is None:
            return decide(change, None, 0)
        before = log.message(change.seq)
        changed = decide(change, before, log.rev + 1)
        if changed.outcome is Outcome.DONE:
            assert changed.message is not None
            log.replace(changed.message)
            if changed.message.file is None and before is not None:
                self._forget_file(before.file)
        return changed

    async def put_changes(self, messages: Sequence[MessageRecord]) -> None:
        for message in sorted(messages, key=lambda message: message.rev):
            log = self._logs[message.conversation]
            stored = log.message(message.seq)
            if stored:
                if message.removed:
                    self._forget_file(stored.file)
                log.replace(
                    msgspec.structs.replace(
                        stored,
                        data="" if message.removed else stored.data,
                        removed=message.removed,
                        file=None if message.removed else stored.file,
                        rev=message.rev,
                        edited_at=message.edited_at,
                        reactions=message.reactions,
                    )
                )

    async def history(
        self,
        conversation: int,
        *,
        first_seq: int,
        before: int | None,
        after: int | None,
        limit: int,
    ) -> RecordPage:
        log = self._logs.get(conversation)
        if log is None:
            return RecordPage([], False, 0)
        if after is not None:
            found = list(islice(log.after(max(after, first_seq - 1)), limit + 1))
            return RecordPage(found[:limit], len(found) > limit, log.rev)
        end = log.last_seq + 1 if before is None else min(before, log.last_seq + 1)
        readable = [m for m in log.after(max(first_seq - 1, end - limit - 2)) if m.seq < end]
        return RecordPage(readable[-limit:], len(readable) > limit, log.rev)

    async def changed(
        self, conversation: int, *, first_seq: int, after: int, limit: int
    ) -> RecordPage:
        log = self._logs.get(conversation)
        if log is None:
            return RecordPage([], False, 0)
        changed = [message for seq in log.changed if (message := log.message(seq))]
        found = [m for m in changed if m.rev > after and m.seq >= first_seq]
        more = len(found) > limit
        return RecordPage(found[:limit], more, found[limit - 1].rev if more else log.rev)

    async def messages(self, places: Sequence[tuple[int, int]]) -> list[MessageRecord]:
        logs = [(self._logs.get(conversation), seq) for conversation, seq in places]
        return [message for log, seq in logs if log and (message := log.message(seq))]

    async def undelivered(
        self, account: int, limit: int, sent: Mapping[int, int]
    ) -> list[MessageRecord]:
        found: list[MessageRecord] = []
        for key in sorted(self._of_account.get(account, ())):
            log = self._logs[key]
            if log.conversation.kind is ConversationKind.PAIR:
                waiting = log.after(max(log.members[account].delivered_seq, sent.get(key, 0)))
                to_itself = log.conversation.accounts == (account, account)
                wanted = (m for m in waiting if to_itself or m.sender != account)
                found.extend(islice(wanted, limit - len(found)))
        return found

    async def search(
        self,
        account: int,
        text: str,
        *,
        conversation: int | None,
        cursor: str | None,
        limit: int,
    ) -> tuple[list[MessageRecord], str | None]:
        (end,) = decode_cursor(cursor, LAST_NUMBER)
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
