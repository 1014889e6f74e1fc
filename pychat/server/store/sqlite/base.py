"""What the parts of the SQLite store share: a way to read and a way to write."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pychat.server.store.base import StoreLost, StoreUnavailable
from pychat.server.store.sqlite.file.connect import connect_reader, unavailable
from pychat.server.store.sqlite.file.files import DatabaseFiles
from pychat.server.store.sqlite.writer import WriterThread

T = TypeVar("T")

READERS = 2


class Readers:
    """Threads that read, each with its own connection; they never wait for the writer.

    A new connection opens what is at the path now: ``files`` tell whether that is the same.
    """

    def __init__(self, path: Path, files: DatabaseFiles) -> None:
        self._path = path
        self._files = files
        self._free: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="pychat-store-reader")

    def run(self, read: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, self._run, read)

    def _run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._free.pop()
        except IndexError:
            connection = self._connect()
        try:
            # One transaction: several statements see one state.
            connection.execute("BEGIN")
            try:
                return read(connection)
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from None
        finally:
            if connection.in_transaction:
                # It could begin no other one.
                connection.close()
            else:
                self._free.append(connection)

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = connect_reader(self._path)
        except sqlite3.Error as error:
            raise self._failed(error) from None
        try:
            # With the first statement SQLite opens the other files, too.
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            self._files.check()
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise self._failed(error) from None
            raise
        return connection

    def _failed(self, error: sqlite3.Error) -> StoreUnavailable:
        """Raises StoreLost instead if that is the reason."""
        self._files.check()
        return unavailable(error, self._path)

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown)
        for connection in self._free:
            connection.close()
        self._free.clear()


class SQLitePart:
    """``_read`` and ``_write`` run a function with a connection off the event loop."""

    _files: DatabaseFiles
    _readers: Readers
    _writer: WriterThread

    def _read(self, read: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        if self._writer.lost:
            raise StoreLost(self._writer.lost)
        return self._readers.run(read)

    def _write(
        self, write: Callable[[sqlite3.Connection], T], amount: int = 1
    ) -> asyncio.Future[T]:
        return self._writer.submit(write, amount)
