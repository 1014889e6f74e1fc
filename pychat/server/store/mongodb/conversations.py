"""Conversations, memberships and cursors in MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pymongo import DESCENDING, UpdateOne
from pymongo.errors import DuplicateKeyError

from pychat.protocol import MAX_UNREAD, NotifyLevel
from pychat.server.store.base import (
    LAST_NUMBER,
    UNREAD_LOOKED_AT,
    decode_cursor,
    encode_cursor,
)
from pychat.server.store.mongodb.base import change, query
from pychat.server.store.mongodb.changes import MongoChanges
from pychat.server.store.mongodb.documents import (
    Document,
    conversation_record,
    member_fields,
    member_id,
    membership_record,
    message_record,
    new_conversation,
    new_member,
    of_conversation,
    pair_id,
)
from pychat.server.store.mongodb.schema import Database, ensure, update
from pychat.server.store.records import (
    ALL_MEMBERS,
    EVERYONE,
    ConversationKind,
    ConversationRecord,
    ConversationSummary,
    CursorMove,
    Membership,
)


async def last_message(database: Database, conversation: int) -> Document | None:
    """Return the document of the last message, None if there is none."""
    return await database["messages"].find_one(
        {"_id": of_conversation(conversation)}, sort=[("_id", DESCENDING)]
    )


async def seq_of_last(database: Database, conversation: int) -> int:
    """Return the seq of the last message, 0 if there is none."""
    message = await last_message(database, conversation)
    return int(message["seq"]) if message else 0


async def last_seqs(database: Database, conversations: Sequence[int]) -> list[int]:
    """Return the last seqs in the order of ``conversations``. Empty conversations, of which an
    import has many, share one query."""
    known: dict[int, int] = {}
    async for document in database["conversations"].find({"_id": {"$in": list(conversations)}}):
        if not document["last_seq"]:
            known[document["_id"]] = 0
    unknown = [key for key in conversations if key not in known]
    found = await asyncio.gather(*[seq_of_last(database, key) for key in unknown])
    known |= dict(zip(unknown, found, strict=True))
    return [known[key] for key in conversations]


async def add_member(
    database: Database, conversation: int, kind: ConversationKind, account: int, before: int
) -> Membership:
    """Add a member whose first readable message is the one after the seq ``before``. An existing
    membership stays unchanged."""
    member = new_member(conversation, kind, account, before)
    try:
        await database["memberships"].insert_one(member)
    except DuplicateKeyError:
        existing = await database["memberships"].find_one({"_id": member["_id"]})
        return membership_record(existing or member)
    return membership_record(member)


class MongoConversations(MongoChanges):
    """Implements the conversations of ``base.Store``."""

    async def everyone(self) -> ConversationRecord:
        return EVERYONE

    @query
    async def pair(self, a: int, b: int) -> ConversationRecord | None:
        low, high = min(a, b), max(a, b)
        named = await self._database["pairs"].find_one({"_id": pair_id(low, high)})
        if named is None:
            return None
        # It is missing if a server was killed before it created it: open_pair will do so.
        found = await self._database["conversations"].find_one({"_id": named["conversation"]})
        return conversation_record(found) if found else None

    @change
    async def open_pair(self, a: int, b: int) -> ConversationRecord:
        (pair,) = await self._open_pairs([(a, b)])
        return pair

    @change
    async def open_pairs(self, pairs: Sequence[tuple[int, int]]) -> list[ConversationRecord]:
        return await self._open_pairs(pairs) if pairs else []

    async def _open_pairs(self, pairs: Sequence[tuple[int, int]]) -> list[ConversationRecord]:
        wanted = [(min(pair), max(pair)) for pair in pairs]
        names = {pair_id(*accounts): accounts for accounts in wanted}
        keys = await self._pair_keys(list(names))
        new = [accounts for name, accounts in names.items() if name not in keys]
        if new:
            await self._create_pairs(new)
            keys |= await self._pair_keys([pair_id(*accounts) for accounts in new])
        records = {
            name: ConversationRecord(keys[name], ConversationKind.PAIR, accounts)
            for name, accounts in names.items()
        }
        # The conversations come last, because memberships without one are ignored. A server that
        # was killed may have left some to create here.
        await ensure(
            self._database["conversations"], [new_conversation(each) for each in records.values()]
        )
        return [records[pair_id(*accounts)] for accounts in wanted]

    async def _pair_keys(self, names: list[str]) -> dict[str, int]:
        found = self._database["pairs"].find({"_id": {"$in": names}})
        return {document["_id"]: document["conversation"] async for document in found}

    async def _create_pairs(self, pairs: list[tuple[int, int]]) -> None:
        """Create the memberships and the documents of ``pairs``. If another process creates the
        same pair at the same time, only the memberships of the pair that is found are used."""
        first = await self._next("conversation", len(pairs))
        numbered = list(enumerate(pairs, first))
        await self._database["memberships"].insert_many(
            [
                new_member(key, ConversationKind.PAIR, account, 0)
                for key, accounts in numbered
                for account in set(accounts)
            ],
            ordered=False,
        )
        await ensure(
            self._database["pairs"],
            [{"_id": pair_id(*accounts), "conversation": key} for key, accounts in numbered],
        )

    @query
    async def pairs(self, account: int) -> list[ConversationRecord]:
        return [
            conversation_record(document)
            for document in await self._conversations_of(account)
            if document["kind"] == ConversationKind.PAIR
        ]

    @query
    async def conversations_by_key(self, keys: Sequence[int]) -> list[ConversationRecord]:
        found = self._database["conversations"].find({"_id": {"$in": list(keys)}})
        return [
            conversation_record(document) async for document in found if not document["deleted"]
        ]

    async def _conversations_of(self, account: int) -> list[Document]:
        memberships = self._database["memberships"].find({"account": account})
        keys = [document["conversation"] async for document in memberships]
        return await self._database["conversations"].find({"_id": {"$in": keys}}).to_list()

    @query
    async def membership(self, conversation: int, account: int) -> Membership | None:
        document = await self._database["memberships"].find_one(
            {"_id": member_id(conversation, account)}
        )
        return membership_record(document) if document else None

    @query
    async def memberships(self, conversations: Sequence[int]) -> list[Membership]:
        found = self._database["memberships"].find({"conversation": {"$in": list(conversations)}})
        return [membership_record(document) async for document in found]

    @query
    async def conversations(
        self, account: int, *, cursor: str | None, limit: int
    ) -> tuple[list[ConversationSummary], str | None]:
        start = tuple(decode_cursor(cursor, LAST_NUMBER, 0))
        listed = [
            (document["last_number"], document["_id"], document)
            for document in await self._conversations_of(account)
            if (document["last_number"] or document["kind"] != ConversationKind.PAIR)
            and (document["last_number"], document["_id"]) < start
        ]
        listed.sort(key=lambda entry: entry[:2], reverse=True)
        page = listed[:limit]
        following = encode_cursor(*page[-1][:2]) if len(listed) > limit else None
        blocked = self._database["blocks"].find({"account": account})
        left_out = [account, *[document["other"] async for document in blocked]]
        summaries = await asyncio.gather(
            *[self._summary(document, account, left_out) for _, _, document in page]
        )
        # Leave out pairs whose first message could not be written.
        found = [s for s in summaries if s and (s.last_seq or not s.conversation.accounts)]
        return found, following

    async def _summary(
        self, document: Document, account: int, left_out: Sequence[int]
    ) -> ConversationSummary | None:
        """Return None if the account has left. ``left_out``: senders not to count as unread."""
        conversation = conversation_record(document)
        key = conversation.key
        membership = await self.membership(key, account)
        if membership is None:  # the account has just left
            return None
        peer = None
        if conversation.accounts:
            a, b = conversation.accounts
            peer = await self.membership(key, b if a == account else a)
        rev = await self._readable_rev(key) if document.get("last_rev") else 0
        last = await last_message(self._database, key)
        last_seq = last["seq"] if last else 0
        read = max(membership.read_seq, membership.first_seq - 1)
        unread = unread_mentions = 0
        if read < last_seq:
            counted: Document = {
                "_id": of_conversation(key, after=max(read, last_seq - UNREAD_LOOKED_AT)),
                "sender": {"$nin": left_out},
                "removed": False,
            }
            unread = await self._database["messages"].count_documents(counted, limit=MAX_UNREAD)
            if unread and conversation.kind is ConversationKind.ROOM:
                counted["mentions"] = {"$in": [account, ALL_MEMBERS]}
                unread_mentions = await self._database["messages"].count_documents(
                    counted, limit=MAX_UNREAD
                )
        return ConversationSummary(
            conversation=conversation,
            membership=membership,
            peer=peer,
            last_seq=last_seq,
            last=message_record(last) if last and last_seq >= membership.first_seq else None,
            unread=unread,
            rev=rev,
            unread_mentions=unread_mentions,
        )

    @change
    async def put_memberships(self, memberships: Sequence[Membership]) -> None:
        keys = list({membership.conversation for membership in memberships})
        found = self._database["conversations"].find({"_id": {"$in": keys}})
        kinds = {document["_id"]: document["kind"] async for document in found}
        await update(
            self._database["memberships"],
            [
                UpdateOne(
                    {"_id": member_id(each.conversation, each.account)},
                    {"$set": member_fields(each) | {"kind": kinds[each.conversation]}},
                    upsert=True,
                )
                for each in memberships
            ],
        )

    @change
    async def set_notify(self, conversation: int, account: int, level: NotifyLevel) -> bool:
        changed = await self._database["memberships"].update_one(
            {"_id": member_id(conversation, account)}, {"$set": {"notify": level.value}}
        )
        return changed.matched_count > 0

    @change
    async def move_cursors(self, moves: Sequence[CursorMove]) -> list[Membership]:
        memberships = self._database["memberships"]
        ids = [member_id(move.conversation, move.account) for move in moves]
        await update(
            memberships,
            [
                UpdateOne(
                    {"_id": id},
                    {
                        "$max": {
                            "delivered_seq": max(move.delivered_seq, move.read_seq),
                            "read_seq": move.read_seq,
                        }
                    },
                )
                for id, move in zip(ids, moves, strict=True)
            ],
        )
        found = memberships.find({"_id": {"$in": ids}})
        stored = {document["_id"]: membership_record(document) async for document in found}
        return [
            stored.get(id) or Membership(move.conversation, move.account, 0, 0, 0)
            for id, move in zip(ids, moves, strict=True)
        ]
