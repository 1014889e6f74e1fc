"""Files in MongoDB: documents, and their contents in parts.

Without transactions, an upload, an attachment and a deletion are several writes each. Before them,
a document of ``meta`` says what may be unfinished, so that the next server finishes it. Which
message has a file is decided by the document of the message, which contains the record.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final

from pychat.server.store.base import StoreUnavailable
from pychat.server.store.mongodb.base import MongoPart, change, query
from pychat.server.store.mongodb.documents import (
    Document,
    file_document,
    file_record,
    message_id,
    of_conversation,
)
from pychat.server.store.mongodb.schema import ensure
from pychat.server.store.records import FileRecord

PART_BYTES: Final = 255 * 1024
CLAIM: Final = "claim"
MARK: Final = "file-"
"""``meta`` has "file-ID" while a file is being stored or deleted."""
AT_ONCE: Final = 100


class MongoBlob:
    """Implements ``files.Blob``."""

    def __init__(self, files: MongoFiles, id: str) -> None:
        self._files = files
        self._id = id
        self._waiting = bytearray()
        self._count = 0

    async def write(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= PART_BYTES:
            await self._put(bytes(self._waiting[:PART_BYTES]))
            del self._waiting[:PART_BYTES]

    async def _put(self, part: bytes) -> None:
        await self._files.put_part(self._id, self._count, part)
        self._count += 1

    async def finish(self, file: FileRecord) -> None:
        if self._waiting:
            await self._put(bytes(self._waiting))
        await self._files.add_file(file)

    def discard(self) -> None:
        self._waiting.clear()
        self._files.discard(self._id)


def _part_id(id: str, number: int) -> str:
    return f"{id}-{number:06}"


def _parts_of(id: str) -> Document:
    """Return the condition for all parts of a file. ``.`` follows ``-``."""
    return {"_id": {"$gte": f"{id}-", "$lt": f"{id}."}}


class MongoFiles(MongoPart):
    """Implements ``files.FileStore``."""

    _appending: asyncio.Lock

    def __init__(self) -> None:
        super().__init__()
        self._claim: Document | None = None
        """The attachment that is being made, or was when a write failed."""
        self._deleting: list[str] = []
        """Files that are being deleted, or were when a write failed."""
        self._discarding: set[asyncio.Task[None]] = set()

    @change
    async def file_key(self) -> bytes:
        await ensure(self._database["meta"], [{"_id": "file_key", "value": secrets.token_hex(32)}])
        document = await self._database["meta"].find_one({"_id": "file_key"})
        assert document is not None
        return bytes.fromhex(document["value"])

    async def has_room(self, size: int) -> bool:
        """The database says when it is full."""
        return True

    # --- store ---
    @change
    async def new_blob(self, id: str) -> MongoBlob:
        await ensure(self._database["meta"], [{"_id": f"{MARK}{id}"}])
        return MongoBlob(self, id)

    @change
    async def put_part(self, id: str, number: int, part: bytes) -> None:
        """Store a part of a content."""
        await self._database["parts"].insert_one({"_id": _part_id(id, number), "data": part})

    @change
    async def add_file(self, file: FileRecord) -> None:
        """Insert the document of a file whose content is stored."""
        document = file_document(file)
        waiting = {"_id": document.pop("id"), **document, "waiting": file.created_at}
        await self._database["files"].insert_one(waiting)
        await self._database["meta"].delete_one({"_id": f"{MARK}{file.id}"})

    def discard(self, id: str) -> None:
        """Delete the parts of a file that was not stored. The mark stays, because another part may
        still arrive."""
        task = asyncio.get_running_loop().create_task(self._discard(id))
        self._discarding.add(task)
        task.add_done_callback(self._discarding.discard)

    async def _discard(self, id: str) -> None:
        with suppress(StoreUnavailable):  # the next start deletes them
            await self._delete_parts(id)

    @change
    async def _delete_parts(self, id: str) -> None:
        await self._database["parts"].delete_many(_parts_of(id))

    async def finish_discarding(self) -> None:
        """Return when what was discarded is deleted."""
        if self._discarding:
            await asyncio.wait(self._discarding)

    # --- read ---
    @query
    async def file(self, id: str) -> FileRecord | None:
        document = await self._database["files"].find_one({"_id": id})
        if document is None:
            return None
        message = None
        if "conversation" in document:
            message = document["conversation"], document["seq"]
        return file_record({**document, "id": id}, message)

    @query
    async def has_files(self) -> bool:
        found = await self._database["files"].find_one({"conversation": {"$gt": 0}})
        return found is not None

    @query
    async def file_bytes(self, account: int) -> int:
        found = self._database["files"].find({"account": account}, {"size": 1})
        return sum([document["size"] async for document in found])

    async def read_blob(self, id: str, start: int, end: int) -> AsyncIterator[bytes]:
        for number in range(start // PART_BYTES, (end - 1) // PART_BYTES + 1):
            part = await self._part(id, number)
            first = number * PART_BYTES
            last = min(end, first + PART_BYTES)
            if first + len(part) < last:
                raise StoreUnavailable(f"the file {id} in {self.location} is not complete")
            yield part[max(start - first, 0) : last - first]

    @query
    async def _part(self, id: str, number: int) -> bytes:
        document = await self._database["parts"].find_one({"_id": _part_id(id, number)})
        return b"" if document is None else bytes(document["data"])

    async def _incomplete_files(self) -> int:
        """Return how many files have too few parts."""
        count = 0
        async for document in self._database["files"].find({"_id": {"$gt": ""}}, {"size": 1}):
            last = _part_id(document["_id"], (document["size"] - 1) // PART_BYTES)
            count += await self._database["parts"].find_one({"_id": last}, {"_id": 1}) is None
        return count

    # --- attach; the caller holds the lock of appends ---
    async def _unattached(self, id: str, account: int) -> Document | None:
        """Return the file with this id if the account may attach it."""
        await self._finish_claim()
        document = await self._database["files"].find_one({"_id": id})
        if document is None or document["account"] != account or "conversation" in document:
            return None
        return document

    async def _begin_claim(self, id: str, conversation: int, after: int) -> None:
        """Note that a message will have the file. ``after``: the last seq before it."""
        self._claim = {"file": id, "conversation": conversation, "after": after}
        await self._database["meta"].update_one({"_id": CLAIM}, {"$set": self._claim}, upsert=True)

    async def _finish_claim(self) -> None:
        """Attach the file if the message was stored."""
        claim = self._claim
        if claim is None:
            return
        later = of_conversation(claim["conversation"], claim["after"])
        async for message in self._database["messages"].find({"_id": later}, {"file": 1, "seq": 1}):
            file = message.get("file")
            if file is not None and file["id"] == claim["file"]:
                place = {"conversation": claim["conversation"], "seq": message["seq"]}
                await self._database["files"].update_one(
                    {"_id": claim["file"]}, {"$set": place, "$unset": {"waiting": ""}}
                )
        await self._database["meta"].delete_one({"_id": CLAIM})
        self._claim = None

    # --- delete ---
    @change
    async def expire_files(self, before: int) -> None:
        async with self._appending:
            await self._finish_claim()
            old = self._database["files"].find({"waiting": {"$gte": 0, "$lt": before}}, {"_id": 1})
            ids = [document["_id"] async for document in old]
            if ids:
                await self._mark(ids)
                await self._delete_marked(ids)

    async def _mark(self, ids: Sequence[str]) -> None:
        """Note that these files will be deleted."""
        self._deleting += ids
        await ensure(self._database["meta"], [{"_id": f"{MARK}{id}"} for id in ids])

    async def _delete_marked(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            await self._database["files"].delete_many({"_id": {"$in": list(some)}})
            for id in some:
                await self._database["parts"].delete_many(_parts_of(id))
            await self._unmark(some)

    async def _unmark(self, ids: Sequence[str]) -> None:
        await self._database["meta"].delete_many({"_id": {"$in": [f"{MARK}{id}" for id in ids]}})
        self._deleting = [id for id in self._deleting if id not in ids]

    async def _delete_files_of(self, conversation: int) -> None:
        """Delete the files of a room."""
        while True:
            found = self._database["files"].find({"conversation": conversation}, {"_id": 1})
            ids = [document["_id"] for document in await found.limit(AT_ONCE).to_list()]
            if not ids:
                return
            await self._mark(ids)
            await self._delete_marked(ids)

    async def _finish_deleting(self) -> None:
        """Delete those of the files of a failed write that have no message any more."""
        for id in list(self._deleting):
            if await self._belongs(id):
                await self._unmark([id])
            else:
                await self._delete_marked([id])

    async def _belongs(self, id: str) -> bool:
        """Whether a file waits for its message, or has one."""
        document = await self._database["files"].find_one({"_id": id})
        if document is None:
            return False
        if "conversation" not in document:
            return True
        message = await self._database["messages"].find_one(
            {"_id": message_id(document["conversation"], document["seq"])}
        )
        return message is not None and (message.get("file") or {}).get("id") == id

    async def finish_files(self) -> None:
        """Finish what a killed server has left."""
        claim = await self._database["meta"].find_one({"_id": CLAIM})
        if claim is not None:
            self._claim = claim
            await self._finish_claim()
        marks = self._database["meta"].find({"_id": {"$gte": MARK, "$lt": "file."}})
        self._deleting = [mark["_id"].removeprefix(MARK) for mark in await marks.to_list()]
        await self._finish_deleting()
