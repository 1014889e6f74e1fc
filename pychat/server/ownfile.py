"""Opening a file to write into it, where other users of the machine may have put another one."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def open_own(path: Path, flags: int) -> int:
    """The descriptor of ``os.open``; what it makes is for its owner only.

    Refuses what ``refuse_planted`` refuses, and does not wait for a pipe. Raises OSError.
    """
    refuse_planted(path)
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o600)
    try:
        # Once more: it may have been put there meanwhile.
        refuse_planted(path, os.fstat(descriptor).st_uid)
        if os.name == "posix":
            os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def refuse_planted(path: Path, owner: int | None = None) -> None:
    """Raises PermissionError for a file or link of another user in a folder that all may write to.

    Such as /tmp: they would choose where it is written, or read it. ``owner`` is the user whom an
    opened file belongs to.
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
        raise PermissionError(errno.EPERM, "another user has put it there", str(path))
