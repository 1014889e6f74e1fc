"""The MongoDB store: connect, hold the lease, check."""

from __future__ import annotations

import asyncio
import logging
from uuid import uuid4

from bson import CodecOptions, Int64
from bson.codec_options import TypeDecoder, TypeRegistry
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.errors import AutoReconnect, PyMongoError
from pymongo.uri_parser import parse_uri

from pychat.server.store.base import StoreError, StoreUnavailable
from pychat.server.store.mongodb.accounts import MongoAccounts
from pychat.server.store.mongodb.base import change, explain, query
from pychat.server.store.mongodb.conversations import MongoConversations
from pychat.server.store.mongodb.documents import Document
from pychat.server.store.mongodb.lease import Lease
from pychat.server.store.mongodb.messages import MongoMessages
from pychat.server.store.mongodb.rooms import MongoRooms
from pychat.server.store.mongodb.schema import prepare, upgrade

log = logging.getLogger(__name__)

DEFAULT_DATABASE = "pychat"
ANSWER_WITHIN_MS = 3_000
"""A message may wait twice this time before it is refused. Clients retry after 10 s."""

ANSWERED_BY_MS = 10_000
"""A command fails if the database, being frozen, does not answer within this time."""

PROBE_SECONDS = 5.0
"""Time limit of a readiness check."""

CLOSE_SECONDS = 5.0
"""Time limit of ``close``, so that a server stops although the database does not answer."""

CONNECTIONS = 25
"""Half of FerretDB 1.24's connections to SQLite: an update takes two of them (schema.update)."""


class _PlainInt(TypeDecoder):
    """Decode 64-bit numbers as int. The JSON encoder does not accept the driver's own class."""

    bson_type = Int64

    def transform_bson(self, value: Int64) -> int:
        return int(value)


class MongoStore(MongoAccounts, MongoConversations, MongoMessages, MongoRooms):
    """Implements ``base.Store``.

    Writes are acknowledged by a majority of the servers and their journals. The driver reconnects
    by itself. ``exclusive``: hold the lease on the database as a server does.
    """

    def __init__(self, url: str, *, exclusive: bool = True, create: bool = True) -> None:
        super().__init__()
        self._url = url
        self._exclusive = exclusive
        self._create = create
        self._client: AsyncMongoClient[Document] | None = None
        self._lease: Lease | None = None
        self._counting = asyncio.Lock()
        self.location = url.rpartition("@")[2].removeprefix("mongodb://")

    async def open(self) -> None:
        try:
            parts = parse_uri(self._url)
            self._client = AsyncMongoClient(
                self._url,
                serverSelectionTimeoutMS=ANSWER_WITHIN_MS,
                connectTimeoutMS=ANSWER_WITHIN_MS,
                socketTimeoutMS=ANSWERED_BY_MS if self._exclusive else None,
                maxPoolSize=CONNECTIONS,
                appname="pychat",
            )
            self._database = self._client.get_database(
                parts["database"] or DEFAULT_DATABASE,
                codec_options=CodecOptions(type_registry=TypeRegistry([_PlainInt()])),
                write_concern=WriteConcern("majority", j=True),
            )
            hosts = ",".join(f"{host}:{port}" for host, port in parts["nodelist"])
            self.location = f"mongodb://{hosts}/{self._database.name}"
            await prepare(self._database, create=self._create)
            if self._exclusive:
                lease = Lease(self._database)
                await lease.acquire()
                self._lease = lease
                await upgrade(self._database)
                await self.finish_deletions()
                await self.finish_removals()
                await self.finish_changes()
                await self.finish_files()
        except BaseException as error:
            await self.close()
            if isinstance(error, PyMongoError | ValueError):
                raise StoreError(explain(error, self.location)) from None
            raise

    async def close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.finish_discarding()
                if self._lease:
                    await self._lease.release()
                if self._client:
                    await self._client.close()
        except TimeoutError:
            # The lease expires by itself, and the connections close with the process.
            log.warning("database did not answer while closing: %s", self.location)
        self._lease = None
        self._client = None
        self._forget()

    async def index(self) -> None: ...

    @query
    async def epoch(self) -> str:
        epoch = await self._database["meta"].find_one({"_id": "epoch"})
        assert epoch is not None  # schema.prepare has created it
        return str(epoch["value"])

    @change
    async def renew_epoch(self) -> None:
        await self._database["meta"].update_one({"_id": "epoch"}, {"$set": {"value": uuid4().hex}})

    @query
    async def check(self) -> list[str]:
        found = []
        async for document in self._database["conversations"].find({"_id": {"$gt": 0}}):
            last_seq = await self.last_seq(document["_id"])
            if last_seq > document["last_seq"]:
                found.append(f"conversation {document['_id']} has messages beyond its last_seq")
        unfinished = await self._database["changes"].count_documents({"set": {"$exists": True}})
        if unfinished:
            found.append(f"{unfinished} changes are unfinished")
        incomplete = await self._incomplete_files()
        if incomplete:
            found.append(f"{incomplete} files are not complete")
        return found

    @query
    async def check_ready(self) -> None:
        lease = self._lease
        if lease is None:
            await self._database.command("ping")
        elif not lease.is_writable:
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._probe(lease)
            except TimeoutError:
                # A busy database may store messages and still delay the probe.
                if not lease.is_writable:
                    raise StoreUnavailable(
                        f"nothing could be written to {self.location} for {PROBE_SECONDS:g} seconds"
                    ) from None

    async def _probe(self, lease: Lease) -> None:
        try:
            await lease.renew()
        except AutoReconnect:
            # The connection was from before the database went away. The next one is new.
            await lease.renew()
