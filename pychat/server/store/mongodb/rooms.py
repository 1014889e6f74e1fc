"""Rooms, their members and standings in MongoDB."""

from __future__ import annotations

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from pychat.protocol import canonical_id
from pychat.server.store.base import AlreadyExists
from pychat.server.store.mongodb.base import change, query
from pychat.server.store.mongodb.conversations import add_member, seq_of_last
from pychat.server.store.mongodb.documents import (
    Document,
    member_id,
    new_conversation,
    of_conversation,
)
from pychat.server.store.mongodb.files import MongoFiles
from pychat.server.store.mongodb.schema import ensure
from pychat.server.store.records import (
    ConversationKind,
    ConversationRecord,
    Membership,
    RoomRecord,
    RoomStanding,
    Standing,
)

DELETION = "deletion-"
DELETED_AT_ONCE = 5_000


def _room(document: Document) -> RoomRecord:
    return RoomRecord(
        document["id"],
        document["name"],
        document["owner"],
        document["conversation"],
        document.get("topic", ""),
        document.get("private", False),
    )


class MongoRooms(MongoFiles):
    """Implements the rooms of ``base.Store``."""

    @change
    async def create_room(
        self, id: str, name: str, owner: int, *, private: bool = False
    ) -> RoomRecord:
        canonical = canonical_id(id)
        if await self._database["rooms"].find_one({"_id": canonical}):
            raise AlreadyExists(id)
        key = await self._next("conversation")
        conversation = ConversationRecord(key, ConversationKind.ROOM, (), id)
        await self._database["conversations"].insert_one(new_conversation(conversation))
        room: Document = {"_id": canonical, "id": id, "name": name, "owner": owner}
        room |= {"conversation": key, "private": private}
        try:
            await self._database["rooms"].insert_one(room)
        except DuplicateKeyError:
            await self._database["conversations"].delete_one({"_id": key})
            raise AlreadyExists(id) from None
        # The membership comes last: if the server is killed before it, the owner can join the
        # room. A membership without a room would be an invalid entry of the owner's list.
        await add_member(self._database, key, ConversationKind.ROOM, owner, 0)
        return _room(room)

    @query
    async def room(self, id: str) -> RoomRecord | None:
        document = await self._database["rooms"].find_one({"_id": canonical_id(id)})
        return _room(document) if document else None

    @query
    async def rooms(self) -> list[RoomRecord]:
        documents = self._database["rooms"].find({"_id": {"$gt": ""}}).sort("_id", ASCENDING)
        return [_room(document) async for document in documents]

    @change
    async def update_room(
        self,
        conversation: int,
        *,
        name: str | None = None,
        topic: str | None = None,
        owner: int | None = None,
    ) -> None:
        given = {"name": name, "topic": topic, "owner": owner}
        changes = {field: value for field, value in given.items() if value is not None}
        await self._database["rooms"].update_one({"conversation": conversation}, {"$set": changes})

    @change
    async def delete_room(self, conversation: int) -> None:
        deletion = {"_id": f"{DELETION}{conversation}", "conversation": conversation}
        await ensure(self._database["meta"], [deletion])
        await self._database["rooms"].delete_many({"conversation": conversation})
        await self._finish(deletion)

    async def finish_deletions(self) -> None:
        """Finish deletions that a killed server has left. If the room still exists, its deletion
        had not begun: cancel it."""
        begun = {"_id": {"$gte": DELETION, "$lt": f"{DELETION}:"}}
        for deletion in await self._database["meta"].find(begun).to_list():
            if await self._database["rooms"].find_one({"conversation": deletion["conversation"]}):
                await self._database["meta"].delete_one({"_id": deletion["_id"]})
            else:
                await self._finish(deletion)

    async def _finish(self, deletion: Document) -> None:
        conversation = deletion["conversation"]
        await self._database["memberships"].delete_many({"conversation": conversation})
        await self._database["standings"].delete_many({"conversation": conversation})
        await self._database["conversations"].update_one(
            {"_id": conversation}, {"$set": {"deleted": True}}
        )
        await self._delete_files_of(conversation)
        last_seq = await seq_of_last(self._database, conversation)
        for after in range(0, last_seq, DELETED_AT_ONCE):
            # In parts, because a command that takes longer than store.ANSWERED_BY_MS fails.
            await self._database["messages"].delete_many(
                {"_id": of_conversation(conversation, after, after + DELETED_AT_ONCE + 1)}
            )
        await self._delete_changes(conversation)
        await self._database["meta"].delete_one({"_id": deletion["_id"]})

    async def _delete_changes(self, conversation: int) -> None:
        changes = self._database["changes"]
        while True:
            some = changes.find({"_id": of_conversation(conversation)}, {"_id": 1})
            rows = await some.limit(DELETED_AT_ONCE).to_list()
            if not rows:
                return
            await changes.delete_many({"_id": {"$in": [row["_id"] for row in rows]}})

    @change
    async def join_room(self, conversation: int, account: int) -> Membership:
        before = await seq_of_last(self._database, conversation)
        id = member_id(conversation, account)
        ended = {"_id": id, "standing": {"$ne": Standing.MODERATOR.value}}
        await self._database["standings"].delete_one(ended)
        return await add_member(
            self._database, conversation, ConversationKind.ROOM, account, before
        )

    @change
    async def leave_room(self, conversation: int, account: int, *, barred: bool = False) -> None:
        # If the server is killed between the two, ``finish_removals`` does the second.
        standing = Standing.BARRED if barred else None
        await self._set_standing(conversation, account, standing)
        await self._database["memberships"].delete_one({"_id": member_id(conversation, account)})

    async def finish_removals(self) -> None:
        """Finish removals of members that a killed server has left."""
        barred = {"standing": Standing.BARRED.value}
        found = self._database["standings"].find({"_id": {"$gt": ""}} | barred, {"_id": True})
        ids = [document["_id"] async for document in found]
        for start in range(0, len(ids), DELETED_AT_ONCE):
            some = {"_id": {"$in": ids[start : start + DELETED_AT_ONCE]}}
            await self._database["memberships"].delete_many(some)

    @change
    async def set_standing(
        self, conversation: int, account: int, standing: Standing | None
    ) -> None:
        await self._set_standing(conversation, account, standing)

    async def _set_standing(
        self, conversation: int, account: int, standing: Standing | None
    ) -> None:
        id = {"_id": member_id(conversation, account)}
        if standing is None:
            await self._database["standings"].delete_one(id)
        else:
            document = {"conversation": conversation, "account": account}
            document["standing"] = standing.value
            await self._database["standings"].update_one(id, {"$set": document}, upsert=True)

    @query
    async def standings(self) -> list[RoomStanding]:
        documents = self._database["standings"].find({"_id": {"$gt": ""}})
        return [
            RoomStanding(each["conversation"], each["account"], Standing(each["standing"]))
            async for each in documents
        ]

    @query
    async def members(self, conversation: int) -> list[int]:
        documents = self._database["memberships"].find({"conversation": conversation})
        return sorted([document["account"] async for document in documents])
