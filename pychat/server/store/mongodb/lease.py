"""The lease of a server on its database: a document that it renews, so that only one serves it.

A killed server leaves the document behind. The next server takes it over as soon as that process
is known to have ended on this machine, or when the document has not changed for LEASE_SECONDS.
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
from pychat.server.store.mongodb.documents import Document
from pychat.server.store.mongodb.schema import Database

log = logging.getLogger(__name__)

LEASE_SECONDS = 9.0
RENEW_SECONDS = 2.0
POLL_SECONDS = 0.5
FRESH_SECONDS = 1.0
"""A write within this time proves that the database can be written."""


class Lease:
    """The lease, held from ``acquire`` to ``release``.

    It uses the clock of this machine only: another server watches whether the document changes,
    not the time in it. The lease also knows whether the last write to the database succeeded.
    """

    def __init__(self, database: Database) -> None:
        self._meta = database["meta"]
        self._name = database.name
        self._holder = uuid4().hex
        self._renewed_at = float("-inf")
        self._written_at = float("-inf")
        """When the last successful write was started."""
        self._failed_at = float("-inf")
        self._lost = ""
        """Why the lease is lost for good; empty while it is not."""
        self._task: asyncio.Task[None] | None = None

    async def acquire(self) -> None:
        """Take the lease and keep renewing it. Raises StoreError if another server holds it."""
        mine: Document = {
            "holder": self._holder,
            "host": socket.gethostname(),
            "namespace": _process_namespace(),
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
                # Only if no other server has taken or renewed it meanwhile.
                taken = await self._meta.update_one(_exactly(current), {"$set": mine})
                if taken.matched_count:
                    break
            await asyncio.sleep(POLL_SECONDS)
        self._task = asyncio.create_task(self._keep_renewing())
        self._task.add_done_callback(self._ended)

    async def _keep_renewing(self) -> None:
        while not self._lost:
            await asyncio.sleep(RENEW_SECONDS)
            # While the database is away, no other server can take it over.
            with suppress(PyMongoError, StoreLost):
                await self.renew()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            log.error("the lease is not renewed any more: database=%s", self._name, exc_info=error)
            self._lost = (
                f"the lease on the database {self._name} is not renewed any more: {error!r}"
            )

    async def renew(self) -> None:
        """Renew the lease. This is a write like all others, so it succeeds only while messages can
        be stored. Raises PyMongoError, or StoreLost if another server has the lease."""
        started = monotonic()
        renewed = await self._meta.update_one(
            {"_id": "lock", "holder": self._holder}, {"$inc": {"renewals": 1}}
        )
        if not renewed.matched_count:
            self._lost = (
                f"another pychat server has taken over the database {self._name}: stop one of them"
            )
            raise StoreLost(self._lost)
        self._renewed_at = started
        self.note_written(started)

    def note_written(self, started: float) -> None:
        """Note that a write that was started at this time (``monotonic``) has succeeded."""
        self._written_at = max(self._written_at, started)

    def note_failed(self) -> None:
        """Note that a command has failed."""
        self._failed_at = monotonic()

    @property
    def is_writable(self) -> bool:
        """Whether a write of the last second has succeeded and no command has failed since."""
        return self._written_at > max(self._failed_at, monotonic() - FRESH_SECONDS)

    def check_not_lost(self) -> None:
        """Raise StoreLost if another server has taken over the lease."""
        if self._lost:
            raise StoreLost(self._lost)

    def check(self) -> None:
        """Check that no other server can have the lease. Raises StoreLost if one has it, and
        StoreUnavailable if one may have it."""
        self.check_not_lost()
        if monotonic() - self._renewed_at > LEASE_SECONDS:
            raise StoreUnavailable(
                f"the database {self._name} has not answered for {LEASE_SECONDS:g} seconds"
            )

    async def release(self) -> None:
        """Stop renewing and delete the document. If that fails, the lease expires."""
        if self._task:
            self._task.cancel()
        with suppress(PyMongoError):
            await self._meta.delete_one({"_id": "lock", "holder": self._holder})


def _exactly(lock: Document) -> Document:
    return {"_id": "lock", "holder": lock["holder"], "renewals": lock["renewals"]}


def _process_namespace() -> str:
    """Return what distinguishes containers that share a host name; empty if the system has none.
    Process numbers are only comparable within a namespace (pid_namespaces(7))."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _is_gone(lock: Document) -> bool:
    """Return whether the holder was a process of this machine that has ended."""
    if sys.platform == "win32":
        return False
    here = socket.gethostname(), _process_namespace()
    if (lock["host"], lock.get("namespace")) != here:
        return False
    try:
        os.kill(lock["process"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
