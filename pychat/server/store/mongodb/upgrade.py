"""Brings a MongoDB store of an older version up to date."""

from __future__ import annotations

import logging

from pymongo import UpdateOne

from pychat.server.store.lookalikes import lookalike_form
from pychat.server.store.mongodb.schema import VERSION, Database, update
from pychat.server.store.terms import terms

log = logging.getLogger(__name__)

BATCH = 500


async def upgrade(database: Database) -> None:
    """To be called by the server that holds the database. It begins again if it is interrupted."""
    schema = await database["meta"].find_one({"_id": "schema"})
    if schema is None or schema["version"] >= VERSION:
        return
    log.info("the database %s is brought up to date: its messages are indexed anew", database.name)
    await _upgrade_accounts(database)
    await _upgrade_messages(database)
    await database["meta"].update_one({"_id": "schema"}, {"$set": {"version": VERSION}})


async def _upgrade_accounts(database: Database) -> None:
    """Of accounts that look alike, which there may be from before, only one gets the form that
    they share."""
    accounts = database["accounts"]
    async for account in accounts.find({}, {"id": 1, "alias": 1, "lookalike": 1}):
        key, id = {"_id": account["_id"]}, account["id"]
        await accounts.update_one(
            key, {"$set": {"terms": sorted(terms(f"{id} {account['alias']}"))}}
        )
        form = lookalike_form(id)
        if form == account["lookalike"]:
            continue
        if await accounts.find_one({"lookalike": form}):
            log.warning("the id %r looks like another's, and was there before the rule", id)
        else:
            await accounts.update_one(key, {"$set": {"lookalike": form}})


async def _upgrade_messages(database: Database) -> None:
    """Search sees other characters than before; ASCII as before."""
    updates: list[UpdateOne] = []
    found = database["messages"].find({}, {"data": 1, "terms": 1})
    async for message in found:
        data = message["data"]
        if data.isascii():
            continue
        scope = [term for term in message["terms"] if term.startswith("_")]
        wanted = scope + sorted(terms(data))
        if wanted != message["terms"]:
            updates.append(UpdateOne({"_id": message["_id"]}, {"$set": {"terms": wanted}}))
        if len(updates) == BATCH:
            await update(database["messages"], updates)
            updates = []
    await update(database["messages"], updates)
