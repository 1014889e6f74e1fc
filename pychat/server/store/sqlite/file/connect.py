"""Connections to the database file, the lock on it, and SQLite's errors in plain words."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

from platformdirs import user_data_path

from pychat.server.ownfile import open_own, refuse_planted
from pychat.server.store.address import Durability
from pychat.server.store.base import StoreDamaged, StoreError, StoreMissing, StoreUnavailable
from pychat.server.store.sqlite.file.files import JOURNAL, LOCK, SHARED_MEMORY, WAL, beside

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Far behind the text, so that the holder's number can still be read.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class ServerLock:
    """Held from ``acquire`` to ``release``."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = beside(database, LOCK)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises StoreError: another server holds it, or the folder is not writable."""
        try:
            descriptor = open_own(self._path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise StoreError(f"cannot write {self._path}: {error.strerror}") from None
        try:
            _lock(descriptor)
        except OSError:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
            os.close(descriptor)
            who = f"another pychat server (process {holder})" if holder else "another pychat server"
            raise StoreError(f"{self._database} is in use by {who}: stop it first") from None
        try:
            # In this order it needs no new block of a disk that is full.
            os.truncate(descriptor, os.write(descriptor, f"{os.getpid()}\n".encode()))
        except OSError as error:
            os.close(descriptor)
            raise StoreError(f"cannot write {self._path}: {error.strerror}") from None
        self._descriptor = descriptor

    def is_held(self) -> bool:
        """Whether a server has it. One that starts in this very moment may be refused."""
        try:
            descriptor = os.open(self._path, os.O_RDWR)
        except OSError:
            return False
        try:
            _lock(descriptor)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def release(self) -> None:
        """The file stays: removing it would let two servers hold two files of one name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


_MAGIC = b"SQLite format 3\0"
BUSY_TIMEOUT_SECONDS = 10.0
WRITER_CACHE_KIB = 65_536
READER_CACHE_KIB = 16_384
CHECKPOINT_PAGES = 4_000
SHARED_MEMORY_BYTES = 32_768


def check_file(path: Path, *, create: bool) -> None:
    """Makes a missing folder of the default store. Raises StoreError if the file is no database,
    or is missing and cannot be, or is not to be, made."""
    if not create and not path.exists():
        raise StoreMissing(f"there is no store {path.absolute()}")
    folder = path.parent
    if not folder.is_dir():
        if not path.is_relative_to(user_data_path("pychat", appauthor=False)):
            raise StoreError(f"no such folder: {folder.absolute()} (make it first)")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the folder {folder}: {error.strerror}") from None
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} is not a file")
    if path.exists():
        open_file(path)


def open_file(path: Path) -> None:
    """Makes a missing file, for its owner's eyes only. Raises StoreError if it cannot be written
    or is no database."""
    try:
        for suffix in (WAL, SHARED_MEMORY, JOURNAL):
            refuse_planted(beside(path, suffix))
        with os.fdopen(open_own(path, os.O_RDWR | os.O_CREAT), "rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        where = Path(error.filename or path).absolute()
        raise StoreError(f"cannot write {where}: {error.strerror}") from None
    if start and start != _MAGIC:
        raise StoreError(f"{path} is not a SQLite database: choose another file")


def connect_writer(path: Path, durability: Durability, *, wal: bool) -> sqlite3.Connection:
    """Transactions are begun and ended by hand; the caller keeps it to one thread. ``wal``: sets
    the file to WAL mode, as a server does, until ``leave_wal_mode``; else it is used as it is."""
    connection = _connect(path)
    try:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {durability.upper()}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def leave_wal_mode(connection: sqlite3.Connection) -> None:
    """A file at rest is in no WAL mode, which tells it, and copies of it, from one that has a log
    (leftover.py). Does nothing while another process has it open."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA journal_mode = DELETE")


def connect_reader(path: Path) -> sqlite3.Connection:
    """In WAL mode it never waits for the writer."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw: a file that has gone is not made again.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file, not the moment, is to blame."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(error: sqlite3.Error) -> int:
    # The low byte of an extended code is the primary one (sqlite.org/rescode.html).
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def explain(error: sqlite3.Error, path: Path) -> str:
    """One line about what is wrong with the file, and what would help."""
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return f"the disk is full: {path} cannot grow"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return f"{path} is damaged ({error}): `pychat store check` says more"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{path} is locked by another process"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return f"cannot write {path}: {error}"
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN:
            # SQLite says no more where it cannot make the file that its processes share.
            if free_bytes(path) < SHARED_MEMORY_BYTES:
                return f"the disk is full: {path} cannot be opened"
            return f"cannot read or write {path}: {error}"
    if "no such module: fts5" in str(error):
        return "this Python's SQLite has no full-text search (FTS5): use another Python"
    return f"{path}: {error}"


def is_full(error: Exception) -> bool:
    """Whether the file could not grow."""
    return isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_FULL


def free_bytes(path: Path) -> int:
    """On the file's disk; as much as there can be if the system does not tell."""
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return sys.maxsize


def unavailable(error: sqlite3.Error, path: Path) -> StoreUnavailable:
    """The error that a method of the store raises for one of SQLite's."""
    if is_damage(error):
        return StoreDamaged(explain(error, path), path)
    return StoreUnavailable(explain(error, path))
