"""Stored messages and rooms as one reader sees them on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from msgspec import UNSET, UnsetType

from pychat.protocol import (
    EVERYONE,
    MAX_PAGE_BYTES,
    MAX_QUOTE_CHARACTERS,
    MAX_REACTION_IDS,
    Availability,
    Code,
    FilePayload,
    MessagePayload,
    ProtocolError,
    QuotePayload,
    ReactionPayload,
    ReactionUsers,
    RoomPayload,
)
from pychat.server.chat.answers import encode
from pychat.server.chat.clock import rfc3339
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import Conversation, OnlineUser, Pair, Room
from pychat.server.chat.state.roles import role_of
from pychat.server.store.base import Store
from pychat.server.store.records import ALL_MEMBERS, Account, FileRecord, MessageRecord

ENVELOPE_BYTES = 1024
"""Reserved in a page for everything around its entries."""


def shown_status(account: Account) -> tuple[str | UnsetType, str | UnsetType]:
    """Return status and status text as payloads have them, for readers who may see the presence."""
    none = account.status is Availability.ONLINE
    return UNSET if none else account.status, account.status_text or UNSET


def file_payload(file: FileRecord) -> FilePayload:
    """Return a file as every reader sees it."""
    return FilePayload(
        file.id,
        file.name,
        file.size,
        file.mime,
        UNSET if file.width is None else file.width,
        UNSET if file.height is None else file.height,
        file.blurhash or UNSET,
    )


def message_payload(
    reader: OnlineUser,
    conversation: Conversation,
    stored: MessageRecord,
    senders: Mapping[int, OnlineUser],
) -> MessagePayload:
    """Return a stored message without its changes and its quote.

    It is ``{id, seq, removed: true}`` if the message was removed or the reader has blocked its
    sender. ``senders``: users by key.
    """
    id = f"{stored.conversation}-{stored.seq}"
    sender = senders.get(stored.sender)
    if stored.removed or sender is None or stored.sender in reader.blocked:
        return MessagePayload(id, stored.seq, removed=True)
    if isinstance(conversation, Pair):
        recepient, command = conversation.other_id(stored.sender), "chat"
    elif isinstance(conversation, Room):
        recepient, command = conversation.id, "groupchat"
    else:
        recepient, command = EVERYONE, "chat"
    client_id = UNSET if stored.client_id is None else str(UUID(bytes=stored.client_id))
    return MessagePayload(
        id,
        stored.seq,
        sender.id,
        recepient,
        command,
        "text",
        stored.data,
        rfc3339(stored.sent_at),
        client_id,
        file=UNSET if stored.file is None else file_payload(stored.file),
    )


Place = tuple[int, int]
"""Conversation and seq of a message."""


class MessageViews:
    """Stored messages with their changes and quotes."""

    def __init__(self, store: Store, directory: Directory) -> None:
        self._store = store
        self._directory = directory

    async def payloads(
        self,
        reader: OnlineUser,
        conversations: Mapping[int, Conversation],
        stored: Iterable[MessageRecord],
    ) -> list[MessagePayload]:
        """Return the messages, without those of other conversations. The caller repeats this if
        the reader's blocks or memberships change meanwhile (``Directory.read_for``)."""
        stored = [message for message in stored if message.conversation in conversations]
        origins = await self._origins(reader, conversations, stored)
        accounts = {message.sender for message in (*stored, *origins.values())}
        for message in stored:
            accounts.update(message.mentions)
            if message.reactions:
                accounts.update(_first_accounts(reader, message))
        users = await self._directory.users(accounts)
        return [
            self._payload(reader, conversations[message.conversation], message, users, origins)
            for message in stored
        ]

    def _payload(
        self,
        reader: OnlineUser,
        conversation: Conversation,
        stored: MessageRecord,
        users: Mapping[int, OnlineUser],
        origins: Mapping[Place, MessageRecord],
    ) -> MessagePayload:
        payload = message_payload(reader, conversation, stored, users)
        if stored.removed or not payload.removed:
            payload.rev = stored.rev
        if payload.removed:
            return payload
        if stored.edited_at is not None:
            payload.edited = rfc3339(stored.edited_at)
        if stored.reactions:
            payload.reactions = _reactions(reader, stored, users) or UNSET
        if stored.mentions:
            known = (_mentioned(key, users) for key in stored.mentions)
            payload.mentions = [id for id in known if id is not None] or UNSET
        if stored.reply_to is not None:
            origin = origins.get((stored.conversation, stored.reply_to))
            sender = None if origin is None else users.get(origin.sender)
            if origin is None or sender is None or origin.sender in reader.blocked:
                payload.reply_to = QuotePayload(stored.reply_to)
            else:
                payload.reply_to = quote(origin, sender)
        return payload

    async def _origins(
        self,
        reader: OnlineUser,
        conversations: Mapping[int, Conversation],
        stored: Sequence[MessageRecord],
    ) -> dict[Place, MessageRecord]:
        """Return the messages that these answer and that are not hidden from the reader, who may
        have joined after them. Its blocks are not considered."""
        wanted = {(m.conversation, m.reply_to) for m in stored if m.reply_to and not m.removed}
        if not wanted:
            return {}
        found = [m for m in stored if (m.conversation, m.seq) in wanted]
        known = {(m.conversation, m.seq) for m in found}
        found += await self._store.messages([place for place in wanted if place not in known])
        first_seqs = {}
        for key in {conversation for conversation, _ in wanted}:
            try:
                member = await self._directory.memberships.member(conversations[key], reader)
            except ProtocolError as error:
                if error.code == Code.UNAVAILABLE:
                    raise  # a client would keep an answer without the quotes
                continue  # the reader has just left
            first_seqs[key] = member.first_seq
        return {
            (m.conversation, m.seq): m
            for m in found
            if not m.removed and m.seq >= first_seqs.get(m.conversation, m.seq + 1)
        }


