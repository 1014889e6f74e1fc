"""Export: read a store as lines, tolerating damage, and check its content."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, Literal, TypeVar

from msgspec import UNSET, UnsetType

from pychat.protocol import EVERYONE, Availability, NotifyLevel, canonical_id
from pychat.server.store.base import Store, StoreDamaged, StoreUnavailable
from pychat.server.store.records import (
    ALL_MEMBERS,
    Account,
    FileRecord,
    HookRecord,
    Membership,
    MessageRecord,
    Standing,
)
from pychat.server.store.transfer.lines import (
    AccountLine,
    ConversationLine,
    End,
    FileLine,
    Header,
    HookLine,
    Line,
    LoginTokenLine,
    MemberLine,
    MessageLine,
    ReactionLine,
    StandingLine,
    Total,
    encoder,
)
from pychat.visible import with_file

T = TypeVar("T")

PAGE = 1_000
NO_END: Final = 2**63 - 2
"""Greater than any seq."""

AT_ONCE = 50
"""Number of accounts or conversations to read at once, together with a page of messages."""

_STANDINGS: Final[Mapping[Standing, Literal["moderator", "barred", "invited"]]] = {
    Standing.MODERATOR: "moderator",
    Standing.BARRED: "barred",
    Standing.INVITED: "invited",
}

Page = tuple[list[MessageRecord], bool]
"""Messages, and whether there may be more of them."""

Lost = Callable[[str, int], None]
"""Called with the conversation's name and the seq of each message that cannot be read."""


async def export_lines(
    store: Store, lost: Lost | None = None, files: list[FileLine] | None = None
) -> AsyncIterator[bytes]:
    """Yield the lines of an export, including newlines. ``lost``: see ``read_store``. ``files``
    receives the files whose contents belong to the export; None if it has only lines, which then
    have the names of files as text."""
    digest = hashlib.sha256()
    total = Total(0, 0, 0, "")
    async for line in read_store(store, lost, files):
        encoded = encoder.encode(line) + b"\n"
        digest.update(encoded)
        total.accounts += isinstance(line, AccountLine)
        total.conversations += isinstance(line, ConversationLine)
        total.messages += isinstance(line, MessageLine)
        yield encoded
    total.sha256 = digest.hexdigest()
    yield encoder.encode(total) + b"\n"


