"""The files of a foreign export, from a folder, a zip file or alone, read within limits."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import IO, Final, TypeVar

import msgspec

from pychat.server.store.base import StoreError

T = TypeVar("T")

MAX_DOCUMENT: Final = 64 << 20
"""Limit for a file that is read in one piece, in bytes."""
MAX_LINE: Final = 1 << 20
"""Limit for a line, in bytes."""
MAX_INFLATION: Final = 200
"""Limit for the size of a zip file's content, as a multiple of the size of the zip file. The JSON
of chats is compressed to a tenth or a twentieth; a zip bomb to less than a thousandth."""
SMALL: Final = 16 << 20
"""Content of this size is never a zip bomb."""

# An escape in JSON. Half a surrogate pair, which a cut text may end with, is in the group.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL
)

# What zipfile raises for damaged, encrypted or unsupported content.
_UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError)


class Files:
    """The files below one path. The names of ``sizes`` are relative and have ``/`` between their
    parts.

    Nothing is extracted, links are not followed, and names with ``..`` are refused. Every error is
    a StoreError that names the file, and the line if there is one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._zip: zipfile.ZipFile | None = None
        self.advance: Callable[[int], None] = lambda _bytes: None
        """Called with the number of bytes of everything that is read."""
        try:
            if path.is_dir():
                self.sizes = _inside(path)
            elif zipfile.is_zipfile(path):
                self._zip = zipfile.ZipFile(path)
                self.sizes = _entries(self._zip, path)
            else:
                self.sizes = {path.name: path.stat().st_size}
                self._path = path.parent
        except _UNREADABLE as error:
            raise self._unreadable(path.name, error) from None

    def close(self) -> None:
        if self._zip is not None:
            self._zip.close()

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        if self.sizes[name] > MAX_DOCUMENT:
            raise StoreError(
                f"{name} has {self.sizes[name] >> 20:,} MB: more than {MAX_DOCUMENT >> 20} MB are"
                " not read in one piece"
            )
        with self._opened(name) as file:
            content = file.read(MAX_DOCUMENT)
        self.advance(len(content))
        return content

    def lines(self, name: str, encoding: str = "utf-8") -> Iterator[tuple[str, str]]:
        """Yield the place (file and line number) and the text of each line, without its end."""
        number = 0
        with self._opened(name) as file:
            while line := file.readline(MAX_LINE + 1):
                number += 1
                place = f"{name}, line {number}"
                if len(line) > MAX_LINE:
                    raise StoreError(f"{place} is longer than {MAX_LINE >> 20} MB")
                self.advance(len(line))
                try:
                    text = line.decode(encoding)
                except UnicodeDecodeError:
                    raise StoreError(
                        f"{place} is not in the encoding {encoding}: name the right one with"
                        " --encoding, for example latin-1 or euc-kr"
                    ) from None
                yield place, (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\r\n")

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        try:
            if self._zip is not None:
                with self._zip.open(name) as entry:
                    yield entry
            else:
                # Without O_NONBLOCK, opening a pipe that took the file's place would wait.
                flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
                with os.fdopen(os.open(self._path / name, flags), "rb") as file:
                    yield file
        except _UNREADABLE as error:
            raise self._unreadable(name, error) from None

    @staticmethod
    def _unreadable(name: str, error: BaseException) -> StoreError:
        reason = error.strerror if isinstance(error, OSError) else None
        return StoreError(f"cannot read {name}: {reason or error or type(error).__name__}")


def decoded(decoder: msgspec.json.Decoder[T], content: bytes, place: str) -> T:
    """Decode JSON, with U+FFFD for half a surrogate pair. Raises StoreError, with the line if the
    JSON is malformed."""
    try:
        try:
            return decoder.decode(content)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            whole = _ESCAPE.sub(_whole, content)
            if whole == content:
                raise
            return decoder.decode(whole)
    except msgspec.ValidationError as error:
        raise StoreError(f"{place}: {str(error).replace('`', '')}") from None
    except msgspec.DecodeError as error:
        line = f", line {_line_of(error, content)}" if b"\n" in content else ""
        raise StoreError(f"{place}{line}: not JSON: {error}") from None
    except UnicodeDecodeError:
        raise StoreError(f"{place} is not UTF-8") from None
    except RecursionError:
        raise StoreError(f"{place} is nested too deeply") from None


def _whole(escape: re.Match[bytes]) -> bytes:
    # As long as before, so that the positions of errors stay right.
    return rb"\ufffd" if escape[1] else escape[0]


def _line_of(error: msgspec.DecodeError, content: bytes) -> int:
    """Return the number of the line of a syntax error: msgspec gives its position in bytes."""
    position = str(error).rpartition("(byte ")[2].rstrip(")")
    end = int(position) if position.isascii() and position.isdigit() else len(content)
    return content.count(b"\n", 0, end) + 1


def _inside(folder: Path) -> dict[str, int]:
    sizes = {}

    def failed(error: OSError) -> None:
        raise error

    for place, _, names in os.walk(folder, onerror=failed):
        for name in names:
            path = Path(place, name)
            status = path.lstat()
            if S_ISREG(status.st_mode):  # no links, pipes or devices
                sizes[path.relative_to(folder).as_posix()] = status.st_size
    return dict(sorted(sizes.items()))


def _entries(archive: zipfile.ZipFile, path: Path) -> dict[str, int]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    for entry in entries:
        parts = entry.filename.split("/")
        if ".." in parts or "" in parts or "\\" in entry.filename or ":" in parts[0]:
            raise StoreError(
                f"{path.name} has a file with the name {entry.filename!r}, which leads out of it:"
                " it is not an export"
            )
    content = sum(entry.file_size for entry in entries)
    if content > SMALL and content > path.stat().st_size * MAX_INFLATION:
        raise StoreError(
            f"{path.name} has {content >> 20:,} MB of content in {path.stat().st_size:,} bytes: it"
            " looks like a zip bomb. If it is an export, unpack it and name the folder"
        )
    return {entry.filename: entry.file_size for entry in sorted(entries, key=lambda e: e.filename)}
