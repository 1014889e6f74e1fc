"""The collections of the MongoDB store, their indexes, and how a database comes to have them.

meta           "schema", "lock" or a counter's name: version; holder; value.
               "deletion-conversation", while that room is being deleted: conversation
accounts       by key: as records.Account, canonical, lookalike, terms
sessions       by the hash of the token: as records.LoginSession
blocks         by "account-other": account, other, alias and since as in records.Block
conversations  by key: kind, accounts, room_id, deleted; last_seq and last_number, which no
               message is beyond, though the last may not have been written
pairs          by "account-account": conversation
rooms          by canonical id: as records.Room
memberships    by "conversation-account": as records.Membership, kind
messages       by conversation << 32 | seq: as records.StoredMessage, number, unique, terms
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from pychat.server.store.base import StoreError, StoreMissing
from pychat.server.store.records import ConversationKind

VERSION = 2
"""2: terms and look-alike forms of more characters (upgrade.py)."""
EVERYONE_KEY = 1
MAX_SEQ = 2**32 - 1
DUPLICATE_KEY = 11000
DELETION = "deletion-"
UPDATES_AT_ONCE = 20
COUNTERS = {"account": 0, "account_changes": 0, "conversation": EVERYONE_KEY, "number": 0}

Document = dict[str, Any]
Database = AsyncDatabase[Document]

INDEXES: dict[str, list[IndexModel]] = {
    "accounts": [
        IndexModel([("canonical", ASCENDING)], name="canonical", unique=True),
        IndexModel([("lookalike", ASCENDING)], name="lookalike", unique=True),
        IndexModel([("terms", ASCENDING)], name="terms"),
    ],
    "sessions": [IndexModel([("account", ASCENDING)], name="account")],
    "blocks": [
        IndexModel([("account", ASCENDING)], name="account"),
        IndexModel([("other", ASCENDING)], name="other"),
    ],
    "rooms": [IndexModel([("conversation", ASCENDING)], name="conversation")],
    "memberships": [
        IndexModel([("account", ASCENDING), ("conversation", ASCENDING)], name="account"),
        IndexModel([("conversation", ASCENDING), ("account", ASCENDING)], name="conversation"),
    ],
    "messages": [
        # The sender and its client id; for a message without one, something nobody else has.
        IndexModel([("unique", ASCENDING)], name="unique", unique=True),
        IndexModel([("terms", ASCENDING), ("number", DESCENDING)], name="terms"),
    ],
}
"""Beside those by _id. Every query of the store is by one of them."""


async def prepare(database: Database, *, create: bool) -> None:
    """Makes what is missing. Raises StoreError for a database that is not ours or is newer."""
    meta = database["meta"]
    schema = await meta.find_one({"_id": "schema"})
    if schema is None and not create:
        raise StoreMissing(f"there is no pychat store in the database {database.name}")
    if schema is None:
        if await database.list_collection_names():
            raise StoreError(
                f"the database {database.name} is not one of pychat's: name another in the address"
            )
        try:
            await meta.insert_one({"_id": "schema", "application": "pychat", "version": VERSION})
        except DuplicateKeyError:
            schema = await meta.find_one({"_id": "schema"})
    version = schema["version"] if schema else VERSION
    if version > VERSION:
        raise StoreError(
            f"the database {database.name} was made by a newer pychat (schema {version}, this one"
            f" knows {VERSION}): upgrade pychat"
        )
    for collection, indexes in INDEXES.items():
        existing = await database[collection].index_information()
        missing = [index for index in indexes if index.document["name"] not in existing]
        if missing:
            await database[collection].create_indexes(missing)
    await ensure(
        database["conversations"], [new_conversation(EVERYONE_KEY, ConversationKind.EVERYONE)]
    )
    await ensure(meta, [{"_id": name, "value": value} for name, value in COUNTERS.items()])


async def ensure(collection: AsyncCollection[Document], documents: Sequence[Document]) -> None:
    """Inserts those of whose ``_id`` there is none."""
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        failures = error.details["writeErrors"] + error.details["writeConcernErrors"]
        if any(failure["code"] != DUPLICATE_KEY for failure in failures):
            raise


async def update(collection: AsyncCollection[Document], updates: Sequence[UpdateOne]) -> None:
    """In any order, a few a request: FerretDB 1.24 takes one of its 50 connections to SQLite for
    each update of a command, and stands still for good once it has no more."""
    for start in range(0, len(updates), UPDATES_AT_ONCE):
        await collection.bulk_write(updates[start : start + UPDATES_AT_ONCE], ordered=False)


def new_conversation(
    key: int, kind: ConversationKind, accounts: tuple[int, ...] = (), room_id: str = ""
) -> Document:
    """A document of ``conversations`` without a message yet."""
    return {
        "_id": key,
        "kind": int(kind),
        "accounts": list(accounts),
        "room_id": room_id,
        "deleted": False,
        "last_seq": 0,
        "last_number": 0,
    }


def new_member(conversation: int, kind: ConversationKind, account: int, before: int) -> Document:
    """A document of ``memberships``: it reads from the message after ``before`` on."""
    return {
        "_id": member_id(conversation, account),
        "conversation": conversation,
        "account": account,
        "kind": int(kind),
        "first_seq": before + 1,
        "delivered_seq": before,
        "read_seq": before,
    }


def member_id(conversation: int, account: int) -> str:
    """``_id`` of a membership."""
    return f"{conversation}-{account}"


def pair_id(low: int, high: int) -> str:
    """``_id`` in ``pairs``, the smaller key first."""
    return f"{low}-{high}"


def message_id(conversation: int, seq: int) -> int:
    """``_id`` of a message: a conversation's messages are one range of them, in order."""
    return conversation << 32 | min(seq, MAX_SEQ)


def of_conversation(conversation: int, after: int = 0, before: int | None = None) -> Document:
    """The condition on ``_id`` for its messages between two seqs, both left out."""
    end = message_id(conversation + 1, 0) if before is None else message_id(conversation, before)
    return {"$gt": message_id(conversation, after), "$lt": end}
