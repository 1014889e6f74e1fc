"""Conversations, their members and cursors in MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from pymongo import DESCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from pychat.server.store.cursors import decode_cursor, encode_cursor
from pychat.server.store.mongodb.base import MongoPart, change, query
from pychat.server.store.mongodb.documents import stored_message
from pychat.server.store.mongodb.schema import (
    EVERYONE_KEY,
    Database,
    Document,
    ensure,
    new_conversation,
    of_conversation,
)
from pychat.server.store.records import (
    Conversation,
    ConversationKind,
    ConversationSummary,
    CursorMove,
    Membership,
)

MAX_UNREAD = 1000


def _conversation(document: Document) -> Conversation:
    return Conversation(
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


async def add_member(
    database: Database, conversation: int, kind: ConversationKind, account: int, before: int
) -> Membership:
    """From the message after ``before`` on; who is a member already stays one, unchanged."""
    member = {
        "_id": f"{conversation}-{account}",
        "conversation": conversation,
        "account": account,
        "kind": int(kind),
        "first_seq": before + 1,
        "delivered_seq": before,
        "read_seq": before,
    }
    try:
        await database["memberships"].insert_one(member)
    except DuplicateKeyError:
        existing = await database["memberships"].find_one({"_id": member["_id"]})
        return _membership(existing or member)
    return _membership(member)


class MongoConversations(MongoPart):
    """See ``base.Store`` for what each method promises."""

    async def everyone(self) -> Conversation:
        return Conversation(EVERYONE_KEY, ConversationKind.EVERYONE, ())

    @query
    async def pair(self, a: int, b: int) -> Conversation | None:
        low, high = min(a, b), max(a, b)
        document = await self._database["pairs"].find_one({"_id": f"{low}-{high}"})
        if document is None:
            return None
        return Conversation(document["conversation"], ConversationKind.PAIR, (low, high))

    @change
    async def open_pair(self, a: int, b: int) -> Conversation:
        low, high = min(a, b), max(a, b)
        pair = await self.pair(low, high) or await self._make_pair(low, high)
        # Last, and again where a server was killed before it: memberships without it are not seen.
        await ensure(
            self._database["conversations"],
            new_conversation(pair.key, ConversationKind.PAIR, pair.accounts),
        )
        return pair

    async def _make_pair(self, low: int, high: int) -> Conversation:
        """Its members and what it is found by; or that of another server, which was quicker."""
        key = await self._next("conversation")
        for account in {low, high}:
            await add_member(self._database, key, ConversationKind.PAIR, account, 0)
        try:
            await self._database["pairs"].insert_one({"_id": f"{low}-{high}", "conversation": key})
        except DuplicateKeyError:
            await self._database["memberships"].delete_many({"conversation": key})
            made = await self.pair(low, high)
            assert made is not None
            return made
        return Conversation(key, ConversationKind.PAIR, (low, high))

    @query
    async def conversations_by_key(self, keys: Sequence[int]) -> list[Conversation]:
        found = self._database["conversations"].find({"_id": {"$in": list(keys)}})
        return [_conversation(document) async for document in found if not document["deleted"]]

    @query
    async def partners(self, account: int) -> list[int]:
        found = []
        for document in await self._conversations_of(account):
            if document["kind"] == ConversationKind.PAIR:
                a, b = document["accounts"]
                if a != b:
                    found.append(b if a == account else a)
        return found

    async def _memberships_of(self, account: int) -> dict[int, Membership]:
        found = self._database["memberships"].find({"account": account})
        return {document["conversation"]: _membership(document) async for document in found}

    async def _conversations_of(self, account: int) -> list[Document]:
        keys = list(await self._memberships_of(account))
        return await self._database["conversations"].find({"_id": {"$in": keys}}).to_list()

    @query
    async def membership(self, conversation: int, account: int) -> Membership | None:
        document = await self._database["memberships"].find_one(
            {"_id": f"{conversation}-{account}"}
        )
        return _membership(document) if document else None

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
        summaries = await asyncio.gather(
            *[self._summary(document, account) for _, _, document in page]
        )
        # A pair whose first message was never written.
        kept = [s for s in summaries if s.last_seq or not s.conversation.accounts]
        return kept, following

    async def _summary(self, document: Document, account: int) -> ConversationSummary:
        conversation = _conversation(document)
        key = conversation.key
        membership = await self.membership(key, account)
        if membership is None:  # left meanwhile
            membership = Membership(key, account, 0, 0, 0)
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
                {"_id": of_conversation(key, after=read), "sender": {"$ne": account}},
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
        for membership in memberships:
            conversation = await self._database["conversations"].find_one(
                {"_id": membership.conversation}
            )
            assert conversation is not None
            await self._database["memberships"].update_one(
                {"_id": f"{membership.conversation}-{membership.account}"},
                {"$set": {**msgspec.structs.asdict(membership), "kind": conversation["kind"]}},
                upsert=True,
            )

    @change
    async def move_cursors(self, moves: Sequence[CursorMove]) -> list[Membership]:
        after = []
        for move in moves:
            document = await self._database["memberships"].find_one_and_update(
                {"_id": f"{move.conversation}-{move.account}"},
                {
                    "$max": {
                        "delivered_seq": max(move.delivered_seq, move.read_seq),
                        "read_seq": move.read_seq,
                    }
                },
                return_document=ReturnDocument.AFTER,
            )
            gone = Membership(move.conversation, move.account, 0, 0, 0)
            after.append(_membership(document) if document else gone)
        return after
