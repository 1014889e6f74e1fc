"""The lines of an export into a store."""

from __future__ import annotations

from pychat.server.store.base import Store, StoreError
from pychat.server.store.records import LoginSession, Membership, NewMessage, Room
from pychat.server.store.transfer.lines import (
    AccountLine,
    ConversationLine,
    End,
    Line,
    MessageLine,
)

PAGE = 1_000


class Importer:
    """Puts the lines of an export into a store.

    What is there already is left as it is, so that an import that was cut short goes on when it
    is started again. Raises StoreError where the store has something else in that place.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[str, int] = {}
        self._blocked: list[tuple[int, list[str]]] = []
        self._line: ConversationLine | None = None
        self._conversation = 0
        self._last_seq = 0
        self._batch: list[MessageLine] = []

    async def put(self, line: Line) -> None:
        """The next line, in the file's order."""
        match line:
            case AccountLine():
                await self._put_account(line)
            case ConversationLine():
                await self._put_blocks()
                await self._put_conversation(line)
            case MessageLine():
                self._batch.append(line)
                if len(self._batch) == PAGE:
                    await self._put_messages()
            case End():
                await self._put_messages()
                await self._put_members()

    async def _put_account(self, line: AccountLine) -> None:
        account = await self._store.account(line.id)
        if account is None:
            account = await self._store.create_account(
                line.id, line.alias, line.password_hash, line.created_at
            )
        elif (account.id, account.created_at) != (line.id, line.created_at):
            raise StoreError(f"{self._store.location} has another account {account.id}")
        self._keys[line.id] = account.key
        if line.disabled or line.last_seen_at is not None:
            await self._store.update_account(
                account.key, disabled=line.disabled, last_seen_at=line.last_seen_at
            )
        self._blocked.append((account.key, line.blocked))
        for session in line.sessions:
            token_hash = bytes.fromhex(session.token_hash)
            if await self._store.session(token_hash) is None:
                await self._store.add_session(
                    LoginSession(
                        id=session.id,
                        account=account.key,
                        token_hash=token_hash,
                        device=session.device,
                        since=session.since,
                        last_seen_at=session.last_seen_at,
                        expires_at=session.expires_at,
                    )
                )

    async def _put_blocks(self) -> None:
        for key, blocked in self._blocked:
            for id in blocked:
                await self._store.block(key, self._keys[id])
        self._blocked.clear()

    async def _put_conversation(self, line: ConversationLine) -> None:
        self._line = line
        match line.kind:
            case "everyone":
                self._conversation = (await self._store.everyone()).key
            case "room":
                self._conversation = (await self._room(line)).conversation
            case "pair":
                a, b = [self._keys[id] for id in line.between]
                self._conversation = (await self._store.open_pair(a, b)).key
        self._last_seq = await self._store.last_seq(self._conversation)

    async def _room(self, line: ConversationLine) -> Room:
        room = await self._store.room(line.room_id)
        if room is None:
            owner = self._keys[line.room_owner]
            return await self._store.create_room(line.room_id, line.room_name, owner)
        if room.id != line.room_id or room.owner != self._keys[line.room_owner]:
            raise StoreError(f"{self._store.location} has another room {room.id}")
        return room

    async def _put_messages(self) -> None:
        new = [line for line in self._batch if line.seq > self._last_seq]
        answers = await self._store.append(
            [
                NewMessage(
                    conversation=self._conversation,
                    sender=self._keys[line.sender],
                    client_id=bytes.fromhex(line.client_id) if line.client_id is not None else None,
                    sent_at=line.sent_at,
                    data=line.data,
                )
                for line in new
            ]
        )
        for line, answer in zip(new, answers, strict=True):
            if (answer.conversation, answer.seq) != (self._conversation, line.seq):
                name = self._line.name if self._line else ""
                raise StoreError(f"{self._store.location} has other messages in {name}")
        for line in self._batch:
            if line.removed:
                await self._store.remove_message(self._conversation, line.seq)
        self._batch.clear()

    async def _put_members(self) -> None:
        if self._line:
            members = {self._keys[member.id] for member in self._line.members}
            for account in await self._store.members(self._conversation):
                if account not in members:
                    await self._store.leave_room(self._conversation, account)
            await self._store.put_memberships(
                [
                    Membership(
                        conversation=self._conversation,
                        account=self._keys[member.id],
                        first_seq=member.first_seq,
                        delivered_seq=member.delivered_seq,
                        read_seq=member.read_seq,
                    )
                    for member in self._line.members
                ]
            )
