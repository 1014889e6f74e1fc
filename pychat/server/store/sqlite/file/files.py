"""The files of an open database, and whether they are still the ones that were opened.

SQLite works on with files that were removed, moved or replaced, and so does the system: what is
written then is in no file that anybody opens later (sqlite.org/howtocorrupt.html, section 4).
"""

from __future__ import annotations

import os
from pathlib import Path

from pychat.server.store.base import StoreLost

WAL, SHARED_MEMORY, JOURNAL, LOCK = "-wal", "-shm", "-journal", "-lock"


def beside(path: Path, suffix: str) -> Path:
    """The file that belongs to this database. SQLite, too, follows a link to the database first."""
    real = path.resolve()
    return real.with_name(real.name + suffix)


class DatabaseFiles:
    """``note`` the files once they are all there, then ``check``: it costs a few microseconds.

    ``locked``: this process is a server, which holds the lock file and has a write-ahead log.
    """

    def __init__(self, path: Path, *, locked: bool) -> None:
        path = path.absolute()
        suffixes = (WAL, SHARED_MEMORY, LOCK) if locked else ()
        self._database = str(path)
        self._wal = str(beside(path, WAL))
        self._names = [self._database, *(str(beside(path, suffix)) for suffix in suffixes)]
        self._noted: dict[str, tuple[int, int]] = {}

    def note(self) -> None:
        """Raises OSError."""
        for name in self._names:
            status = os.stat(name)
            self._noted[name] = (status.st_dev, status.st_ino)

    def check(self) -> None:
        """Raises StoreLost if a name leads to no file, or to another one."""
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
                raise StoreLost(f"{name} cannot be reached any more: {error.strerror}") from None
            if (status.st_dev, status.st_ino) != identity:
                raise StoreLost(
                    f"{name} was replaced by another file while it was in use: start again to use"
                    " what is there now"
                )
            written[name] = status.st_ctime_ns
        if self._wal in written and written[self._database] > written[self._wal]:
            # A checkpoint has written the database. The log stays the newer one of the two, so
            # that a database that was copied here after a crash is known by its time.
            os.utime(self._wal)
