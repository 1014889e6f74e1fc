"""Open a file for writing in a folder that other users of the machine may write to."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def open_own(path: Path, flags: int) -> int:
    """Open like ``os.open`` and return the descriptor. A new file has mode 0600.

    Does not block on a named pipe. Raises PermissionError as ``refuse_planted`` does, and OSError.
    """
    refuse_planted(path)
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o600)
    try:
        # Again, because it may have been replaced before it was opened.
        refuse_planted(path, os.fstat(descriptor).st_uid)
        if os.name == "posix":
            os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def refuse_planted(path: Path, owner: int | None = None) -> None:
    """Raise PermissionError for a file or link of another user in a world-writable folder.

    In a folder such as /tmp, that user could choose the file that is written to, or read it.
    ``owner``: the user id of the opened file, None before it is opened.
    """
    if os.name != "posix":
        return
    try:
        found, folder = os.lstat(path), os.stat(path.parent)
    except FileNotFoundError:
        return
    trusted = {os.geteuid(), 0, folder.st_uid}
    owners = {found.st_uid} if owner is None else {found.st_uid, owner}
    if folder.st_mode & stat.S_IWOTH and not owners <= trusted:
        raise PermissionError(errno.EPERM, "the file belongs to another user", str(path))
