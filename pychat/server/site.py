"""The page, the JavaScript client and a public folder over HTTP; health checks; plain errors."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import math
import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from pychat.protocol import Code, ProtocolError
from pychat.server.guard.gate import HEADERS, SAFE

PAGE: Final = Path(__file__).parent / "page"
CLIENT_FILES: Final = PAGE / "vendor"

CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".map": "application/json; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".webmanifest": "application/manifest+json; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
COMPRESSED_FROM: Final = 1024
"""Bytes. Compressing smaller files saves little."""

PAGE_HEADERS: Final = {
    **SAFE,
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "media-src 'self'; font-src 'self'; manifest-src 'self'; connect-src 'self' {websocket}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class _File:
    __slots__ = ("body", "compressed", "content_type", "etag")

    def __init__(self, path: Path) -> None:
        self.body = path.read_bytes()
        self.etag = hashlib.sha256(self.body).hexdigest()[:32]
        self.content_type = CONTENT_TYPES.get(path.suffix) or (
            mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        )
        compressed = None
        if len(self.body) >= COMPRESSED_FROM and path.suffix in CONTENT_TYPES:
            compressed = gzip.compress(self.body, mtime=0)
        self.compressed = compressed


class _Folder:
    """Files of the package, read and compressed once, and again after they change."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[Path, tuple[int, int, _File]] = {}

    async def respond(
        self, request: web.Request, name: str, headers: dict[str, str]
    ) -> web.Response:
        file = await asyncio.to_thread(self._read, name)
        if file is None:
            raise not_found()
        response = web.Response(headers={**headers, "Cache-Control": "no-cache"})
        response.etag = file.etag
        if file.compressed is not None:
            response.headers["Vary"] = "Accept-Encoding"
        known = request.if_none_match or ()
        if any(etag.value in (file.etag, "*") for etag in known):
            response.set_status(304)
            return response
        response.headers["Content-Type"] = file.content_type
        if file.compressed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            response.headers["Content-Encoding"] = "gzip"
            response.body = file.compressed
        else:
            response.body = file.body
        return response

    def _read(self, name: str) -> _File | None:
        path = file_inside(self._root, name)
        if path is None:
            return None
        status = path.stat()
        # Keyed by path: one file has many names, for example with doubled slashes.
        known = self._files.get(path)
        if known is not None and known[:2] == (status.st_mtime_ns, status.st_size):
            return known[2]
        file = _File(path)
        self._files[path] = (status.st_mtime_ns, status.st_size, file)
        return file


def add_client_files(app: web.Application, path: str) -> None:
    """Serve ``/socket.io/socket.io.js`` and its variants, as Node's server does."""
    folder = _Folder(CLIENT_FILES)
    # Pages of other origins may load them, as from Node's server.
    headers = {**SAFE, "Access-Control-Allow-Origin": "*"}

    async def serve(request: web.Request) -> web.Response:
        return await folder.respond(request, request.match_info["file"], headers)

    app.router.add_get(path + r"{file:socket\.io\.(?:[a-z]+\.)*(?:js|map)}", serve)


def add_page(app: web.Application) -> None:
    """Serve the page at ``/`` and its files at ``/page/``."""
    folder = _Folder(PAGE)

    async def index(request: web.Request) -> web.Response:
        return await folder.respond(request, "index.html", _page_headers(request))

    async def asset(request: web.Request) -> web.Response:
        return await folder.respond(request, request.match_info["path"], _page_headers(request))

    async def at_root(request: web.Request) -> web.Response:
        return await folder.respond(request, request.path.lstrip("/"), _page_headers(request))

    app.router.add_get("/", index)
    app.router.add_get("/page/{path:.+}", asset)
    # Browsers and crawlers ask for these whatever the page says.
    for name in ("favicon.ico", "robots.txt"):
        app.router.add_get(f"/{name}", at_root)


