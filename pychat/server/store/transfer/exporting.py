"""A store's content as the lines of an export."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

from pychat.protocol import canonical_id
from pychat.server.store.base import Store, StoreDamaged
from pychat.server.store.records import Account, StoredMessage
from pychat.server.store.transfer.lines import (
    AccountLine,
    ConversationLine,
    End,
    Header,
    Line,
    Member,
    MessageLine,
    Session,
    Total,
    encoder,
)

PAGE = 1_000
NO_END: Final = 2**63 - 2
"""No seq is as high."""

Lost = Callable[[str, int], None]
"""Told the conversation's name and the seq of each message that cannot be read."""


async def export_lines(store: Store, lost: Lost | None = None) -> AsyncIterator[bytes]:
    """Every line, its newline included. ``lost``: see ``read_store``."""
    digest = hashlib.sha256()
    total = Total(0, 0, 0, "")
    async for line in read_store(store, lost):
        encoded = encoder.encode(line) + b"\n"
        digest.update(encoded)
        total.accounts += isinstance(line, AccountLine)
        total.conversations += isinstance(line, ConversationLine)
        total.messages += isinstance(line, MessageLine)
        yield encoded
    total.sha256 = digest.hexdigest()
    yield encoder.encode(total) + b"\n"


async def read_store(store: Store, lost: Lost | None = None) -> AsyncIterator[Line]:
    """Every line but the total.

    With ``lost``, a message that cannot be read stands there as a removed one, so that no seq is
    missing. Without, or where more than messages is damaged, raises StoreDamaged.
    """
    yield Header()
    # Before the accounts: who has said something up to there is among them. What comes while a
    # running server's store is read is left out, with those who are new.
    everyone = (await store.everyone()).key
    rooms = await store.rooms()
    ends = {
        key: await _end(store, key, lost) for key in (everyone, *(r.conversation for r in rooms))
    }
    accounts = {account.key: account async for account in store.all_accounts()}
    for account in accounts.values():
        yield await _account_line(store, account, accounts)
    members = await _members(store, everyone, accounts.values(), ends[everyone])
    line = ConversationLine("everyone", members)
    async for part in _conversation(store, everyone, line, accounts, lost, ends[everyone]):
        yield part
    for room in rooms:
        end = ends[room.conversation]
        inside = _known(accounts, await store.members(room.conversation))
        line = ConversationLine(
            "room",
            await _members(store, room.conversation, inside, end),
            room_id=room.id,
            room_name=room.name,
            room_owner=accounts[room.owner].id,
        )
        async for part in _conversation(store, room.conversation, line, accounts, lost, end):
            yield part
    for account in accounts.values():
        for other in _known(accounts, [account.key, *await store.partners(account.key)]):
            pair = await store.pair(account.key, other.key)
            if pair is None or _order(other) < _order(account):
                continue
            both = [account] if other.key == account.key else [account, other]
            line = ConversationLine(
                "pair", await _members(store, pair.key, both), between=[account.id, other.id]
            )
            async for part in _conversation(store, pair.key, line, accounts, lost):
                yield part


def _order(account: Account) -> str:
    return canonical_id(account.id)


Accounts = dict[int, Account]
"""By key."""


def _known(accounts: Accounts, keys: Iterable[int]) -> list[Account]:
    return sorted((accounts[key] for key in keys if key in accounts), key=_order)


async def _account_line(store: Store, account: Account, accounts: Accounts) -> AccountLine:
    sessions = [
        Session(s.id, s.token_hash.hex(), s.device, s.since, s.last_seen_at, s.expires_at)
        for s in await store.sessions(account.key)
    ]
    return AccountLine(
        id=account.id,
        alias=account.alias,
        password_hash=account.password_hash,
        disabled=account.disabled,
        created_at=account.created_at,
        last_seen_at=account.last_seen_at,
        sessions=sorted(sessions, key=lambda session: session.token_hash),
        blocked=sorted(a.id for a in _known(accounts, await store.blocked(account.key))),
    )


async def _end(store: Store, conversation: int, lost: Lost | None) -> int:
    """The last seq that is exported; where the damage hides it, there is none beyond."""
    try:
        return await store.last_seq(conversation)
    except StoreDamaged:
        if lost is None:
            raise
        return NO_END


async def _members(
    store: Store, conversation: int, accounts: Iterable[Account], end: int = NO_END
) -> list[Member]:
    found = [(a.id, await store.membership(conversation, a.key)) for a in accounts]
    now = end if end == NO_END else await store.last_seq(conversation)

    def until(cursor: int) -> int:
        # One that has come further meanwhile; what is beyond the last message is for a check.
        return min(cursor, end) if cursor <= now else cursor

    return [
        Member(id, min(m.first_seq, end + 1), until(m.delivered_seq), until(m.read_seq))
        for id, m in found
        if m
    ]


async def _conversation(
    store: Store,
    key: int,
    line: ConversationLine,
    accounts: Accounts,
    lost: Lost | None,
    last_seq: int = NO_END,
) -> AsyncIterator[Line]:
    yield line
    end = End(0, "")
    digest = hashlib.sha256()
    last: MessageLine | None = None
    more = True
    while more:
        page, more = await _page(store, key, last.seq if last else 0, lost is not None)
        if not page and more:
            # Nothing but the damage comes next.
            assert lost is not None
            last = _removed(line, last)
            if last.seq > min(last_seq, await _last_seq(store, key, line)):
                break
            lost(line.name, last.seq)
            parts = [last]
        else:
            parts = [
                _message_line(message, accounts) for message in page if message.seq <= last_seq
            ]
            more = more and len(parts) == len(page)
        for part in parts:
            last = part
            digest.update(encoder.encode(part))
            end.messages += 1
            yield part
    end.sha256 = digest.hexdigest()
    yield end


async def _page(
    store: Store, key: int, after: int, tolerant: bool
) -> tuple[list[StoredMessage], bool]:
    """The next messages, as many as can be read at once, and whether there may be more."""
    limit = PAGE
    while True:
        try:
            return await store.history(key, first_seq=1, before=None, after=after, limit=limit)
        except StoreDamaged:
            if not tolerant:
                raise
        if limit == 1:
            break
        limit //= 10
    # It looked one further than it was asked to; downwards it does not.
    try:
        page, _ = await store.history(key, first_seq=1, before=after + 2, after=None, limit=1)
    except StoreDamaged:
        return [], True
    return [message for message in page if message.seq > after], True


def _removed(line: ConversationLine, before: MessageLine | None) -> MessageLine:
    """In the place of the message after that one, which is lost."""
    sender = line.members[0].id if line.members else line.room_owner
    seq, sent_at = (before.seq + 1, before.sent_at) if before else (1, 0)
    return MessageLine(seq, sender, None, sent_at, "", removed=True)


async def _last_seq(store: Store, key: int, line: ConversationLine) -> int:
    try:
        return await store.last_seq(key)
    except StoreDamaged:
        return max((max(m.delivered_seq, m.read_seq) for m in line.members), default=0)


def _message_line(message: StoredMessage, accounts: Accounts) -> MessageLine:
    return MessageLine(
        seq=message.seq,
        sender=accounts[message.sender].id,
        client_id=message.client_id.hex() if message.client_id is not None else None,
        sent_at=message.sent_at,
        data=message.data,
        removed=message.removed,
    )
