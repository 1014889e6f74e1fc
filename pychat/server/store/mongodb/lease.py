"""The hold a server has on its database: a document that it renews, so that no other one serves it.

A server that was killed leaves its document behind: it is taken over as soon as its process is
seen to be gone, else when it has not been renewed for its time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from contextlib import suppress
from time import monotonic
from uuid import uuid4

from pymongo.errors import DuplicateKeyError, PyMongoError

from pychat.server.store.base import StoreError, StoreLost, StoreUnavailable
from pychat.server.store.mongodb.schema import Database, Document

log = logging.getLogger(__name__)

LEASE_SECONDS = 9.0
RENEW_SECONDS = 2.0
POLL_SECONDS = 0.5
FRESH_SECONDS = 1.0


class Lease:
    """Held from ``acquire`` to ``release``. Time is counted on this machine only: it is the
    changing of the document that is watched, not its clock."""

    def __init__(self, database: Database) -> None:
        self._meta = database["meta"]
        self._name = database.name
        self._holder = uuid4().hex
        self._renewed_at = 0.0
        self._doubted = False
        self._lost = ""
        """Why it is not held any more, and never will be."""
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
        self._task = asyncio.create_task(self._keep_renewing())
        self._task.add_done_callback(self._ended)

    async def _keep_renewing(self) -> None:
        while not self._lost:
            await asyncio.sleep(RENEW_SECONDS)
            # While the database is away, no other server can take it over either.
            with suppress(PyMongoError, StoreLost):
                await self.renew()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            log.error("the hold on the database is not renewed any more", exc_info=error)
            self._lost = f"the hold on the database {self._name} is not renewed any more: {error!r}"

    async def renew(self) -> None:
        """A write, as every change is one: it succeeds only while messages can be stored. Raises
        PyMongoError, StoreLost."""
        now = monotonic()
        renewed = await self._meta.update_one(
            {"_id": "lock", "holder": self._holder}, {"$inc": {"renewals": 1}}
        )
        if not renewed.matched_count:
            self._lost = (
                f"another pychat server has taken the database {self._name} over: stop that one,"
                " or this one"
            )
            raise StoreLost(self._lost)
        self._renewed_at = now
        self._doubted = False

    def doubt(self) -> None:
        """A command has failed."""
        self._doubted = True

    @property
    def is_fresh(self) -> bool:
        """Whether it was renewed within the last second, and no command has failed since."""
        return not self._doubted and monotonic() - self._renewed_at < FRESH_SECONDS

    def check_not_lost(self) -> None:
        """Raises StoreLost if another server has taken it over."""
        if self._lost:
            raise StoreLost(self._lost)

    def check(self) -> None:
        """The same, and raises StoreUnavailable if another server may hold it by now."""
        self.check_not_lost()
        if monotonic() - self._renewed_at > LEASE_SECONDS:
            raise StoreUnavailable(f"the database {self._name} has not answered for a while")

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
