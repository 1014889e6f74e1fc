"""Upload and download files over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final
from weakref import WeakSet

import aiohttp
import msgspec

from pychat import protocol
from pychat.client.connection.http import ConnectFailure, http_session
from pychat.client.errors import InvalidAnswer, RequestRefused, ServerUnreachable
from pychat.client.safetext import safe_line
from pychat.client.wire import Progress
from pychat.visible import file_name

CONNECT_TIMEOUT: Final = 10.0
SILENCE_TIMEOUT: Final = 60.0
"""Seconds without data after which a transfer ends."""
PART: Final = 64 * 1024
_MAX_ANSWER: Final = 4096


@asynccontextmanager
async def _session(address: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session. Errors of the connection become ServerUnreachable."""
    failure = ConnectFailure(address, CONNECT_TIMEOUT)
    session = http_session(
        address, connect_timeout=CONNECT_TIMEOUT, trace=failure.trace(), responses=WeakSet()
    )
    try:
        yield session
    except (aiohttp.ClientError, TimeoutError) as error:
        failure.refused(str(error))
        raise ServerUnreachable(failure.reason) from None
    finally:
        await session.close()


async def upload(
    address: str, token: str, path: Path, name: str, progress: Progress
) -> protocol.FilePayload:
    """Send a file. Raises OSError, RequestRefused and ServerUnreachable."""
    with await asyncio.to_thread(path.open, "rb") as file:
        size = await asyncio.to_thread(_size, file)
        async with (
            _session(address) as session,
            session.post(
                f"{address}/files",
                params={"name": name},
                data=_parts(file, size, progress),
                headers=_headers(token) | {"Content-Length": str(size)},
                expect100=True,  # a refused file is not sent
                allow_redirects=False,
                timeout=_timeout(),
            ) as response,
        ):
            if response.status != 201:
                raise await _refusal(response)
            answer = await response.content.read(_MAX_ANSWER)
    try:
        return msgspec.json.decode(answer, type=protocol.FilePayload)
    except msgspec.DecodeError as error:
        raise InvalidAnswer(safe_line(str(error))) from None


def _size(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


async def _parts(file: BinaryIO, size: int, progress: Progress) -> AsyncIterator[bytes]:
    """Yield as many bytes as were announced, although the file may grow."""
    while size:
        part = await asyncio.to_thread(file.read, min(PART, size))
        if not part:
            raise OSError(0, "the file was cut off while it was sent", file.name)
        size -= len(part)
        yield part
        progress(len(part))


class Download:
    """A file that is being received. ``size``: bytes, None if the server does not say."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.size = response.content_length
        given = response.content_disposition
        self.name = file_name((given.filename if given else "") or "")
        """Safe to show and to use for a file."""

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the content. Raises InvalidAnswer if it is not complete."""
        received = 0
        async for part in self._response.content.iter_any():
            received += len(part)
            yield part
        if self.size is not None and received != self.size:
            raise InvalidAnswer(f"{received} of {self.size} bytes have arrived")


@asynccontextmanager
async def download(address: str, token: str, id: str) -> AsyncIterator[Download]:
    """Receive a file. Raises RequestRefused and ServerUnreachable."""
    async with (
        _session(address) as session,
        session.get(
            f"{address}/files/{id}",
            headers=_headers(token) | {"Accept-Encoding": "identity"},
            allow_redirects=False,
            timeout=_timeout(),
        ) as response,
    ):
        if response.status != 200:
            raise await _refusal(response)
        yield Download(response)


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _timeout() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None, sock_connect=CONNECT_TIMEOUT, sock_read=SILENCE_TIMEOUT
    )


async def _refusal(response: aiohttp.ClientResponse) -> RequestRefused:
    """Return the error of an answer: a line such as ``413: a file may have at most 25 MB``."""
    text = (await response.content.read(_MAX_ANSWER)).decode("utf-8", "replace")
    code, _, reason = text.partition(": ")
    if code != str(response.status):
        # An older server, or a proxy.
        reason = f"the server does not serve files (HTTP {response.status})"
        if response.status == 413:
            reason = "the file is too large for the server's proxy"
    return RequestRefused(str(response.status), safe_line(reason))
