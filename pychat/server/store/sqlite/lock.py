"""The hold a server has on its database file, so that no second server opens it.

A lock of the operating system on a file beside the database: gone with the process, however it
ends, and in nobody's way who only reads or writes a row (``pychat user``).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pychat.server.ownfile import open_own
from pychat.server.store.base import StoreError
from pychat.server.store.sqlite.files import LOCK, beside

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
