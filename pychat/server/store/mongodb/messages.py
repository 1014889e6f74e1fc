"""Messages in MongoDB: append without transactions, history, undelivered messages, search."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from time import monotonic
from typing import cast

from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError

from pychat.server.store.base import LAST_NUMBER, decode_cursor, encode_cursor
from pychat.server.store.mongodb.base import change, query
from pychat.server.store.mongodb.changes import MongoChanges
from pychat.server.store.mongodb.conversations import last_seqs, seq_of_last
from pychat.server.store.mongodb.documents import (
    Document,
    file_document,
    file_record,
    message_record,
    new_message,
    of_conversation,
    placed,
    unique_key,
)
from pychat.server.store.mongodb.schema import DUPLICATE_KEY, update
from pychat.server.store.records import (
    Appended,
    ChangeResult,
    ConversationKind,
    MessageRecord,
    NewChange,
    NewMessage,
    Outcome,
    RecordPage,
    write_kind,
)
from pychat.server.store.terms import Query, Term, account_term, conversation_term

MAX_CACHED = 100_000
NUMBERS_AT_ONCE = 1_000


class MongoMessages(MongoChanges):
    """Implements the messages of ``base.Store``.

    ``append`` needs no transaction, so that a single server is enough. If the database goes away
    during a batch, the first messages of the batch may be stored although ``append`` raises. When
    they are sent again with their client ids, they are duplicates.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last_seqs: dict[int, int] = {}
        self._scopes: dict[int, list[str]] = {}
        self._next_number = self._end_of_block = 0
        self._appending = asyncio.Lock()

    def _forget(self) -> None:
        """Drop what is cached: other servers may append while this store is closed."""
        self._last_seqs.clear()
        self._scopes.clear()
        self._revs.clear()
        self._claim, self._deleting = None, []
        self._applying = {}
        self._next_number = self._end_of_block = 0

    @change
    async def append(self, batch: Sequence[NewMessage]) -> list[Appended]:
        if not batch:
            return []
        async with self._appending:
            return await self._append(batch)

    @change
    async def commit(
        self, batch: Sequence[NewMessage | NewChange]
    ) -> list[Appended | ChangeResult]:
        answers: list[Appended | ChangeResult] = []
        async with self._appending:
            for kind, run in groupby(batch, write_kind):
                if kind == "message":
                    answers += await self._append(cast("list[NewMessage]", list(run)))
                elif kind == "file":
                    for message in cast("list[NewMessage]", list(run)):
                        answers.append(await self._append_with_file(message))
                else:
                    answers += await self._change(cast("list[NewChange]", list(run)))
        return answers

    async def _append_with_file(self, message: NewMessage) -> Appended | ChangeResult:
        assert message.file is not None
        stored = await self._unattached(message.file, message.sender)
        if stored is None:
            known = await self._stored(message.sender, message.client_id)
            return known or ChangeResult(Outcome.MISSING, None)
        await self._learn({message.conversation})
        after = self._last_seqs[message.conversation]
        await self._begin_claim(message.file, message.conversation, after)
        file = file_document(file_record({**stored, "id": message.file}, None))
        (answer,) = await self._append([message], file)
        await self._finish_claim()
        return answer

    async def _append(
        self, batch: Sequence[NewMessage], file: Document | None = None
    ) -> list[Appended]:
        """``file``: of the only message of the batch."""
        started = monotonic()
        number = await self._first_number(len(batch))
        await self._learn({message.conversation for message in batch})
        waiting = [
            new_message(message, number + n, self._scopes.get(message.conversation, []), file)
            for n, message in enumerate(batch)
        ]
        answers: list[Appended] = []
        try:
            while len(answers) < len(waiting):
                answers += await self._insert(waiting[len(answers) :])
        except PyMongoError:
            # It is unknown which messages were stored.
            self._last_seqs.clear()
            raise
        for answer in answers:
            if not answer.duplicate:
                self._last_seqs[answer.conversation] = answer.seq
        if self._lease and not answers[-1].duplicate:
            self._lease.note_written(started)
        return answers

    async def _first_number(self, count: int) -> int:
        """Return the first of ``count`` new numbers. A server reserves them in blocks, which saves
        a round trip per batch. Numbers that it does not use are skipped for ever."""
        first = self._next_number
        if first + count > self._end_of_block:
            # Without a lease, other processes append as well: a later message must have a higher
            # number, so reserve none in advance.
            block = count if self._lease is None else max(count, NUMBERS_AT_ONCE)
            first = await self._next("number", block)
            self._end_of_block = first + block
        self._next_number = first + count
        return first

    async def _learn(self, conversations: set[int]) -> None:
        """Read the last seqs and scopes that are not cached."""
        for cache in (self._last_seqs, self._scopes):
            if len(cache) > MAX_CACHED:
                cache.clear()
        unknown = [key for key in conversations if key not in self._scopes]
        if unknown:
            async for document in self._database["conversations"].find({"_id": {"$in": unknown}}):
                accounts = {account_term(account) for account in document["accounts"]}
                self._scopes[document["_id"]] = [
                    conversation_term(document["_id"]),
                    *sorted(accounts),
                ]
        new = list(conversations - self._last_seqs.keys())
        if new:
            found = await last_seqs(self._database, new)
            self._last_seqs |= dict(zip(new, found, strict=True))

    async def _insert(self, waiting: list[Document]) -> list[Appended]:
        """Insert messages in order at the next seqs, until one has a seq that is taken or is a
        duplicate. Return the places of the messages up to there. If a seq was taken, the result
        may be empty, and the next call uses the seq after it."""
        last_seqs = {
            key: self._last_seqs[key] for key in {document["conversation"] for document in waiting}
        }
        documents = []
        numbers = {}
        for document in waiting:
            key = document["conversation"]
            last_seqs[key] += 1
            numbers[key] = document["number"]
            documents.append(placed(document, last_seqs[key]))
        # Before the messages, because these values must never be lower than those of a message.
        await update(
            self._database["conversations"],
            [
                UpdateOne({"_id": key}, {"$max": {"last_seq": seq, "last_number": numbers[key]}})
                for key, seq in last_seqs.items()
            ],
        )
        stored = documents
        duplicate: list[Appended] = []
        try:
            await self._database["messages"].insert_many(documents, ordered=True)
        except BulkWriteError as error:
            failures = error.details["writeErrors"]
            if error.details["writeConcernErrors"] or failures[0]["code"] != DUPLICATE_KEY:
                raise
            index = failures[0]["index"]
            stored = documents[:index]
            duplicate = await self._duplicate(documents[index])
        answers = [
            Appended(document["conversation"], document["seq"], document["sent_at"])
            for document in stored
        ]
        for answer in answers:
            self._last_seqs[answer.conversation] = max(
                answer.seq, self._last_seqs[answer.conversation]
            )
        return answers + duplicate

    async def _duplicate(self, refused: Document) -> list[Appended]:
        """Return where this message is already stored. If it is not, its seq was taken: read the
        last seq again and return nothing."""
        existing = await self._stored(refused["sender"], refused["client_id"])
        if existing is not None:
            return [existing]
        key = refused["conversation"]
        self._last_seqs[key] = await seq_of_last(self._database, key)
        return []

    async def _stored(self, sender: int, client_id: bytes | None) -> Appended | None:
        """Return where the message with this client id is stored, None if it is not."""
        if client_id is None:
            return None
        found = await self._database["messages"].find_one({"unique": unique_key(sender, client_id)})
        if found is None:
            return None
        return Appended(found["conversation"], found["seq"], found["sent_at"], duplicate=True)

    @query
    async def last_seq(self, conversation: int) -> int:
        return await seq_of_last(self._database, conversation)

    @query
    async def last_seqs(self, conversations: Sequence[int]) -> list[int]:
        return await last_seqs(self._database, conversations)

    @query
    async def history(
        self,
        conversation: int,
        *,
        first_seq: int,
        before: int | None,
        after: int | None,
        limit: int,
    ) -> RecordPage:
        if self._applying and not self._appending.locked():
            async with self._appending:
                await self._finish_failed()
        rev = await self._readable_rev(conversation)
        start = max(first_seq - 1, after or 0)
        order = DESCENDING if after is None else ASCENDING
        found = self._database["messages"].find(
            {"_id": of_conversation(conversation, start, before)}
        )
        documents = await found.sort("_id", order).limit(limit + 1).to_list()
        page = [message_record(document) for document in documents[:limit]]
        if after is None:
            page.reverse()
        return RecordPage(page, len(documents) > limit, rev)

    @query
    async def undelivered(
        self, account: int, limit: int, sent: Mapping[int, int]
    ) -> list[MessageRecord]:
        memberships = await self._database["memberships"].find({"account": account}).to_list()
        cursors = {
            key: max(document["delivered_seq"], sent.get(key, 0))
            for document in memberships
            if document["kind"] == ConversationKind.PAIR and (key := document["conversation"])
        }
        conversations = self._database["conversations"].find({"_id": {"$in": sorted(cursors)}})
        behind = {
            document["_id"]: document["accounts"]
            async for document in conversations
            if document["last_seq"] > cursors[document["_id"]]
        }
        found: list[MessageRecord] = []
        for key in sorted(behind):
            if len(found) == limit:
                break
            wanted: Document = {"_id": of_conversation(key, after=cursors[key])}
            if behind[key] != [account, account]:
                wanted["sender"] = {"$ne": account}
            waiting = self._database["messages"].find(wanted)
            page = waiting.sort("_id", ASCENDING).limit(limit - len(found))
            found += [message_record(document) async for document in page]
        return found

    @query
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
        query = Query(text)
        if not query.terms:
            return [], None
        memberships = await self._database["memberships"].find({"account": account}).to_list()
        first_seqs = {document["conversation"]: document["first_seq"] for document in memberships}
        if conversation is not None:
            scope = [conversation_term(conversation)]
        else:
            scope = [account_term(account)] + [
                conversation_term(document["conversation"])
                for document in memberships
                if document["kind"] != ConversationKind.PAIR
            ]
        documents = self._database["messages"].find(
            {
                "$and": [{"terms": {"$in": scope}}, *[_condition(term) for term in query.terms]],
                "number": {"$lt": end},
            }
        )
        found: list[Document] = []
        following = None
        async for document in documents.sort("number", DESCENDING):
            first_seq = first_seqs.get(document["conversation"])
            readable = first_seq is not None and document["seq"] >= first_seq
            if readable and query.matches(document["data"]):
                if len(found) == limit:
                    following = encode_cursor(found[-1]["number"])
                    break
                found.append(document)
        await asyncio.shield(documents.close())
        return [message_record(document) for document in found], following


def _condition(term: Term) -> Document:
    if term.prefix:
        return {"terms": {"$regex": f"^{re.escape(term.text)}"}}
    return {"terms": term.text}
