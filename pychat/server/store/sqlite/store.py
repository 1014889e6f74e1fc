"""The SQLite store: open and close the file, check it, and work in idle time."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from pathlib import Path

from pychat.server.store.base import Durability, StoreLost, StoreUnavailable
from pychat.server.store.sqlite.accounts import SQLiteAccounts
from pychat.server.store.sqlite.base import Readers
from pychat.server.store.sqlite.blobs import BlobFolder, known_files
from pychat.server.store.sqlite.conversations import SQLiteConversations
from pychat.server.store.sqlite.file.backup import check_leftovers
from pychat.server.store.sqlite.file.check import problems
from pychat.server.store.sqlite.file.connect import (
    connect_writer,
    leave_wal_mode,
    unavailable,
)
from pychat.server.store.sqlite.file.files import (
    DatabaseFiles,
    ServerLock,
    check_file,
    open_file,
)
from pychat.server.store.sqlite.file.writer import WriterThread
from pychat.server.store.sqlite.messages import SQLiteMessages
from pychat.server.store.sqlite.rooms import SQLiteRooms
from pychat.server.store.sqlite.schema import prepare, renew_epoch
from pychat.server.store.sqlite.search import SQLiteSearch, index_some, purge_some


class SQLiteStore(SQLiteAccounts, SQLiteConversations, SQLiteMessages, SQLiteRooms, SQLiteSearch):
    """Implements ``base.Store``.

    One thread writes, with group commit. Other threads read and never wait for it. ``exclusive``:
    lock the file as a server does, and index messages in idle time.
    """

    def __init__(
        self,
        path: Path,
        *,
        exclusive: bool = True,
        create: bool = True,
        durability: Durability = "full",
    ) -> None:
        super().__init__()
        self.location = str(path.absolute())
        self._path = path
        self._create = create
        self._durability = durability
        self._lock = ServerLock(path) if exclusive else None
        self._files = DatabaseFiles(path, locked=exclusive)
        self._blobs = BlobFolder(path)
        self._purged: list[str] = []
        """Files of deleted rooms whose contents are removed in the next idle time."""
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        self._connection = await asyncio.to_thread(self._open)
        self._readers = Readers(self._path, self._files)
        self._writer = WriterThread(
            self._connection,
            self._path,
            self._files,
            idle_work=self._idle_work if self._lock else lambda connection: False,
            rolled_back=self._forget,
        )

    def _open(self) -> sqlite3.Connection:
        check_file(self._path, create=self._create)
        if self._lock:
            self._lock.acquire()
        connection = None
        try:
            check_leftovers(self._path, exclusive=self._lock is not None)
            open_file(self._path)
            connection = connect_writer(self._path, self._durability, wal=self._lock is not None)
            prepare(connection, self._path, may_migrate=self._lock is not None)
            if self._lock is not None:
                self._blobs.remove_unknown(known_files(connection))
            self._files.note()
        except BaseException as error:
            if connection:
                connection.close()
            if self._lock:
                self._lock.release()
            if isinstance(error, sqlite3.Error):
                raise unavailable(error, self._path) from None
            if isinstance(error, OSError):
                raise StoreUnavailable(f"cannot open {self._path}: {error}") from None
            raise
        return connection

    def _idle_work(self, connection: sqlite3.Connection) -> bool:
        # Deleted in the transaction before.
        self._blobs.remove(self._purged)
        self._purged.clear()
        return (
            self._appender.client_ids.settle_some(connection)
            or index_some(connection)
            or purge_some(connection, self._purged)
        )

    def _forget(self) -> None:
        super()._forget()
        self._purged.clear()

    async def close(self) -> None:
        if self._connection is None:
            return
        await self._writer.close()
        await self._readers.close()
        await asyncio.to_thread(self._close)
        self._connection = None
        if self._lock:
            self._lock.release()

    def _close(self) -> None:
        assert self._connection is not None
        if self._lock and not self._writer.lost:
            # Keep the log if files were lost: the database may be put back, or be another file.
            with suppress(StoreLost):
                self._files.check()
                leave_wal_mode(self._connection)
        self._connection.close()

    async def epoch(self) -> str:
        def read(connection: sqlite3.Connection) -> str:
            (epoch,) = connection.execute(
                "SELECT value FROM property WHERE name = 'epoch'"
            ).fetchone()
            return str(epoch)

        return await self._read(read)

    async def renew_epoch(self) -> None:
        await self._write(renew_epoch)

    async def check(self) -> list[str]:
        return await self._read(problems) + await self.missing_blobs()

    async def check_ready(self) -> None:
        await self._writer.check_writable()