async def read_store(
    store: Store, lost: Lost | None = None, files: list[FileLine] | None = None
) -> AsyncIterator[Line]:
    """Yield every line except the total. ``files``: see ``export_lines``.

    With ``lost``, a message that cannot be read is exported as a removed one, so that no seq is
    missing. Raises StoreDamaged without ``lost``, or if other data than messages is damaged.
    """
    yield Header()
    # Read the ends before the accounts, so that the accounts contain all senders up to there.
    # Messages and accounts that a running server adds later are left out.
    everyone = (await store.everyone()).key
    rooms = await store.rooms()
    standings: dict[int, dict[int, Standing]] = {}
    for each in await store.standings():
        standings.setdefault(each.conversation, {})[each.account] = each.standing
    hooks: dict[int, list[HookRecord]] = {}
    for hook in await store.hooks():
        hooks.setdefault(hook.conversation, []).append(hook)
    ends = {
        key: await _end(store, key, lost) for key in (everyone, *(r.conversation for r in rooms))
    }
    accounts = {account.key: account async for account in store.all_accounts()}
    for some in _batched(accounts.values()):
        for account in await asyncio.gather(*(_account_line(store, a, accounts) for a in some)):
            yield account
    end = ends[everyone]
    line = ConversationLine("everyone", await _members_until(store, everyone, accounts, end))
    async for part in _conversation(store, everyone, line, accounts, lost, end, files=files):
        yield part
    for room in rooms:
        end = ends[room.conversation]
        line = ConversationLine(
            "room",
            await _members_until(store, room.conversation, accounts, end),
            room_id=room.id,
            room_name=room.name,
            room_owner=accounts[room.owner].id,
            topic=room.topic or UNSET,
            private=room.private or UNSET,
            standings=_standing_lines(standings.get(room.conversation, {}), accounts) or UNSET,
            hooks=_hook_lines(hooks.get(room.conversation, []), accounts) or UNSET,
        )
        async for part in _conversation(
            store, room.conversation, line, accounts, lost, end, files=files
        ):
            yield part
    async for pairs in _pairs(store, accounts):
        members = await _members(store, [key for key, _ in pairs], accounts)
        pages = await asyncio.gather(
            *(_page(store, key, 0, lost is not None, PAGE // AT_ONCE) for key, _ in pairs)
        )
        for (key, between), page in zip(pairs, pages, strict=True):
            line = ConversationLine("pair", members[key], between)
            async for part in _conversation(
                store, key, line, accounts, lost, first=page, files=files
            ):
                yield part


def _order(account: Account) -> str:
    return canonical_id(account.id)


Accounts = dict[int, Account]
"""By key."""


def _known(accounts: Accounts, keys: Iterable[int]) -> list[Account]:
    return sorted((accounts[key] for key in keys if key in accounts), key=_order)


def _batched(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, AT_ONCE)):
        yield batch


async def _pairs(
    store: Store, accounts: Accounts
) -> AsyncIterator[Sequence[tuple[int, list[str]]]]:
    """Yield the key and the two ids of all pairs in the order of the file, some at a time."""
    waiting: list[tuple[int, list[str]]] = []
    for some in _batched(accounts.values()):
        found = await asyncio.gather(*(store.pairs(account.key) for account in some))
        for account, pairs in zip(some, found, strict=True):
            keys = {sum(pair.accounts) - account.key: pair.key for pair in pairs}
            waiting += [
                (keys[other.key], [account.id, other.id])
                for other in _known(accounts, keys)
                if _order(other) >= _order(account)
            ]
        while len(waiting) >= AT_ONCE:
            yield waiting[:AT_ONCE]
            del waiting[:AT_ONCE]
    yield waiting


async def _account_line(store: Store, account: Account, accounts: Accounts) -> AccountLine:
    tokens = [
        LoginTokenLine(s.id, s.token_hash.hex(), s.device, s.since, s.last_seen_at, s.expires_at)
        for s in await store.login_tokens(account.key)
    ]
    return AccountLine(
        id=account.id,
        alias=account.alias,
        password_hash=account.password_hash,
        disabled=account.disabled,
        created_at=account.created_at,
        last_seen_at=account.last_seen_at,
        sessions=sorted(tokens, key=lambda token: token.token_hash),
        blocked=sorted(a.id for a in _known(accounts, await store.blocked(account.key))),
        status=UNSET if account.status is Availability.ONLINE else account.status,
        status_text=account.status_text or UNSET,
    )


def _standing_lines(standings: Mapping[int, Standing], accounts: Accounts) -> list[StandingLine]:
    return [
        StandingLine(account.id, _STANDINGS[standings[account.key]])
        for account in _known(accounts, standings)
    ]


def _hook_lines(hooks: Sequence[HookRecord], accounts: Accounts) -> list[HookLine]:
    return [
        HookLine(hook.id, hook.token_hash.hex(), accounts[hook.account].id, hook.created_at)
        for hook in hooks
        if hook.account in accounts
    ]


async def _end(store: Store, conversation: int, lost: Lost | None) -> int:
    """Return the last seq to export. If damage prevents reading it, export all that is found."""
    try:
        return await store.last_seq(conversation)
    except StoreDamaged:
        if lost is None:
            raise
        return NO_END


async def _members(
    store: Store, conversations: Sequence[int], accounts: Accounts
) -> dict[int, list[MemberLine]]:
    """Return the members of each conversation in the order of the file."""
    members: dict[int, list[MemberLine]] = {key: [] for key in conversations}
    found = [(accounts.get(m.account), m) for m in await store.memberships(conversations)]
    known = [(account, m) for account, m in found if account]
    for account, m in sorted(known, key=lambda each: _order(each[0])):
        members[m.conversation].append(
            MemberLine(account.id, m.first_seq, m.delivered_seq, m.read_seq, _notify(m))
        )
    return members


async def _members_until(
    store: Store, conversation: int, accounts: Accounts, end: int
) -> list[MemberLine]:
    members = await _members(store, [conversation], accounts)
    now = end if end == NO_END else await store.last_seq(conversation)

    def until(cursor: int) -> int:
        # Limit a cursor that has moved meanwhile. Keep one that is beyond the last message: a
        # check reports it.
        return min(cursor, end) if cursor <= now else cursor

    return [
        MemberLine(
            m.id, min(m.first_seq, end + 1), until(m.delivered_seq), until(m.read_seq), m.notify
        )
        for m in members[conversation]
    ]


def _notify(membership: Membership) -> NotifyLevel | UnsetType:
    return UNSET if membership.notify is NotifyLevel.ALL else membership.notify


async def _conversation(
    store: Store,
    key: int,
    line: ConversationLine,
    accounts: Accounts,
    lost: Lost | None,
    last_seq: int = NO_END,
    first: Page | None = None,
    *,
    files: list[FileLine] | None,
) -> AsyncIterator[Line]:
    """Yield the lines of a conversation. ``first``: its first page, if the caller has read it."""
    yield line
    end = End(0, "")
    digest = hashlib.sha256()
    last: MessageLine | None = None
    more = True
    while more:
        page, more = first or await _page(store, key, last.seq if last else 0, lost is not None)
        first = None
        if not page and more:
            # The next message cannot be read.
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
            if part.file is not UNSET:
                await _add_file(store, part, part.file, files)
            digest.update(encoder.encode(part))
            end.messages += 1
            yield part
    end.sha256 = digest.hexdigest()
    yield end


async def _page(store: Store, key: int, after: int, tolerant: bool, limit: int = PAGE) -> Page:
    """Return the next messages, fewer if damage prevents reading a whole page."""
    while True:
        try:
            page, more, _ = await store.history(
                key, first_seq=1, before=None, after=after, limit=limit
            )
            return page, more
        except StoreDamaged:
            if not tolerant:
                raise
        if limit == 1:
            break
        limit = max(1, limit // 10)
    # ``history`` also reads the message after the page. In descending order, that is the one
    # before it.
    try:
        page, *_ = await store.history(key, first_seq=1, before=after + 2, after=None, limit=1)
    except StoreDamaged:
        return [], True
    return [message for message in page if message.seq > after], True


def _removed(line: ConversationLine, before: MessageLine | None) -> MessageLine:
    """Return the line that replaces the lost message after this one."""
    sender = line.members[0].id if line.members else line.room_owner
    seq, sent_at = (before.seq + 1, before.sent_at) if before else (1, 0)
    return MessageLine(seq, sender, None, sent_at, "", removed=True)


async def _last_seq(store: Store, key: int, line: ConversationLine) -> int:
    try:
        return await store.last_seq(key)
    except StoreDamaged:
        return max((max(m.delivered_seq, m.read_seq) for m in line.members), default=0)


async def _add_file(
    store: Store, message: MessageLine, file: FileLine, files: list[FileLine] | None
) -> None:
    """Add a file to the export, or its name to the text of the message."""
    if files is not None and await _is_whole(store, file):
        files.append(file)
        return
    message.data = with_file(message.data, file.name, file.size)
    message.file = UNSET


async def _is_whole(store: Store, file: FileLine) -> bool:
    try:
        async for _ in store.read_blob(file.id, file.size - 1, file.size):
            pass
    except StoreUnavailable:
        return False
    return True


def _file_line(file: FileRecord) -> FileLine:
    return FileLine(
        file.id,
        file.name,
        file.size,
        file.mime,
        file.created_at,
        UNSET if file.width is None else file.width,
        UNSET if file.height is None else file.height,
        file.blurhash or UNSET,
    )


def _message_line(message: MessageRecord, accounts: Accounts) -> MessageLine:
    # Accounts that a running server has added meanwhile are left out.
    reactions = [
        ReactionLine(each.rev, each.emoji, accounts[each.account].id)
        for each in message.reactions
        if each.account in accounts
    ]
    mentions = [
        EVERYONE if key == ALL_MEMBERS else accounts[key].id
        for key in message.mentions
        if key == ALL_MEMBERS or key in accounts
    ]
    return MessageLine(
        seq=message.seq,
        sender=accounts[message.sender].id,
        client_id=message.client_id.hex() if message.client_id is not None else None,
        sent_at=message.sent_at,
        data=message.data,
        removed=message.removed,
        reply_to=message.reply_to or UNSET,
        rev=message.rev or UNSET,
        edited_at=message.edited_at or UNSET,
        reactions=reactions or UNSET,
        mentions=mentions or UNSET,
        file=UNSET if message.file is None else _file_line(message.file),
    )


async def check(store: Store) -> AsyncIterator[str]:
    """Read the whole store. Yields one line for each inconsistency, and "" for each correct
    message, so that the caller can show progress."""
    for problem in await store.check():
        yield problem
    name, expected, members = "", 1, list[MemberLine]()
    async for line in read_store(store):
        match line:
            case ConversationLine():
                name, expected, members = line.name, 1, line.members
            case MessageLine():
                if line.seq != expected:
                    yield f"{name}: seq {line.seq} follows seq {expected - 1}"
                expected = line.seq + 1
                yield ""
            case End():
                for member in members:
                    if max(member.delivered_seq, member.read_seq) >= expected:
                        yield f"{name}: the cursors of {member.id} are beyond the last message"
