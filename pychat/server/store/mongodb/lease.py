"""The hold a server has on its database: a document that it renews, so that no other one serves it.

A server that was killed leaves its document behind: it is taken over as soon as its process is
seen to be gone, else when it has not been renewed for its time.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from time import monotonic
from uuid import uuid4

from pymongo.errors import DuplicateKeyError, PyMongoError

from pychat.server.store.base import StoreError, StoreUnavailable
from pychat.server.store.mongodb.schema import Database, Document

LEASE_SECONDS = 9.0
RENEW_SECONDS = 2.0
POLL_SECONDS = 0.5


class Lease:
    """Held from ``acquire`` to ``release``. Time is counted on this machine only: it is the
    changing of the document that is watched, not its clock."""

    def __init__(self, database: Database) -> None:
        self._meta = database["meta"]
        self._name = database.name
        self._holder = uuid4().hex
        self._renewals = 0
        self._renewed_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def acquire(self) -> None:
        """Raises StoreError if another server holds it."""
        mine: Document = {
            "holder": self._holder,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "renewals": 0,
        }
        first_seen: Document | None = None
        started = monotonic()
        while True:
            self._renewed_at = monotonic()
            try:
                await self._meta.insert_one({"_id": "lock", **mine})
                break
            except DuplicateKeyError:
                current = await self._meta.find_one({"_id": "lock"})
            if current is None:
                continue
            if first_seen is None:
                first_seen = current
            elif current != first_seen:
                raise StoreError(
                    f"the database {self._name} is in use by another pychat server (process"
                    f" {current['process']} on {current['host']}): stop it first"
                )
            if _is_gone(current) or monotonic() - started > LEASE_SECONDS:
                # Only if nobody else was quicker.
                taken = await self._meta.update_one(_exactly(current), {"$set": mine})
                if taken.matched_count:
                    break
            await asyncio.sleep(POLL_SECONDS)
        self._task = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            now = monotonic()
            try:
                renewed = await self._meta.update_one(
                    {"_id": "lock", "holder": self._holder}, {"$inc": {"renewals": 1}}
                )
            except PyMongoError:
                continue  # the database is away: nobody else can take it over either
            if not renewed.matched_count:
                self._renewed_at = float("-inf")
                return
            self._renewed_at = now

    def check(self) -> None:
        """Raises StoreUnavailable if another server may hold it by now."""
        if monotonic() - self._renewed_at > LEASE_SECONDS:
            raise StoreUnavailable(
                f"the database {self._name} was away, or another pychat server has taken it over"
            )

    async def release(self) -> None:
        if self._task:
            self._task.cancel()
        try:
            await self._meta.delete_one({"_id": "lock", "holder": self._holder})
        except PyMongoError:
            return  # it runs out by itself


def _exactly(lock: Document) -> Document:
    return {"_id": "lock", "holder": lock["holder"], "renewals": lock["renewals"]}


def _is_gone(lock: Document) -> bool:
    """Whether its process is known to have ended: it ran on this machine."""
    if lock["host"] != socket.gethostname() or sys.platform == "win32":
        return False
    try:
        os.kill(lock["process"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
