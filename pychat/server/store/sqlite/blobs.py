"""Files in SQLite: their rows, and their content in a folder beside the database."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from pychat.server.ownfile import refuse_planted
from pychat.server.store.base import StoreError, StoreFull, StoreUnavailable
from pychat.server.store.records import Appended, FileRecord, MessageRecord
from pychat.server.store.sqlite.base import FILE, SQLitePart, has_files, stored_file
from pychat.server.store.sqlite.file.files import BLOBS, beside, flush_folder

PART: Final = ".part"
RESERVE: Final = 1024**3
"""Bytes that stay free on the disk: the database must be able to grow."""
READ_BYTES: Final = 256 * 1024


class BlobFolder:
    """The folder with the content of files, each under its id. It is made for the first one."""

    def __init__(self, database: Path) -> None:
        self.path = beside(database, BLOBS)

    def make(self) -> None:
        """Raises StoreUnavailable."""
        try:
            refuse_planted(self.path)
            with suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
                flush_folder(self.path.parent)
            if not stat.S_ISDIR(self.path.lstat().st_mode):
                raise NotADirectoryError(20, "not a folder", str(self.path))
        except OSError as error:
            raise _unavailable(error, self.path) from None

    def blob(self, id: str) -> Path:
        """The path of the content of a file."""
        return self.path / id

    def remove(self, ids: Iterable[str]) -> None:
        """Remove contents. What cannot be removed now is removed at the next start."""
        for id in ids:
            with suppress(OSError):
                self.blob(id).unlink()

    def remove_unknown(self, known: frozenset[str]) -> None:
        """Remove what a process that was killed has left. Raises StoreError."""
        try:
            for entry in list(os.scandir(self.path)):
                if entry.name not in known and entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"cannot read {self.path}: {error.strerror}") from None


def _unavailable(error: OSError, path: Path) -> StoreUnavailable:
    kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreUnavailable
    return kind(f"cannot use {path}: {error.strerror or error}")


class SQLiteBlob:
    """Implements ``files.Blob``: a file with a temporary name, until it is complete."""

    def __init__(self, store: SQLiteFiles, folder: BlobFolder, id: str) -> None:
        self._store = store
        self._folder = folder
        self._id = id
        self._part = folder.blob(id + PART)
        self._file: BinaryIO | None = None
        self._working: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Create the file. Raises StoreUnavailable."""
        await self._in_thread(self._open)

    async def write(self, data: bytes) -> None:
        def write() -> None:
            assert self._file is not None
            self._file.write(data)

        await self._in_thread(write)

    async def finish(self, file: FileRecord) -> None:
        await self._in_thread(self._place)
        try:
            await self._store.add_file(file)
        except BaseException:
            # If the row was written nevertheless, it expires: no client knows its id.
            self._folder.remove([self._id])
            raise

    def discard(self) -> None:
        if self._working is None or self._working.done():
            self._remove()
        else:
            # A thread that writes must not find the descriptor closed, or used for another file.
            self._working.add_done_callback(lambda _: self._remove())

    async def _in_thread(self, work: object) -> None:
        assert callable(work)
        self._working = asyncio.get_running_loop().run_in_executor(None, work)
        try:
            await asyncio.shield(self._working)
        except OSError as error:
            raise _unavailable(error, self._folder.path) from None

    def _open(self) -> None:
        self._folder.make()
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def _place(self) -> None:
        assert self._file is not None
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._part, self._folder.blob(self._id))
        flush_folder(self._folder.path)

    def _remove(self) -> None:
        if self._working is not None and not self._working.cancelled():
            self._working.exception()  # the caller has been told, or has gone
        if self._file is not None:
            self._file.close()
        with suppress(OSError):
            self._part.unlink()


def attach(connection: sqlite3.Connection, id: str, answer: Appended) -> None:
    """Attach a file to a message, in the transaction that stores the message."""
    connection.execute(
        "UPDATE file SET conversation = ?, seq = ? WHERE id = ?",
        (answer.conversation, answer.seq, id),
    )


def may_attach(connection: sqlite3.Connection, id: str, account: int) -> bool:
    """Return whether the account has a file with this id that is not attached."""
    row = connection.execute(
        "SELECT 1 FROM file WHERE id = ? AND account = ? AND conversation IS NULL", (id, account)
    ).fetchone()
    return row is not None


