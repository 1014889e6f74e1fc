"""The tar archive of an export with files: the lines first, then the content of each file."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Final

from pychat.server.store.base import Store, StoreError, StoreUnavailable

LINES: Final = "export.jsonl"
FOLDER: Final = "files/"
BLOCK: Final = 512


def is_archive(start: bytes) -> bool:
    """Return whether a file begins like a tar archive. ``start``: its first BLOCK bytes."""
    return start[257:262] == b"ustar"


async def write_archive(
    output: IO[bytes], lines: IO[bytes], store: Store, files: Iterable[tuple[str, int]]
) -> None:
    """Write the lines of an export, and the contents of these files (id and size). Raises
    StoreError if a file has been deleted meanwhile."""
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        size = lines.seek(0, 2)
        lines.seek(0)
        archive.addfile(_entry(LINES, size), lines)
        for id, size in files:
            with tempfile.TemporaryFile() as content:
                try:
                    async for part in store.read_blob(id, 0, size):
                        content.write(part)
                except StoreUnavailable as error:
                    raise StoreError(
                        f"a file was deleted during the export ({error}): export again"
                    ) from None
                content.seek(0)
                archive.addfile(_entry(FOLDER + id, size), content)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o600
    return entry


class Archive:
    """An archive that is read. Its names and sizes are not trusted, and nothing is unpacked.

    Raises StoreError if it is not the archive of an export.
    """

    def __init__(self, source: IO[bytes]) -> None:
        try:
            end = source.seek(0, 2)
            source.seek(0)
            self._archive = tarfile.TarFile(fileobj=source, mode="r")
            entries = {
                entry.name: entry
                for entry in self._archive
                # Without sparse files, the contents are not larger than the archive.
                if entry.isreg() and not entry.issparse() and entry.offset_data + entry.size <= end
            }
        except (tarfile.TarError, OSError, ValueError) as error:
            raise StoreError(f"this is a damaged tar archive: {error}") from None
        if LINES not in entries:
            raise StoreError(f"this is not an export: it has no {LINES}")
        self._lines = entries.pop(LINES)
        self._files = entries
        self.size = self._lines.size
        """Size of the lines, in bytes."""

    def lines(self) -> Iterator[bytes]:
        """Yield the lines."""
        yield from self._open(self._lines)

    def content(self, id: str, size: int) -> IO[bytes]:
        """Return the content of a file. Raises StoreError if it has another size."""
        entry = self._files.get(FOLDER + id)
        if entry is None or entry.size != size:
            raise StoreError(f"the archive does not have the file {id} of {size} bytes")
        return self._open(entry)

    def _open(self, entry: tarfile.TarInfo) -> IO[bytes]:
        opened = self._archive.extractfile(entry)
        assert opened is not None  # a regular file
        return opened


def spool(start: bytes, rest: IO[bytes], copy: IO[bytes]) -> None:
    """Copy an archive to a file: it is not read in order."""
    copy.write(start)
    shutil.copyfileobj(rest, copy)
    copy.seek(0)
