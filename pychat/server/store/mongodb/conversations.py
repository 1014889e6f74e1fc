"""Conversations, their members and cursors in MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from pymongo import DESCENDING, UpdateOne
from pymongo.errors import DuplicateKeyError

from pychat.protocol import MAX_UNREAD
from pychat.server.store.base import UNREAD_LOOKED_AT
from pychat.server.store.cursors import decode_cursor, encode_cursor
from pychat.server.store.mongodb.base import MongoPart, change, query
from pychat.server.store.mongodb.documents import stored_message
from pychat.server.store.mongodb.schema import (
    EVERYONE_KEY,
    Database,
    Document,
    ensure,
    member_id,
    new_conversation,
    new_member,
    of_conversation,
    pair_id,
    update,
)
from pychat.server.store.records import (
    ConversationKind,
    ConversationRecord,
    ConversationSummary,
    CursorMove,
    Membership,
)


def _conversation(document: Document) -> ConversationRecord:
    return ConversationRecord(
        document["_id"],
        ConversationKind(document["kind"]),
        tuple(document["accounts"]),
        document["room_id"],
    )


def _membership(document: Document) -> Membership:
    return Membership(
        document["conversation"],
        document["account"],
        document["first_seq"],
        document["delivered_seq"],
        document["read_seq"],
    )


async def last_message(database: Database, conversation: int) -> Document | None:
    """None while it is empty."""
    return await database["messages"].find_one(
        {"_id": of_conversation(conversation)}, sort=[("_id", DESCENDING)]
    )


async def seq_of_last(database: Database, conversation: int) -> int:
    """0 while it is empty."""
    message = await last_message(database, conversation)
    return int(message["seq"]) if message else 0


async def last_seqs(database: Database, conversations: Sequence[int]) -> list[int]:
    """In their order. Those without a message, as in an import, cost no query of their own."""
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
    """From the message after ``before`` on; who is a member already stays one, unchanged."""
    member = new_member(conversation, kind, account, before)
    try:
        await database["memberships"].insert_one(member)
    except DuplicateKeyError:
        existing = await database["memberships"].find_one({"_id": member["_id"]})
        return _membership(existing or member)
    return _membership(member)


class MongoConversations(MongoPart):
    """See ``base.Store`` for what each method promises."""

    async def everyone(self) -> ConversationRecord:
        return ConversationRecord(EVERYONE_KEY, ConversationKind.EVERYONE, ())

    @query
    async def pair(self, a: int, b: int) -> ConversationRecord | None:
        low, high = min(a, b), max(a, b)
        named = await self._database["pairs"].find_one({"_id": pair_id(low, high)})
        if named is None:
            return None
        # Missing where a server was killed before it was made: open_pair makes it.
        made = await self._database["conversations"].find_one({"_id": named["conversation"]})
        return _conversation(made) if made else None

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
            await self._make_pairs(new)
            keys |= await self._pair_keys([pair_id(*accounts) for accounts in new])
        # Last, and again where a server was killed before it: memberships without it are not seen.
        await ensure(
            self._database["conversations"],
            [
                new_conversation(keys[name], ConversationKind.PAIR, accounts)
                for name, accounts in names.items()
            ],
        )
        return [
            ConversationRecord(keys[pair_id(*accounts)], ConversationKind.PAIR, accounts)
            for accounts in wanted
        ]

    async def _pair_keys(self, names: list[str]) -> dict[str, int]:
        found = self._database["pairs"].find({"_id": {"$in": names}})
        return {document["_id"]: document["conversation"] async for document in found}

    async def _make_pairs(self, pairs: list[tuple[int, int]]) -> None:
        """Their members and what they are found by; none where another server was quicker, whose
        memberships are the ones that are seen."""
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
            _conversation(document)
            for document in await self._conversations_of(account)
            if document["kind"] == ConversationKind.PAIR
        ]

    @query
    async def conversations_by_key(self, keys: Sequence[int]) -> list[ConversationRecord]:
        found = self._database["conversations"].find({"_id": {"$in": list(keys)}})
        return [_conversation(document) async for document in found if not document["deleted"]]

    async def _conversations_of(self, account: int) -> list[Document]:
        memberships = self._database["memberships"].find({"account": account})
        keys = [document["conversation"] async for document in memberships]
        return await self._database["conversations"].find({"_id": {"$in": keys}}).to_list()

    @query
    async def membership(self, conversation: int, account: int) -> Membership | None:
        document = await self._database["memberships"].find_one(
            {"_id": member_id(conversation, account)}
        )
        return _membership(document) if document else None

    @query
    async def memberships(self, conversations: Sequence[int]) -> list[Membership]:
        found = self._database["memberships"].find({"conversation": {"$in": list(conversations)}})
        return [_membership(document) async for document in found]

    @query
    async def conversations(
        self, account: int, *, cursor: str | None, limit: int
    ) -> tuple[list[ConversationSummary], str | None]:
        start = tuple(decode_cursor(cursor, 2)) if cursor is not None else None
        listed = [
            (document["last_number"], document["_id"], document)
            for document in await self._conversations_of(account)
            if (document["last_number"] or document["kind"] != ConversationKind.PAIR)
            and (start is None or (document["last_number"], document["_id"]) < start)
        ]
        listed.sort(key=lambda entry: entry[:2], reverse=True)
        page = listed[:limit]
        following = encode_cursor(*page[-1][:2]) if len(listed) > limit else None
        blocked = self._database["blocks"].find({"account": account})
        left_out = [account, *[document["other"] async for document in blocked]]
        summaries = await asyncio.gather(
            *[self._summary(document, account, left_out) for _, _, document in page]
        )
        # A pair whose first message was never written.
        kept = [s for s in summaries if s and (s.last_seq or not s.conversation.accounts)]
        return kept, following

    async def _summary(
        self, document: Document, account: int, left_out: Sequence[int]
    ) -> ConversationSummary | None:
        """``left_out``: whose messages are not counted as unread. None if the account has left."""
        conversation = _conversation(document)
        key = conversation.key
        membership = await self.membership(key, account)
        if membership is None:  # left meanwhile
            return None
        peer = None
        if conversation.accounts:
            a, b = conversation.accounts
            peer = await self.membership(key, b if a == account else a)
        last = await last_message(self._database, key)
        last_seq = last["seq"] if last else 0
        read = max(membership.read_seq, membership.first_seq - 1)
        unread = 0
        if read < last_seq:
            unread = await self._database["messages"].count_documents(
                {
                    "_id": of_conversation(key, after=max(read, last_seq - UNREAD_LOOKED_AT)),
                    "sender": {"$nin": left_out},
                    "removed": False,
                },
                limit=MAX_UNREAD,
            )
        return ConversationSummary(
            conversation=conversation,
            membership=membership,
            peer=peer,
            last_seq=last_seq,
            last=stored_message(last) if last and last_seq >= membership.first_seq else None,
            unread=unread,
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
                    {"$set": {**msgspec.structs.asdict(each), "kind": kinds[each.conversation]}},
                    upsert=True,
                )
                for each in memberships
            ],
        )

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
        kept = {document["_id"]: _membership(document) async for document in found}
        return [
            kept.get(id) or Membership(move.conversation, move.account, 0, 0, 0)
            for id, move in zip(ids, moves, strict=True)
        ]
