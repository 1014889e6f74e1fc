"""Standard input, output and error: closed, full, or with no process at the other end."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from typing import Any, Final

import click

_LONGEST_PAUSE: Final = 0.05
"""Seconds between two looks at a pipe that its reader has not emptied yet."""


class _StandardError(io.FileIO):
    """A line that standard error does not take changes nothing in what the command does."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def secure() -> None:
    """Make the standard streams usable in whatever state the process got them.

    A closed one gets /dev/null in the wrong direction: reading or writing fails as before, but no
    file or socket that the program opens later takes its number, to be used as if it were it.
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
    """For a command that only prints, before it begins. Raises OSError if standard output is
    closed."""
    if sys.platform != "win32":
        import fcntl

        if fcntl.fcntl(1, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def flush_output() -> None:
    """Raises OSError if standard output does not take what is still to be written, which is
    dropped then: else it would fail once more while the interpreter ends."""
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 1)
        raise


# --- the reader of a pipe ---


async def print_to_reader(line: str) -> None:
    """Print a line, and return once the reader of the pipe has taken it.

    Where standard output is no pipe, and on systems that do not tell, once it is written. Raises
    OSError: EPIPE if the reader went without it.
    """
    import asyncio

    click.echo(line)
    pause = 0.0
    while True:
        gone = _reader_is_gone()  # asked first: it may take the line and go
        if not _unread():
            return
        if gone:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE, 2 * pause + 0.0005)


async def reader_left() -> None:
    """Return once nobody reads the pipe that standard output is; never if it is none."""
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
    """Bytes in the pipe. (Linux tells it to the writer; macOS says 0.)"""
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
