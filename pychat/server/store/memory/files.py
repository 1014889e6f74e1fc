"""Files in the in-memory store."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Final

from msgspec.structs import replace

from pychat.server.store.base import StoreUnavailable
from pychat.server.store.records import FileRecord

MAX_BYTES: Final = 256 * 1024 * 1024
"""Limit for all files together."""


class MemoryBlob:
    """Implements ``files.Blob``."""

    def __init__(self, files: MemoryFiles, id: str) -> None:
        self._files = files
        self._id = id
        self._content = bytearray()

    async def write(self, data: bytes) -> None:
        self._content += data

    async def finish(self, file: FileRecord) -> None:
        self._files.keep(file, bytes(self._content))

    def discard(self) -> None:
        self._content.clear()


class MemoryFiles:
    """Implements ``files.FileStore``."""

    def __init__(self) -> None:
        super().__init__()
        self._file_key = secrets.token_bytes(32)
        self._files: dict[str, FileRecord] = {}
        self._contents: dict[str, bytes] = {}

    async def file_key(self) -> bytes:
        return self._file_key

    async def has_room(self, size: int) -> bool:
        return size + sum(map(len, self._contents.values())) <= MAX_BYTES

    async def new_blob(self, id: str) -> MemoryBlob:
        return MemoryBlob(self, id)

    def keep(self, file: FileRecord, content: bytes) -> None:
        """Store a file."""
        self._files[file.id] = file
        self._contents[file.id] = content

    async def file(self, id: str) -> FileRecord | None:
        return self._files.get(id)

    async def has_files(self) -> bool:
        return any(file.message is not None for file in self._files.values())

    async def file_bytes(self, account: int) -> int:
        return sum(file.size for file in self._files.values() if file.account == account)

    async def expire_files(self, before: int) -> None:
        for file in list(self._files.values()):
            if file.message is None and file.created_at < before:
                self._forget_file(file)

    async def read_blob(self, id: str, start: int, end: int) -> AsyncIterator[bytes]:
        content = self._contents.get(id)
        if content is None:
            raise StoreUnavailable(f"the file {id} was deleted")
        yield content[start:end]

    def _may_attach(self, id: str, account: int) -> bool:
        file = self._files.get(id)
        return file is not None and file.account == account and file.message is None

    def _attach(self, id: str, conversation: int, seq: int) -> FileRecord:
        file = self._files[id] = replace(self._files[id], message=(conversation, seq))
        return file

    def _forget_file(self, file: FileRecord | None) -> None:
        """Delete a file, if there is one."""
        if file is not None:
            self._files.pop(file.id, None)
            self._contents.pop(file.id, None)
