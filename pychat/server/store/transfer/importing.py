"""Import: write the lines of an export into a store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec import UNSET, Struct

from pychat.protocol import EVERYONE, NotifyLevel
from pychat.server.store.base import AlreadyExists, Store, StoreError
from pychat.server.store.records import (
    ALL_MEMBERS,
    Appended,
    ChangeResult,
    FileRecord,
    HookRecord,
    LoginToken,
    Membership,
    MessageRecord,
    NewMessage,
    ReactionRecord,
    Standing,
)
from pychat.server.store.transfer.archive import Archive
from pychat.server.store.transfer.lines import (
    AccountLine,
    ConversationLine,
    End,
    FileLine,
    Line,
    MessageLine,
    Total,
)

FILE_PART = 256 * 1024
MAX_LINES = 5_000
MAX_CHARACTERS = 8 << 20
"""The importer writes when this many lines, or this much text, are waiting."""


class _Part(Struct):
    """The waiting lines of a conversation. ``key``: None until the conversation is in the store.
    ``last_seq``: last message that an interrupted import has stored. ``seen_seq``: last message of
    the file so far. ``ended``: all lines of the conversation have arrived."""

    line: ConversationLine
    messages: list[MessageLine] = []
    key: int | None = None
    last_seq: int = 0
    seen_seq: int = 0
    ended: bool = False


class Importer:
    """Writes the lines of an export into a store, many conversations in one transaction.

    Data that is already in the store stays unchanged, so that an interrupted import can be
    repeated. Raises StoreError if the store has other data in the same place. A store with other
    accounts is refused before anything is written.
    """

    def __init__(self, store: Store, archive: Archive | None = None) -> None:
        """``archive``: has the contents of files."""
        self._store = store
        self._archive = archive
        self._keys: dict[str, int] = {}
        self._blocked: list[tuple[int, list[str]]] = []
        self._accounts: list[AccountLine] = []
        self._parts: list[_Part] = []
        self._first = True
        self._lines = 0
        self._characters = 0

    async def put(self, line: Line) -> None:
        """Take the next line of the file. The last line (Total) writes everything."""
        match line:
            case AccountLine():
                self._accounts.append(line)
            case ConversationLine():
                await self._put_accounts()
                await self._put_blocks()
                self._parts.append(_Part(line))
            case MessageLine():
                self._parts[-1].messages.append(line)
                self._parts[-1].seen_seq = line.seq
                self._characters += len(line.data)
            case End():
                self._parts[-1].ended = True
        self._lines += 1
        if (
            self._lines >= MAX_LINES
            or self._characters >= MAX_CHARACTERS
            or isinstance(line, Total)
        ):
            await self._put_accounts()
            await self._put_conversations()
            if isinstance(line, Total):
                await self._store.renew_epoch()
            self._lines = self._characters = 0

    async def _put_accounts(self) -> None:
        if self._first:
            self._first = False
            await self._refuse_others()
        await asyncio.gather(*map(self._put_account, self._accounts))
        self._accounts.clear()

    async def _refuse_others(self) -> None:
        """Refuse a store with other accounts. Files and stores list accounts in the same order, so
        if an interrupted import has filled the store, its first account is one of these."""
        first = await anext(self._store.all_accounts(), None)
        if first and (first.id, first.created_at) not in {
            (line.id, line.created_at) for line in self._accounts
        }:
            raise StoreError(
                f"{self._store.location} is not empty: it has another account {first.id}."
                " Import into a new store"
            )

    async def _put_account(self, line: AccountLine) -> None:
        account = await self._store.account(line.id)
        if account is None:
            try:
                account = await self._store.create_account(
                    line.id, line.alias, line.password_hash, line.created_at
                )
            except AlreadyExists:
                raise StoreError(
                    f"{self._store.location} has an account whose id looks like {line.id}"
                ) from None
        elif (account.id, account.created_at) != (line.id, line.created_at):
            raise StoreError(f"{self._store.location} has another account {account.id}")
        self._keys[line.id] = account.key
        if line.disabled or line.last_seen_at is not None or line.status or line.status_text:
            await self._store.update_account(
                account.key,
                disabled=line.disabled,
                last_seen_at=line.last_seen_at,
                status=line.status or None,
                status_text=line.status_text or None,
            )
        self._blocked.append((account.key, line.blocked))
        for token in line.sessions:
            token_hash = bytes.fromhex(token.token_hash)
            if await self._store.login_token(token_hash) is None:
                await self._store.add_login_token(
                    LoginToken(
                        id=token.id,
                        account=account.key,
                        token_hash=token_hash,
                        device=token.device,
                        since=token.since,
                        last_seen_at=token.last_seen_at,
                        expires_at=token.expires_at,
                    )
                )

    async def _put_blocks(self) -> None:
        await asyncio.gather(
            *(
                self._store.block(key, self._keys[id])
                for key, blocked in self._blocked
                for id in blocked
            )
        )
        self._blocked.clear()

    async def _put_conversations(self) -> None:
        await self._open([part for part in self._parts if part.key is None])
        await self._put_messages(self._parts)
        await self._put_members([part for part in self._parts if part.ended])
        self._parts = [part for part in self._parts if not part.ended]

    async def _open(self, parts: Sequence[_Part]) -> None:
        pairs = [part for part in parts if part.line.kind == "pair"]
        accounts = [[self._keys[id] for id in part.line.between] for part in pairs]
        opened = await self._store.open_pairs([(a, b) for a, b in accounts])
        for part, pair in zip(pairs, opened, strict=True):
            part.key = pair.key
        for part in parts:
            if part.line.kind == "everyone":
                part.key = (await self._store.everyone()).key
        rooms = [part for part in parts if part.line.kind == "room"]
        await asyncio.gather(*map(self._open_room, rooms))
        last_seqs = await self._store.last_seqs([_key(part) for part in parts])
        for part, last_seq in zip(parts, last_seqs, strict=True):
            part.last_seq = last_seq

    async def _open_room(self, part: _Part) -> None:
        line = part.line
        owner = self._keys[line.room_owner]
        room = await self._store.room(line.room_id)
        if room is None:
            room = await self._store.create_room(
                line.room_id, line.room_name, owner, private=bool(line.private)
            )
        elif room.id != line.room_id or room.owner != owner:
            raise StoreError(f"{self._store.location} has another room {room.id}")
        part.key = room.conversation
        if line.topic:
            await self._store.update_room(part.key, topic=line.topic)
        for each in line.standings or ():
            standing = Standing[each.standing.upper()]
            await self._store.set_standing(part.key, self._keys[each.id], standing)
        for hook in line.hooks or ():
            token_hash = bytes.fromhex(hook.token_hash)
            if await self._store.hook(token_hash) is None:
                account = self._keys[hook.account]
                await self._store.add_hook(
                    HookRecord(hook.id, token_hash, part.key, account, hook.created_at)
                )

    async def _check_last(self, part: _Part) -> None:
        """Refuse a conversation that was used since the import: the last stored message must be
        the one of the file."""
        if part.ended and part.seen_seq < part.last_seq:
            raise self._others(part)
        for line in part.messages:
            if line.seq == part.last_seq:
                (stored,) = await self._store.messages([(_key(part), line.seq)])
                same = stored.removed or line.removed or stored.data == line.data
                if not same or (stored.sender, stored.sent_at) != (
                    self._keys[line.sender],
                    line.sent_at,
                ):
                    raise self._others(part)

    def _others(self, part: _Part) -> StoreError:
        return StoreError(f"{self._store.location} has other messages in {part.line.name}")

    async def _put_messages(self, parts: Sequence[_Part]) -> None:
        await asyncio.gather(*map(self._check_last, parts))
        new = [(part, line) for part in parts for line in part.messages if line.seq > part.last_seq]
        for _, line in new:
            if line.file is not UNSET:
                await self._put_file(self._keys[line.sender], line.file)
        messages = [
            NewMessage(
                conversation=_key(part),
                sender=self._keys[line.sender],
                client_id=bytes.fromhex(line.client_id) if line.client_id is not None else None,
                sent_at=line.sent_at,
                data=line.data,
                reply_to=line.reply_to or None,
                mentions=self._mentions(line),
                file=None if line.file is UNSET else line.file.id,
            )
            for part, line in new
        ]
        answers: Sequence[Appended | ChangeResult]
        if any(message.file is not None for message in messages):
            answers = await self._store.commit(messages)
        else:
            answers = await self._store.append(messages)
        for (part, line), answer in zip(new, answers, strict=True):
            if not isinstance(answer, Appended) or (answer.conversation, answer.seq) != (
                part.key,
                line.seq,
            ):
                raise self._others(part)
        changed = [
            self._record(part, line)
            for part in parts
            for line in part.messages
            if line.removed or line.rev
        ]
        if changed:
            await self._store.put_changes(changed)
        for part in parts:
            part.messages.clear()

    async def _put_file(self, account: int, line: FileLine) -> None:
        """Store a file, unless an interrupted import has stored it."""
        if self._archive is None:
            raise StoreError("the export has files, but is not an archive with their contents")
        if await self._store.file(line.id) is not None:
            return
        blob = await self._store.new_blob(line.id)
        try:
            content = self._archive.content(line.id, line.size)
            while part := content.read(FILE_PART):
                await blob.write(part)
            await blob.finish(
                FileRecord(
                    line.id,
                    account,
                    line.name,
                    line.size,
                    line.mime,
                    line.created_at,
                    line.width or None,
                    line.height or None,
                    line.blurhash or "",
                )
            )
        except BaseException:
            blob.discard()
            raise

    def _record(self, part: _Part, line: MessageLine) -> MessageRecord:
        return MessageRecord(
            conversation=_key(part),
            seq=line.seq,
            sender=self._keys[line.sender],
            client_id=None,
            sent_at=line.sent_at,
            data=line.data,
            removed=line.removed,
            rev=line.rev or 0,
            edited_at=line.edited_at or None,
            reactions=tuple(
                ReactionRecord(each.rev, each.emoji, self._keys[each.id])
                for each in line.reactions or ()
            ),
            mentions=self._mentions(line),
        )

    def _mentions(self, line: MessageLine) -> tuple[int, ...]:
        if line.removed or not line.mentions:
            return ()
        return tuple(
            sorted(ALL_MEMBERS if id == EVERYONE else self._keys[id] for id in line.mentions)
        )

    async def _put_members(self, parts: Sequence[_Part]) -> None:
        for part in parts:
            if part.line.kind == "pair":
                continue
            # The owner is a member of a new room, and all accounts are members of ALL.
            members = {self._keys[member.id] for member in part.line.members}
            for account in await self._store.members(_key(part)):
                if account not in members:
                    await self._store.leave_room(_key(part), account)
        await self._store.put_memberships(
            [
                Membership(
                    conversation=_key(part),
                    account=self._keys[member.id],
                    first_seq=member.first_seq,
                    delivered_seq=member.delivered_seq,
                    read_seq=member.read_seq,
                    notify=member.notify or NotifyLevel.ALL,
                )
                for part in parts
                for member in part.line.members
            ]
        )


def _key(part: _Part) -> int:
    assert part.key is not None  # opened
    return part.key
