"""Changes of messages in MongoDB: assign revs, change the messages, list changed ones.

Without transactions, a change is three writes: a row of ``changes`` claims the rev and holds what
the change sets, then the message is updated, then the row is reduced to the seq. If the server is
killed between them, the next one finishes the change.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from time import monotonic

from pymongo import ASCENDING, DESCENDING, UpdateOne

from pychat.server.store.base import CHANGES_LOOKED_AT
from pychat.server.store.changes import decide
from pychat.server.store.mongodb.base import change, query
from pychat.server.store.mongodb.documents import (
    MAX_SEQ,
    Document,
    message_id,
    message_record,
    of_conversation,
    reaction_documents,
)
from pychat.server.store.mongodb.files import MongoFiles
from pychat.server.store.mongodb.schema import CHANGING, update
from pychat.server.store.records import ChangeResult, MessageRecord, NewChange, Outcome, RecordPage
from pychat.server.store.terms import terms

MAX_CACHED_REVS = 100_000
MAX_BATCH = 2_000
"""Of changes that are written at once, so that a later server finds the unfinished ones."""


class MongoChanges(MongoFiles):
    """Implements changes of ``base.Store``. The caller holds the lock of appends."""

    def __init__(self) -> None:
        super().__init__()
        self._revs: dict[int, int] = {}
        self._applying: dict[int, int] = {}
        """Conversations whose messages are being changed, or were when a write failed, and the last
        rev before. Readers must not see later ones yet."""

    async def _change(self, batch: Sequence[NewChange]) -> list[ChangeResult]:
        answers: list[ChangeResult] = []
        for start in range(0, len(batch), MAX_BATCH):
            answers += await self._change_some(batch[start : start + MAX_BATCH])
        return answers

    async def _change_some(self, batch: Sequence[NewChange]) -> list[ChangeResult]:
        await self._finish_failed()
        started = monotonic()
        found = self._database["messages"].find(
            {"_id": {"$in": list({message_id(c.conversation, c.seq) for c in batch})}}
        )
        documents = {document["_id"]: document async for document in found}
        records = {key: message_record(document) for key, document in documents.items()}
        await self._learn_revs({record.conversation for record in records.values()})
        revs: dict[int, int] = {}
        answers: list[ChangeResult] = []
        rows: list[Document] = []
        superseded: list[int] = []
        files: list[str] = []
        for new in batch:
            key = message_id(new.conversation, new.seq)
            before = records.get(key)
            known = revs.get(new.conversation, self._revs.get(new.conversation, 0))
            changed = decide(new, before, known + 1)
            answers.append(changed)
            after = changed.message
            if changed.outcome is Outcome.DONE and before is not None and after is not None:
                revs[new.conversation] = after.rev
                records[key] = after
                if before.rev:
                    superseded.append(message_id(new.conversation, before.rev))
                if before.file is not None and after.file is None:
                    files.append(before.file.id)
                rows.append(
                    {
                        "_id": message_id(new.conversation, after.rev),
                        "seq": new.seq,
                        "set": _new_values(before, after, documents[key]["terms"]),
                    }
                )
        if files:
            await self._mark(files)
        if rows:
            await self._write_changes(revs, rows, superseded)
            if self._lease:
                self._lease.note_written(started)
        if files:
            await self._delete_marked(files)
        return answers

    async def _write_changes(
        self, revs: dict[int, int], rows: list[Document], superseded: list[int]
    ) -> None:
        """Write the rows and apply them. ``revs``: the new last revs."""
        self._applying = {key: self._revs[key] for key in revs}
        # Before the rows: where to look for unfinished ones, and a limit that is never too low.
        await self._database["meta"].update_one(
            {"_id": CHANGING}, {"$set": {"conversations": list(revs)}}, upsert=True
        )
        await update(
            self._database["conversations"],
            [UpdateOne({"_id": key}, {"$max": {"last_rev": rev}}) for key, rev in revs.items()],
        )
        await self._database["changes"].insert_many(rows, ordered=True)
        await self._apply(rows)
        if superseded:
            await self._database["changes"].delete_many({"_id": {"$in": superseded}})
        self._revs |= revs
        self._applying = {}

    async def _apply(self, rows: Sequence[Document]) -> None:
        """Change the messages, unless they have a later change, and reduce the rows."""
        values: dict[int, Document] = {}
        for row in rows:
            key = message_id(row["_id"] >> 32, row["seq"])
            values[key] = values.get(key, {}) | row["set"]
        await update(
            self._database["messages"],
            [
                UpdateOne({"_id": key, "rev": {"$not": {"$gte": new["rev"]}}}, {"$set": new})
                for key, new in values.items()
            ],
        )
        await update(
            self._database["changes"],
            [UpdateOne({"_id": row["_id"]}, {"$unset": {"set": ""}}) for row in rows],
        )

    async def _finish_failed(self) -> None:
        """Finish the changes of a write that failed."""
        if self._applying:
            conversations = list(self._applying)
            await self._finish_changes(conversations)
            for key in conversations:
                self._revs.pop(key, None)
            self._applying = {}
        if self._deleting:
            await self._finish_deleting()

    async def _finish_changes(self, conversations: Collection[int]) -> None:
        """Finish the newest changes of these conversations."""
        for conversation in conversations:
            newest = self._database["changes"].find({"_id": of_conversation(conversation)})
            rows = await newest.sort("_id", DESCENDING).limit(MAX_BATCH).to_list()
            unfinished = [row for row in reversed(rows) if "set" in row]
            if unfinished:
                await self._apply(unfinished)

    async def finish_changes(self) -> None:
        """Finish changes that a killed server has left."""
        changing = await self._database["meta"].find_one({"_id": CHANGING})
        if changing:
            await self._finish_changes(changing["conversations"])

    async def _learn_revs(self, conversations: Collection[int]) -> None:
        if len(self._revs) > MAX_CACHED_REVS:
            self._revs.clear()
        for key in conversations:
            if key not in self._revs:
                self._revs[key] = await self._last_rev(key)

    async def _last_rev(self, conversation: int) -> int:
        row = await self._database["changes"].find_one(
            {"_id": of_conversation(conversation)}, sort=[("_id", DESCENDING)]
        )
        return row["_id"] & MAX_SEQ if row else 0

    async def _readable_rev(self, conversation: int) -> int:
        """Return the last rev that messages which are read later show."""
        rev = self._revs.get(conversation)
        if rev is None:
            rev = await self._last_rev(conversation)
        return min(rev, self._applying.get(conversation, rev))

    @query
    async def changed(
        self, conversation: int, *, first_seq: int, after: int, limit: int
    ) -> RecordPage:
        last = await self._readable_rev(conversation)
        if after >= last:
            return RecordPage([], False, last)
        found = self._database["changes"].find(
            {"_id": of_conversation(conversation, after, last + 1)}
        )
        rows = await found.sort("_id", ASCENDING).limit(CHANGES_LOOKED_AT).to_list()
        places = [message_id(conversation, row["seq"]) for row in rows if row["seq"] >= first_seq]
        documents = self._database["messages"].find({"_id": {"$in": places}})
        records = {d["seq"]: message_record(d) async for d in documents}
        # A message counts for its newest row, unless that row is later than ``last``.
        wanted = [
            (row["_id"] & MAX_SEQ, record)
            for row in rows
            if (record := records.get(row["seq"])) is not None
            and (record.rev > last or record.rev == row["_id"] & MAX_SEQ)
        ]
        more = len(rows) == CHANGES_LOOKED_AT
        if more:
            last = rows[-1]["_id"] & MAX_SEQ
        if len(wanted) > limit:
            more, last = True, wanted[limit - 1][0]
        return RecordPage([record for _, record in wanted[:limit]], more, last)

    @query
    async def messages(self, places: Sequence[tuple[int, int]]) -> list[MessageRecord]:
        keys = [message_id(*place) for place in places]
        documents = self._database["messages"].find({"_id": {"$in": keys}})
        return [message_record(document) async for document in documents]

    @change
    async def put_changes(self, messages: Sequence[MessageRecord]) -> None:
        removed: Document = {"data": "", "removed": True, "terms": []}
        values = [
            (message, (removed if message.removed else {}) | (_details(message)))
            for message in messages
        ]
        revs: dict[int, int] = {}
        for message in messages:
            revs[message.conversation] = max(revs.get(message.conversation, 0), message.rev)
        await update(
            self._database["conversations"],
            [UpdateOne({"_id": key}, {"$max": {"last_rev": rev}}) for key, rev in revs.items()],
        )
        await update(
            self._database["messages"],
            [
                UpdateOne({"_id": message_id(message.conversation, message.seq)}, {"$set": new})
                for message, new in values
                if new
            ],
        )
        await update(
            self._database["changes"],
            [
                UpdateOne(
                    {"_id": message_id(message.conversation, message.rev)},
                    {"$set": {"seq": message.seq}},
                    upsert=True,
                )
                for message in messages
                if message.rev
            ],
        )
        self._revs.clear()


def _new_values(before: MessageRecord, after: MessageRecord, old_terms: list[str]) -> Document:
    """Return the fields of the message's document that a change sets."""
    new: Document = {"rev": after.rev}
    if after.data != before.data:
        scope = [term for term in old_terms if term.startswith("_")]
        new["data"] = after.data
        new["terms"] = [] if after.removed else scope + sorted(terms(after.data))
    if after.removed:
        new["removed"] = True
    if after.edited_at != before.edited_at:
        new["edited_at"] = after.edited_at
    if after.reactions != before.reactions:
        new["reactions"] = reaction_documents(after.reactions)
    if after.mentions != before.mentions:
        new["mentions"] = list(after.mentions)
    if after.file is None and before.file is not None:
        new["file"] = None
    return new


def _details(message: MessageRecord) -> Document:
    if not message.rev:
        return {}
    return {
        "rev": message.rev,
        "edited_at": message.edited_at,
        "reactions": reaction_documents(message.reactions),
    }
