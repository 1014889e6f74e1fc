"""Methods of ChatClient for files: upload, and download to a file."""

from __future__ import annotations

import asyncio
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import BinaryIO

from pychat import protocol
from pychat.client.api.reading import MessageReader
from pychat.client.core import ClientCore
from pychat.client.errors import InvalidAnswer, RequestRefused, ServerUnreachable
from pychat.client.models import FileInfo, MessageInfo
from pychat.client.wire import Progress, file_info, is_file_id
from pychat.visible import file_name


def ignored(amount: int) -> None:
    """The default of ``progress``."""


class FileTransfer(MessageReader):
    """Methods of ChatClient for files."""

    _core: ClientCore

    async def upload(
        self, path: Path | str, *, name: str = "", progress: Progress = ignored
    ) -> FileInfo:
        """Upload a file, and return what ``post`` can attach to one message within an hour.

        ``name``: the name to show, by default that of the file. ``progress`` is called with the
        number of bytes sent since the last call. Raises OSError if the file cannot be read,
        RequestRefused (for example 413 if it is too large), and ServerUnreachable, also while
        offline.
        """
        path = Path(path)
        address, token = self._file_server()
        await asyncio.to_thread(import_module, "pychat.client.connection.files")
        from pychat.client.connection import files

        payload = await files.upload(address, token, path, name or file_name(path.name), progress)
        file = file_info(payload)
        if file is None:
            raise InvalidAnswer("an uploaded file has no valid id")
        return file

    async def download(
        self,
        file: FileInfo | MessageInfo | str,
        to: Path | str,
        *,
        progress: Progress = ignored,
    ) -> Path:
        """Save a file, and return its path.

        ``file``: a file, a message with one, or an id of either. ``to``: a folder, in which the
        file gets its name or one with a number, or the path of a new file. Nothing is overwritten,
        and nothing is left if the download fails. ``progress``: see ``upload``.

        Raises OSError (FileExistsError if there is a file at ``to``), RequestRefused (404 if there
        is no such file that the user can read), and ServerUnreachable, also while offline.
        """
        id = await self._file_id(file)
        to = Path(to)
        address, token = self._file_server()
        await asyncio.to_thread(import_module, "pychat.client.connection.files")
        from pychat.client.connection import files

        async with files.download(address, token, id) as received:
            path, target = await asyncio.to_thread(_create, to, received.name)
            try:
                with target:
                    async for part in received.parts():
                        await asyncio.to_thread(target.write, part)
                        progress(len(part))
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return path

    def _file_server(self) -> tuple[str, str]:
        """Return the address and the token. Raises ServerUnreachable."""
        if self._core.reconnector.connection is None:
            raise ServerUnreachable("files can only be sent and received while online")
        return self._core.reconnector.address, self._core.reconnector.login.token or ""

    async def _file_id(self, file: FileInfo | MessageInfo | str) -> str:
        if isinstance(file, FileInfo):
            return file.id
        if isinstance(file, str):
            if is_file_id(file):
                return file
            file = await self._message(file)
        if file.file is None:
            raise RequestRefused(protocol.Code.NOT_FOUND, "this message has no file")
        return file.file.id

    async def _message(self, id: str) -> MessageInfo:
        """Return the message with this id. Raises RequestRefused."""
        prefix, _, seq = id.rpartition("-")
        if seq.isascii() and seq.isdigit() and len(seq) <= 15:
            for each in self._core.roster.newest_first():
                last = each.last_stored
                if last is not None and last.id.rpartition("-")[0] == prefix:
                    page = await self.history(each.name, after=int(seq) - 1, limit=1)
                    if page.messages and page.messages[0].id == id:
                        return page.messages[0]
        raise RequestRefused(
            protocol.Code.NOT_FOUND, f"there is no message or file {id[:64]!r} for you"
        )


def _create(to: Path, name: str) -> tuple[Path, BinaryIO]:
    """Create a new file at the path, or in the folder under a name that is free. Raises OSError."""
    if not to.is_dir():
        return to, to.open("xb")
    stem, dot, extension = name.rpartition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    for number in count(1):
        path = to / (name if number == 1 else f"{stem} ({number}){dot}{extension}")
        try:
            return path, path.open("xb")
        except FileExistsError:
            continue
    raise AssertionError  # the numbers do not end