def delete_files(connection: sqlite3.Connection, messages: Iterable[MessageRecord]) -> list[str]:
    """Delete the rows of the files of these messages. Return their ids: the caller removes the
    contents after the transaction."""
    ids = [message.file.id for message in messages if message.file is not None]
    connection.executemany("DELETE FROM file WHERE id = ?", [(id,) for id in ids])
    return ids


def known_files(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the ids of all files."""
    return frozenset(id for (id,) in connection.execute("SELECT id FROM file"))


class SQLiteFiles(SQLitePart):
    """Implements ``files.FileStore``."""

    _blobs: BlobFolder

    async def file_key(self) -> bytes:
        def read_or_write(connection: sqlite3.Connection) -> bytes:
            connection.execute(
                "INSERT OR IGNORE INTO property VALUES ('file_key', ?)", (secrets.token_hex(32),)
            )
            (key,) = connection.execute(
                "SELECT value FROM property WHERE name = 'file_key'"
            ).fetchone()
            return bytes.fromhex(key)

        return await self._write(read_or_write)

    async def has_room(self, size: int) -> bool:
        try:
            usage = await asyncio.to_thread(shutil.disk_usage, self._blobs.path.parent)
        except OSError:
            return False
        return usage.free - size >= RESERVE

    async def new_blob(self, id: str) -> SQLiteBlob:
        blob = SQLiteBlob(self, self._blobs, id)
        try:
            await blob.open()
        except BaseException:
            blob.discard()
            raise
        return blob

    async def add_file(self, file: FileRecord) -> None:
        """Insert the row of a file whose content is on disk."""

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"INSERT INTO file ({FILE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                (
                    *(file.id, file.account, file.name, file.size, file.mime, file.created_at),
                    *(file.width, file.height, file.blurhash),
                ),
            )

        await self._write(insert)

    async def file(self, id: str) -> FileRecord | None:
        def read(connection: sqlite3.Connection) -> FileRecord | None:
            row = connection.execute(f"SELECT {FILE} FROM file WHERE id = ?", (id,)).fetchone()
            return None if row is None else stored_file(row)

        return await self._read(read)

    async def has_files(self) -> bool:
        return await self._read(has_files)

    async def file_bytes(self, account: int) -> int:
        def read(connection: sqlite3.Connection) -> int:
            (total,) = connection.execute(
                "SELECT coalesce(sum(size), 0) FROM file WHERE account = ?", (account,)
            ).fetchone()
            return int(total)

        return await self._read(read)

    async def expire_files(self, before: int) -> None:
        def expire(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute(
                "DELETE FROM file WHERE conversation IS NULL AND created_at < ? RETURNING id",
                (before,),
            ).fetchall()
            return [id for (id,) in rows]

        await self._remove_blobs(await self._write(expire))

    async def _remove_blobs(self, ids: list[str]) -> None:
        """Remove contents whose rows are deleted."""
        if ids:
            await asyncio.to_thread(self._blobs.remove, ids)

    async def read_blob(self, id: str, start: int, end: int) -> AsyncIterator[bytes]:
        path = self._blobs.blob(id)
        try:
            file = await asyncio.to_thread(open, path, "rb", 0)
        except OSError as error:
            raise _unavailable(error, path) from None
        try:
            place = start
            while place < end:
                part = await asyncio.to_thread(_part, file, place, min(READ_BYTES, end - place))
                if not part:
                    raise StoreUnavailable(f"{path} is too short: restore it from a backup")
                place += len(part)
                yield part
        except OSError as error:
            raise _unavailable(error, path) from None
        finally:
            file.close()

    async def missing_blobs(self) -> list[str]:
        """Return the inconsistencies between rows and contents, one line each."""

        def read(connection: sqlite3.Connection) -> list[str]:
            count = 0
            for id, size in connection.execute("SELECT id, size FROM file"):
                try:
                    count += self._blobs.blob(id).stat().st_size != size
                except OSError:
                    count += 1
            return [f"{count} files are missing in {self._blobs.path}"] if count else []

        return await self._read(read)


def _part(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)
