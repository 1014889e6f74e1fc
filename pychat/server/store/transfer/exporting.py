"""A store's content as the lines of an export."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable

from pychat.protocol import canonical_id
from pychat.server.store.base import Store
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


async def export_lines(store: Store) -> AsyncIterator[bytes]:
    """Every line, its newline included."""
    digest = hashlib.sha256()
    total = Total(0, 0, 0, "")
    async for line in read_store(store):
        encoded = encoder.encode(line) + b"\n"
        digest.update(encoded)
        total.accounts += isinstance(line, AccountLine)
        total.conversations += isinstance(line, ConversationLine)
        total.messages += isinstance(line, MessageLine)
        yield encoded
    total.sha256 = digest.hexdigest()
    yield encoder.encode(total) + b"\n"


async def read_store(store: Store) -> AsyncIterator[Line]:
    """Every line but the total."""
    yield Header()
    accounts = {account.key: account async for account in store.all_accounts()}
    ids = _Ids(store, accounts)
    for account in accounts.values():
        yield await _account_line(store, account, ids)
    everyone = (await store.everyone()).key
    line = ConversationLine("everyone", await _members(store, everyone, accounts.values()))
    async for part in _conversation(store, everyone, line, ids):
        yield part
    for room in await store.rooms():
        members = await store.accounts(await store.members(room.conversation))
        members.sort(key=_order)
        line = ConversationLine(
            "room",
            await _members(store, room.conversation, members),
            room_id=room.id,
            room_name=room.name,
            room_owner=await ids.of(room.owner),
        )
        async for part in _conversation(store, room.conversation, line, ids):
            yield part
    for account in accounts.values():
        others = await store.accounts([account.key, *await store.partners(account.key)])
        for other in sorted(others, key=_order):
            pair = await store.pair(account.key, other.key)
            if pair is None or _order(other) < _order(account):
                continue
            both = [account] if other.key == account.key else [account, other]
            line = ConversationLine(
                "pair", await _members(store, pair.key, both), between=[account.id, other.id]
            )
            async for part in _conversation(store, pair.key, line, ids):
                yield part


def _order(account: Account) -> str:
    return canonical_id(account.id)


class _Ids:
    """Ids by key, also of accounts made while a running server's store is exported."""

    def __init__(self, store: Store, accounts: dict[int, Account]) -> None:
        self._store = store
        self._accounts = accounts

    async def of(self, key: int) -> str:
        if key not in self._accounts:
            (self._accounts[key],) = await self._store.accounts([key])
        return self._accounts[key].id


async def _account_line(store: Store, account: Account, ids: _Ids) -> AccountLine:
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
        blocked=sorted([await ids.of(key) for key in await store.blocked(account.key)]),
    )


async def _members(store: Store, conversation: int, accounts: Iterable[Account]) -> list[Member]:
    members = []
    for account in accounts:
        found = await store.membership(conversation, account.key)
        if found:
            members.append(Member(account.id, found.first_seq, found.delivered_seq, found.read_seq))
    return members


async def _conversation(
    store: Store, key: int, line: ConversationLine, ids: _Ids
) -> AsyncIterator[Line]:
    yield line
    end = End(0, "")
    digest = hashlib.sha256()
    after, more = 0, True
    while more:
        page, more = await store.history(key, first_seq=1, before=None, after=after, limit=PAGE)
        for message in page:
            after = message.seq
            part = await _message_line(message, ids)
            digest.update(encoder.encode(part))
            end.messages += 1
            yield part
    end.sha256 = digest.hexdigest()
    yield end


async def _message_line(message: StoredMessage, ids: _Ids) -> MessageLine:
    return MessageLine(
        seq=message.seq,
        sender=await ids.of(message.sender),
        client_id=message.client_id.hex() if message.client_id is not None else None,
        sent_at=message.sent_at,
        data=message.data,
        removed=message.removed,
    )