def add_public(app: web.Application, root: Path) -> None:
    """Serve the operator's folder at ``/public/``.

    Names that start with a dot (``.git``, ``.env``) are not served, except ``.well-known``. The
    files get no content security policy: what they may do is up to the operator.
    """

    async def serve(request: web.Request) -> web.FileResponse:
        path = await asyncio.to_thread(_public_file, root, request.match_info["path"])
        if path is None:
            raise not_found()
        if path.name == "index.html" and not request.path.endswith(("/", "index.html")):
            # Relative links in it must start at the folder.
            raise _moved_into_folder(request)
        response = web.FileResponse(path, headers={**SAFE, "Cache-Control": "no-cache"})
        if path.suffix in CONTENT_TYPES:
            response.headers["Content-Type"] = CONTENT_TYPES[path.suffix]
        return response

    async def to_folder(request: web.Request) -> web.Response:
        raise _moved_into_folder(request)

    app.router.add_get("/public", to_folder)
    app.router.add_get("/public/{path:.*}", serve)


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Add the security headers to every response that does not set them.

    Files of the public folder get no content security policy.
    """
    response.headers["Server"] = "pychat"
    for name, value in HEADERS.items():
        if name != "Content-Security-Policy" or not request.path.startswith("/public/"):
            response.headers.setdefault(name, value)


def add_health(
    app: web.Application, healthy: Callable[[], Awaitable[bool]], ready: Callable[[], bool]
) -> None:
    """Serve ``/healthz`` and ``/readyz``.

    ``healthy``: whether a message could be stored now. ``ready``: whether clients may connect.
    """

    async def healthz(request: web.Request) -> web.Response:
        return _status(await healthy())

    async def readyz(request: web.Request) -> web.Response:
        return _status(ready() and await healthy())

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)


def file_inside(root: Path, name: str, index: str | None = None) -> Path | None:
    """Return the path of a file in the folder, after links are followed, or None.

    For a folder, return its file ``index``.
    """
    try:
        root = root.resolve()
        path = (root / name.lstrip("/")).resolve()
        if index is not None and path.is_dir():
            path = path / index
        return path if path.resolve().is_relative_to(root) and path.is_file() else None
    except (OSError, RuntimeError, ValueError):
        # Name too long, NUL character, link loop, or a folder without read permission.
        return None


def not_found() -> web.HTTPNotFound:
    return web.HTTPNotFound(text="404: Not Found\n", headers=SAFE)


def refused(error: ProtocolError) -> web.Response:
    """Return the answer to a request that the chat has refused."""
    headers = dict(HEADERS)
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    if error.code == Code.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(status=int(error.code), text=f"{error.code}: {error}\n", headers=headers)


async def plain_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer all requests without a route with the same plain 404."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        raise not_found() from None


def _page_headers(request: web.Request) -> dict[str, str]:
    # In older Safari versions, 'self' does not include WebSockets of the same host.
    host = request.host
    websocket = f"ws://{host} wss://{host}" if _plain_host(host) else ""
    policy = PAGE_HEADERS["Content-Security-Policy"]
    return {**PAGE_HEADERS, "Content-Security-Policy": policy.replace("{websocket}", websocket)}


def _plain_host(host: str) -> bool:
    return all(c.isascii() and (c.isalnum() or c in ".-:[]_") for c in host)


def _moved_into_folder(request: web.Request) -> web.HTTPMovedPermanently:
    """Redirect to the same path with a slash at the end.

    The location is relative, because a proxy may serve the server under a path of its own.
    """
    name = request.rel_url.raw_path.rpartition("/")[2]
    return web.HTTPMovedPermanently(f"./{name}/")


def _public_file(root: Path, name: str) -> Path | None:
    path = file_inside(root, name, index="index.html")
    hidden = path is not None and _hidden(path.resolve().relative_to(root.resolve()))
    return None if hidden else path


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") and part != ".well-known" for part in path.parts)


def _status(well: bool) -> web.Response:
    status, text = (200, "ok\n") if well else (503, "unavailable\n")
    return web.Response(status=status, text=text, headers={**SAFE, "Cache-Control": "no-store"})
