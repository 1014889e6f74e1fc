"""The interface of the part of a store that keeps files, and files of a message in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from pychat.server.store.records import FileRecord


class Blob(Protocol):
    """The content of a file while it arrives. One of ``finish`` and ``discard`` ends it."""

    async def write(self, data: bytes) -> None:
        """Append to the content. Raises StoreUnavailable, for example if the disk is full."""

    async def finish(self, file: FileRecord) -> None:
        """Store the content and the record. Both are on disk when this returns. Raises
        StoreUnavailable."""

    def discard(self) -> None:
        """Remove the content, unless it was stored. Does not wait: it is used after errors."""


class FileStore(Protocol):
    """Uploaded files. Each is attached to one message (``NewMessage.file``) and deleted with it,
    content and all. ``Store`` says what its methods have in common."""

    async def file_key(self) -> bytes:
        """Return 32 random bytes, always the same: the key of signed links."""

    async def has_room(self, size: int) -> bool:
        """Return whether the disk has room for a file of this size, and enough room after it."""

    async def new_blob(self, id: str) -> Blob:
        """Begin to store the content of a file with a new id."""

    async def file(self, id: str) -> FileRecord | None: ...

    async def has_files(self) -> bool:
        """Return whether a message has a file."""

    async def file_bytes(self, account: int) -> int:
        """Return the size of all files of an account, in bytes."""

    async def expire_files(self, before: int) -> None:
        """Delete the files that were uploaded before this time and are not attached."""

    def read_blob(self, id: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the content from the byte ``start`` up to ``end``, exclusive, in parts. Raises
        StoreUnavailable if it cannot be read."""