def _mentioned(key: int, users: Mapping[int, OnlineUser]) -> str | None:
    if key == ALL_MEMBERS:
        return EVERYONE
    return users[key].id if key in users else None


def quote(origin: MessageRecord, sender: OnlineUser) -> QuotePayload:
    """Return the quote of a message that the reader can read."""
    text = origin.data or ("" if origin.file is None else origin.file.name)
    return QuotePayload(origin.seq, sender.id, text[:MAX_QUOTE_CHARACTERS])


def _by_emoji(reader: OnlineUser, stored: MessageRecord) -> dict[str, list[int]]:
    accounts: dict[str, list[int]] = {}
    for reaction in stored.reactions:
        if reaction.account not in reader.blocked:
            accounts.setdefault(reaction.emoji, []).append(reaction.account)
    return accounts


def _first_accounts(reader: OnlineUser, stored: MessageRecord) -> Iterable[int]:
    for accounts in _by_emoji(reader, stored).values():
        yield from accounts[:MAX_REACTION_IDS]


def _reactions(
    reader: OnlineUser, stored: MessageRecord, users: Mapping[int, OnlineUser]
) -> list[ReactionPayload]:
    return [
        ReactionPayload(
            emoji,
            len(accounts),
            [users[key].id for key in accounts[:MAX_REACTION_IDS] if key in users],
            mine=reader.key in accounts,
        )
        for emoji, accounts in _by_emoji(reader, stored).items()
    ]


def reactions_of(
    reader: OnlineUser, stored: MessageRecord, users: Mapping[int, OnlineUser]
) -> list[ReactionUsers]:
    """Return all reactions to a message that are not hidden from the reader."""
    return [
        ReactionUsers(emoji, [users[key].id for key in accounts if key in users])
        for emoji, accounts in _by_emoji(reader, stored).items()
    ]


def room_payload(room: Room, reader: int | None = None) -> RoomPayload:
    """Return a room as the account ``reader`` sees it, or somebody who is not invited."""
    invited = reader is not None and role_of(room, reader) == "invited"
    return RoomPayload(
        *(room.id, room.name, room.owner_id),
        topic=room.topic,
        private=room.private,
        invited=invited,
    )


def fitting(entries: Sequence[object]) -> int:
    """Return how many entries, from the first on, fit on a page; at least one if there is any."""
    size = ENVELOPE_BYTES
    for count, entry in enumerate(entries):
        size += len(encode(entry)) + 1
        if size > MAX_PAGE_BYTES:
            return max(count, 1)
    return len(entries)
