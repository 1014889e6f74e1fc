"""``POST /files`` and ``GET /files/ID/NAME``: the content of files goes through no memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from pychat.protocol import SHOWN_TYPES, Code, FilePayload, ProtocolError
from pychat.server.chat.chat import Chat
from pychat.server.chat.events.files import OfferedFile, Upload
from pychat.server.files.sniffing import ENOUGH, sniffed
from pychat.server.guard.gate import HEADERS
from pychat.server.site import refused
from pychat.server.store.base import Store, StoreError
from pychat.server.store.records import FileRecord

PORTION: Final = 160 * 1024
PORTION_SECONDS: Final = 10.0
"""A portion of an upload must arrive within this time: 16 KiB per second, on average."""
WRITE_BYTES: Final = 256 * 1024

FILE_HEADERS: Final = {
    **HEADERS,
    # For what a browser shows by itself. A sandbox has no scripts, and no origin.
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox;"
        " frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    # A browser asks each time, because the message may have been removed.
    "Cache-Control": "private, no-cache",
    "Accept-Ranges": "bytes",
}


def add_files(app: web.Application, chat: Callable[[], Chat], store: Store) -> None:
    """Serve uploads and downloads."""

    async def upload(request: web.Request) -> web.Response:
        try:
            begun = await chat().begin_upload(_token(request), _offered(request))
            try:
                await _continue(request)
                file = await _receive(request, chat(), begun)
            finally:
                begun.close()
        except ProtocolError as error:
            return refused(error)
        return web.Response(
            status=201,
            body=msgspec.json.encode(file),
            content_type="application/json",
            headers=HEADERS,
        )

    async def download(request: web.Request) -> web.StreamResponse:
        id = request.match_info["id"]
        try:
            if "sign" in request.query:
                account, until = _number(request, "by"), _number(request, "until")
                file = await chat().file_by_link(id, account, until, request.query["sign"])
            else:
                file = await chat().file_by_token(id, _token(request))
        except ProtocolError as error:
            return refused(error)
        return await _send(request, file, store)

    app.router.add_post("/files", upload, expect_handler=_not_yet)
    app.router.add_get("/files/{id:[0-9a-f]{32}}", download)
    app.router.add_get("/files/{id:[0-9a-f]{32}}/{name:[^/]*}", download)


async def _not_yet(request: web.Request) -> None:
    """Do not let the client send its file before the upload is admitted."""
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="417: only 100-continue can be expected\n")


async def _continue(request: web.Request) -> None:
    """Let a client that waits for it send its file (RFC 9110, section 10.1.1)."""
    if "Expect" in request.headers:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def _token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _number(request: web.Request, name: str) -> int:
    value = request.query.get(name, "")
    if not (value.isascii() and value.isdigit() and len(value) <= 15):
        raise ProtocolError(Code.MALFORMED, "must be a number", field=name)
    return int(value)


def _offered(request: web.Request) -> OfferedFile:
    """Return what the request says of the file. Raises ProtocolError 400."""
    size = request.content_length
    if size is None:
        raise ProtocolError(Code.MALFORMED, "is missing", field="Content-Length")
    return OfferedFile(
        size,
        request.query.get("name", ""),
        _number(request, "width") if "width" in request.query else None,
        _number(request, "height") if "height" in request.query else None,
        request.query.get("blurhash", ""),
    )


async def _receive(request: web.Request, chat: Chat, upload: Upload) -> FilePayload:
    """Write the body to the store. Raises ProtocolError."""
    size = request.content_length or 0
    start, received = b"", 0
    try:
        async for part in _parts(request):
            received += len(part)
            if len(start) < ENOUGH:
                start += part[: ENOUGH - len(start)]
            await chat.write_upload(upload, part)
    except (web.RequestPayloadError, ConnectionError):
        raise _incomplete(received, size) from None
    if received != size:
        raise _incomplete(received, size)
    return await chat.finish_upload(upload, sniffed(start))


async def _parts(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the body in parts of some size. Raises ProtocolError 400 if it comes too slowly."""
    loop = asyncio.get_running_loop()
    waiting = bytearray()
    portion, until = 0, loop.time() + PORTION_SECONDS
    body = request.content
    while True:
        try:
            async with asyncio.timeout_at(until):
                part = await body.readany()
        except TimeoutError:
            raise ProtocolError(
                Code.MALFORMED,
                f"the file comes too slowly: {PORTION} bytes must arrive in"
                f" {PORTION_SECONDS:.0f} s",
            ) from None
        if not part:
            break
        waiting += part
        portion += len(part)
        if len(waiting) >= WRITE_BYTES:
            yield bytes(waiting)
            waiting.clear()
        if portion >= PORTION:
            portion, until = 0, loop.time() + PORTION_SECONDS
    if waiting:
        yield bytes(waiting)


def _incomplete(received: int, size: int) -> ProtocolError:
    return ProtocolError(
        Code.MALFORMED, f"{received} of {size} bytes have arrived: send the file again"
    )


async def _send(request: web.Request, file: FileRecord, store: Store) -> web.StreamResponse:
    """Answer with the file, a range of it, or 304."""
    headers = {
        **FILE_HEADERS,
        "Content-Type": file.mime,
        "Content-Disposition": disposition(file),
        "ETag": f'"{file.id}"',
    }
    if any(tag.value in (file.id, "*") for tag in request.if_none_match or ()):
        del headers["Content-Type"]
        return web.Response(status=304, headers=headers)
    asked = _range(request, headers["ETag"])
    start, end, _ = asked.indices(file.size)
    status = 200
    if asked != slice(None):
        if start >= end:
            headers = {**HEADERS, "Content-Range": f"bytes */{file.size}"}
            return web.Response(status=416, text="416: there is no such range\n", headers=headers)
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = end - start
    parts = store.read_blob(file.id, start, end)
    try:
        # Before the headers: a content that is missing is an error, not an empty file.
        first = b"" if request.method == "HEAD" else await anext(parts)
    except StoreError:
        return refused(ProtocolError(Code.NOT_FOUND, "the file is missing on the server"))
    await response.prepare(request)
    if request.method != "HEAD":
        try:
            await response.write(first)
            async for part in parts:
                await response.write(part)
        except StoreError:
            # Too few bytes tell the client that something is wrong.
            response.force_close()
            if request.transport is not None:
                request.transport.abort()
            return response
    await response.write_eof()
    return response


def _range(request: web.Request, tag: str) -> slice:
    """Return the range that a request asks for. Several ranges, and those of another file, are not
    considered: the answer is the whole file."""
    if request.headers.get("If-Range", tag) != tag:
        return slice(None)
    try:
        asked = request.http_range
    except ValueError:
        return slice(None)
    return slice(asked.start, asked.stop)


def disposition(file: FileRecord) -> str:
    """Return the header that says whether a browser shows the file, and its name (RFC 6266)."""
    kind = "inline" if file.mime in SHOWN_TYPES else "attachment"
    plain = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in file.name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
