"""The WSGI environ that python-socketio passes to connect handlers, built on first use."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, MutableMapping
from types import SimpleNamespace
from typing import Any

from aiohttp import HttpVersion11, web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pychat.server.engine.session import Handshake


class Environ(MutableMapping[str, Any]):
    """A mapping that is built when it is first read, because most are never read."""

    __slots__ = ("_built", "_handshake", "_path")

    def __init__(self, handshake: Handshake, path: str) -> None:
        self._handshake = handshake
        self._path = path
        self._built: dict[str, Any] | None = None

    @property
    def _items(self) -> dict[str, Any]:
        if self._built is None:
            self._built = _build(self._handshake, self._path)
        return self._built

    def __getitem__(self, key: str) -> Any:
        if key == "aiohttp.request" and key not in self._items:
            self._items[key] = _request(self._handshake, self._path)
        return self._items[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._items[key] = value

    def __delitem__(self, key: str) -> None:
        del self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)


def _build(handshake: Handshake, path: str) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "wsgi.input": EMPTY_PAYLOAD,
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.async": True,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "SERVER_SOFTWARE": "aiohttp",
        "SERVER_NAME": "aiohttp",
        "SERVER_PORT": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": handshake.query,
        "RAW_URI": f"{path}?{handshake.query}",
        "REMOTE_ADDR": handshake.remote_address,
        "REMOTE_PORT": "0",
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
    }
    for name, value in handshake.headers.items():
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ["wsgi.url_scheme"] = environ.get("HTTP_X_FORWARDED_PROTO", "http")
    return environ


def _request(handshake: Handshake, path: str) -> web.BaseRequest:
    headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict(handshake.headers))
    raw_headers = tuple((name.encode(), value.encode()) for name, value in headers.items())
    target = f"{path}?{handshake.query}"
    message_class: Any = RawRequestMessage  # implemented in C or in Python, both untyped
    message = message_class(
        "GET", target, HttpVersion11, headers, raw_headers,
        False, None, False, False, URL(target, encoded=True),
    )  # fmt: skip
    protocol: Any = SimpleNamespace(
        ssl_context=None,
        peername=(handshake.remote_address, 0),
        sockname=None,
        transport=None,
    )
    loop = asyncio.get_running_loop()
    nothing: Any = None
    return web.BaseRequest(message, EMPTY_PAYLOAD, protocol, nothing, nothing, loop)
