"""The collections of the MongoDB store, their indexes, and upgrades from older versions.

meta           "schema": application, version. "lock": see lease.py. A counter's name: value.
               "deletion-KEY": a room that is being deleted. "file-ID": a file that is being
               stored or deleted. "claim": a file that is being attached. "changing":
               conversations whose changes may be unfinished. "file_key", "epoch": value
accounts       by key: as records.Account, canonical, lookalike, terms. status and status_text may
               be missing
sessions       by token hash: as records.LoginToken
hooks          by token hash: as records.HookRecord. Older versions ignore them
blocks         by "account-other": account, other, alias and since as in records.Block
conversations  by key: kind, accounts, room_id, deleted; last_seq and last_number, which are never
               lower than those of a message, but may be higher if a write failed; likewise
               last_rev, which is missing without changes
pairs          by "low-high" (account keys): conversation
rooms          by canonical id: as records.RoomRecord
memberships    by "conversation-account": as records.Membership, kind. notify may be missing
standings      by "conversation-account": as records.RoomStanding
messages       by conversation << 32 | seq: as records.MessageRecord, number, unique, terms;
               reply_to, rev, edited_at, reactions, mentions and file (as records.FileRecord) are
               missing if there are none
files          by id: as records.FileRecord; conversation and seq are missing until it is attached,
               then "waiting", the time of the upload, is
parts          by "file-number": data, the content of files
changes        by conversation << 32 | rev: seq; set, the new values, until the message has them.
               Rows of a message before its newest one may be missing
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import uuid4

from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from pychat.server.store.base import StoreError, StoreMissing
from pychat.server.store.lookalikes import lookalike_form
from pychat.server.store.mongodb.documents import Document, new_conversation
from pychat.server.store.records import EVERYONE
from pychat.server.store.terms import terms

log = logging.getLogger(__name__)

VERSION = 4
"""2: search terms and look-alike forms cover more characters. 3: changes of messages. 4: private
rooms, which older servers would show to everybody."""
CHANGING = "changing"
DUPLICATE_KEY = 11000
UPDATES_AT_ONCE = 20
UPGRADED_AT_ONCE = 500
COUNTERS = {"account": 0, "account_changes": 0, "conversation": EVERYONE.key, "number": 0}

Collection = AsyncCollection[Document]
Database = AsyncDatabase[Document]

INDEXES: dict[str, list[IndexModel]] = {
    "accounts": [
        IndexModel([("canonical", ASCENDING)], name="canonical", unique=True),
        IndexModel([("lookalike", ASCENDING)], name="lookalike", unique=True),
        IndexModel([("terms", ASCENDING)], name="terms"),
    ],
    "sessions": [IndexModel([("account", ASCENDING)], name="account")],
    "hooks": [IndexModel([("id", ASCENDING)], name="id", unique=True)],
    "blocks": [
        IndexModel([("account", ASCENDING)], name="account"),
        IndexModel([("other", ASCENDING)], name="other"),
    ],
    "rooms": [IndexModel([("conversation", ASCENDING)], name="conversation")],
    "memberships": [
        IndexModel([("account", ASCENDING), ("conversation", ASCENDING)], name="account"),
        IndexModel([("conversation", ASCENDING), ("account", ASCENDING)], name="conversation"),
    ],
    "standings": [IndexModel([("conversation", ASCENDING)], name="conversation")],
    "files": [
        IndexModel([("account", ASCENDING)], name="account"),
        IndexModel([("conversation", ASCENDING)], name="conversation"),
        IndexModel([("waiting", ASCENDING)], name="waiting"),
    ],
    "messages": [
        # See documents.unique_key. A message without a client id has a value of its own.
        IndexModel([("unique", ASCENDING)], name="unique", unique=True),
        IndexModel([("terms", ASCENDING), ("number", DESCENDING)], name="terms"),
    ],
}
"""The indexes besides those on ``_id``. Every query of the store uses an index."""


async def prepare(database: Database, *, create: bool) -> None:
    """Create missing documents and indexes. Raises StoreError if the database is missing and
    ``create`` is false, belongs to another application, or has a newer schema."""
    meta = database["meta"]
    schema = await meta.find_one({"_id": "schema"})
    if schema is None and not create:
        raise StoreMissing(f"there is no pychat store in the database {database.name}")
    if schema is None:
        if await database.list_collection_names():
            raise StoreError(
                f"the database {database.name} is not a pychat store: choose another database"
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
    await ensure(database["conversations"], [new_conversation(EVERYONE)])
    values = {**COUNTERS, "epoch": uuid4().hex}
    await ensure(meta, [{"_id": name, "value": value} for name, value in values.items()])


async def ensure(collection: Collection, documents: Sequence[Document]) -> None:
    """Insert the documents whose ``_id`` does not exist."""
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        failures = error.details["writeErrors"] + error.details["writeConcernErrors"]
        if any(failure["code"] != DUPLICATE_KEY for failure in failures):
            raise


async def update(collection: Collection, updates: Sequence[UpdateOne]) -> None:
    """Apply updates in any order, a few per command. FerretDB 1.24 takes one of its 50 connections
    to SQLite for each update of a command, and blocks for ever if it has no more."""
    for start in range(0, len(updates), UPDATES_AT_ONCE):
        await collection.bulk_write(updates[start : start + UPDATES_AT_ONCE], ordered=False)


async def upgrade(database: Database) -> None:
    """Upgrade the documents of an older version. Only the server that holds the lease may call it.
    After an interruption, the next call starts again."""
    schema = await database["meta"].find_one({"_id": "schema"})
    if schema is None or schema["version"] >= VERSION:
        return
    if schema["version"] < 2:
        log.info(
            "upgrading the database and indexing its messages: database=%s from=%d to=%d",
            database.name,
            schema["version"],
            VERSION,
        )
        await _upgrade_accounts(database["accounts"])
        await _upgrade_messages(database["messages"])
    await database["meta"].update_one({"_id": "schema"}, {"$set": {"version": VERSION}})


async def _upgrade_accounts(accounts: Collection) -> None:
    """Update terms and look-alike forms. Of existing accounts that look alike, only one gets the
    form that they share."""
    async for account in accounts.find({}, {"id": 1, "alias": 1, "lookalike": 1}):
        key, id = {"_id": account["_id"]}, account["id"]
        await accounts.update_one(
            key, {"$set": {"terms": sorted(terms(f"{id} {account['alias']}"))}}
        )
        form = lookalike_form(id)
        if form == account["lookalike"]:
            continue
        if await accounts.find_one({"lookalike": form}):
            log.warning("an older account looks like another one: id=%r", id)
        else:
            await accounts.update_one(key, {"$set": {"lookalike": form}})


async def _upgrade_messages(messages: Collection) -> None:
    """Update the terms. Those of ASCII texts have not changed."""
    updates: list[UpdateOne] = []
    async for message in messages.find({}, {"data": 1, "terms": 1}):
        data = message["data"]
        if data.isascii():
            continue
        scope = [term for term in message["terms"] if term.startswith("_")]
        wanted = scope + sorted(terms(data))
        if wanted != message["terms"]:
            updates.append(UpdateOne({"_id": message["_id"]}, {"$set": {"terms": wanted}}))
        if len(updates) == UPGRADED_AT_ONCE:
            await update(messages, updates)
            updates = []
    await update(messages, updates)
