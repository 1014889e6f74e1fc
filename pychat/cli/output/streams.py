"""Standard streams that are closed or full, or whose reader has gone."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from typing import Any, Final

import click

_LONGEST_PAUSE: Final = 0.05
"""Seconds between two checks of a pipe that its reader has not emptied yet."""


class _StandardError(io.FileIO):
    """A text stream that ignores write errors, for standard error."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def secure() -> None:
    """Make the standard streams usable in any state.

    A closed stream becomes /dev/null, opened in the wrong direction. Reading or writing still
    fails, but no file or socket that is opened later gets its descriptor number.
    """
    for descriptor, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)))
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_StandardError(2, "w", closefd=False)),
        encoding=sys.stderr.encoding if sys.stderr else "utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


def reason(error: OSError) -> str:
    """Why a standard stream could not be read or written."""
    return "it is closed" if error.errno == errno.EBADF else error.strerror or str(error)


def check_output() -> None:
    """Check standard output before a command prints. Raises OSError if it is closed."""
    if sys.platform != "win32":
        import fcntl

        if fcntl.fcntl(1, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def flush_output() -> None:
    """Flush standard output. Raises OSError if that fails.

    The unwritten data is dropped then, so that the interpreter does not fail again at exit.
    """
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 1)
        raise


# --- the reader of a pipe ---


async def print_to_reader(line: str) -> None:
    """Print a line, and return when the reader of the pipe has taken it.

    If standard output is not a pipe, or the system does not tell, return when the line is written.
    Raises OSError with EPIPE if the reader has gone without reading it.
    """
    import asyncio

    click.echo(line)
    pause = 0.0
    while True:
        gone = _reader_is_gone()  # checked first: the reader may take the line and go
        if not _unread():
            return
        if gone:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE, 2 * pause + 0.0005)


async def reader_left() -> None:
    """Return when standard output is a pipe without a reader. Otherwise never return."""
    import asyncio

    left = asyncio.Event()
    if not _is_pipe():
        await left.wait()
    loop = asyncio.get_running_loop()
    loop.add_reader(1, left.set)
    try:
        await left.wait()
    finally:
        loop.remove_reader(1)


def _is_pipe() -> bool:
    return sys.platform != "win32" and stat.S_ISFIFO(os.fstat(1).st_mode)


def _unread() -> int:
    """Number of unread bytes in the pipe. (macOS always reports 0 to the writer.)"""
    if sys.platform == "win32" or not _is_pipe():
        return 0
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(1, termios.FIONREAD, bytes(4)), sys.byteorder)


def _reader_is_gone() -> bool:
    if sys.platform == "win32" or not _is_pipe():
        return False
    import select

    poll = select.poll()
    poll.register(1, 0)
    return bool(poll.poll(0))
