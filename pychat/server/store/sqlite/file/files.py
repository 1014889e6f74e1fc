"""The files of a SQLite database: their names, creation, the server's lock, and loss while open.

SQLite and the system continue to use files that were removed, moved or replaced. What is written
then is lost, because nothing can open those files again
(https://sqlite.org/howtocorrupt.html, section 4).
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from platformdirs import user_data_path

from pychat.server.ownfile import open_own, refuse_planted
from pychat.server.store.base import StoreError, StoreLost, StoreMissing

WAL, SHARED_MEMORY, JOURNAL, LOCK = "-wal", "-shm", "-journal", "-lock"
BLOBS = "-files"
"""The folder with the contents of uploaded files."""

_MAGIC = b"SQLite format 3\0"

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Far beyond the end, so that other processes can still read the process number.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def beside(path: Path, suffix: str) -> Path:
    """Return the path of a file that belongs to this database. Like SQLite, it resolves symbolic
    links to the database first."""
    real = path.resolve()
    return real.with_name(real.name + suffix)


def flush_folder(folder: Path) -> None:
    """Make new names survive a power failure, if the system supports it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_file(path: Path, *, create: bool) -> None:
    """Check that the database can be opened or created. Creates the default data folder if it is
    missing. Raises StoreError."""
    if not create and not path.exists():
        raise StoreMissing(f"there is no store {path.absolute()}")
    folder = path.parent
    if not folder.is_dir():
        if not path.is_relative_to(user_data_path("pychat", appauthor=False)):
            raise StoreError(f"no such folder: {folder.absolute()} (create it first)")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot create the folder {folder}: {error.strerror}") from None
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} is not a file")
    if path.exists():
        open_file(path)


def open_file(path: Path) -> None:
    """Check that the file is writable and a database. Creates a missing file that only its owner
    can read. Raises StoreError."""
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


class ServerLock:
    """The lock file of a server: at most one server uses a database."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = beside(database, LOCK)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Lock the database. Raises StoreError if another server has locked it, or the folder is
        not writable."""
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
            # Writing before truncating needs no new block, so it also works on a full disk.
            os.truncate(descriptor, os.write(descriptor, f"{os.getpid()}\n".encode()))
        except OSError as error:
            os.close(descriptor)
            raise StoreError(f"cannot write {self._path}: {error.strerror}") from None
        self._descriptor = descriptor

    def is_held(self) -> bool:
        """Return whether a server holds the lock. A server that starts at the same moment may be
        refused, because this takes the lock for a moment."""
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
        """Unlock the database. The file stays: if it were removed, two servers could each lock a
        different file of this name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class DatabaseFiles:
    """Detects that files of an open database were removed, moved or replaced.

    Call ``note`` when all files exist, then ``check`` at any time: it takes a few microseconds.
    ``locked``: this process is a server, so there are a lock file and a write-ahead log.
    """

    def __init__(self, path: Path, *, locked: bool) -> None:
        path = path.absolute()
        suffixes = (WAL, SHARED_MEMORY, LOCK) if locked else ()
        self._database = str(path)
        self._wal = str(beside(path, WAL))
        self._names = [self._database, *(str(beside(path, suffix)) for suffix in suffixes)]
        self._noted: dict[str, tuple[int, int]] = {}

    def note(self) -> None:
        """Remember the identity of the files. Raises OSError."""
        for name in self._names:
            status = os.stat(name)
            self._noted[name] = (status.st_dev, status.st_ino)

    def check(self) -> None:
        """Raise StoreLost if a file is missing or is another file than ``note`` saw."""
        written = {}
        for name, identity in self._noted.items():
            try:
                status = os.stat(name)
            except (FileNotFoundError, NotADirectoryError):
                raise StoreLost(
                    f"{name} was removed or moved while it was in use: put it back, or restore a"
                    " backup with 'pychat store restore', and start again"
                ) from None
            except OSError as error:
                raise StoreLost(f"{name} cannot be accessed any more: {error.strerror}") from None
            if (status.st_dev, status.st_ino) != identity:
                raise StoreLost(
                    f"{name} was replaced by another file while it was in use: start again to use"
                    " the new file"
                )
            written[name] = status.st_ctime_ns
        if self._wal in written and written[self._database] > written[self._wal]:
            # A checkpoint has written the database. Keep the log newer than the database: after a
            # crash, check_leftovers recognizes a copied database by being newer than the log.
            os.utime(self._wal)
