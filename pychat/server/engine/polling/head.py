"""Heads of plain HTTP requests, read with aiohttp's parser.

Using one parser for all requests avoids two readings of HTTP on one connection. The result for
header lines is cached, because a client repeats them with every poll. A request that is not plain
goes to aiohttp.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from aiohttp import hdrs
from aiohttp.http import HttpProcessingError, HttpRequestParser

from pychat.server.engine.answer import Refused, is_binary, read_query
from pychat.server.engine.origins import page_origin

MAX_HEAD: Final = 16 * 1024
"""Bytes that a request may have before its body."""

_LINE: Final = re.compile(rb"(GET|POST) (/[!-\"$->@-~]*)\?([!-\"$-~]{1,4096}) HTTP/1\.1(?=\r\n)")
_KNOWN: Final = 2048
_MAX_KNOWN: Final = 2 * 1024
_NOT_PLAIN: Final = (hdrs.TRANSFER_ENCODING, hdrs.CONTENT_ENCODING, hdrs.EXPECT, hdrs.UPGRADE)


class Head(NamedTuple):
    """The contents of the header lines."""

    host: str
    size: int
    """Size of the body in bytes."""
    binary: bool
    """Whether the body is binary, not text."""
    cors: bytes
    """Header lines that allow the page to read the answer."""


class Request(NamedTuple):
    """A request line and its header lines."""

    method: bytes
    path: bytes
    query: dict[str, str]
    head: Head


Cors = Callable[[str | None, str], bytes | None]
"""Returns the CORS header lines for an origin and a host, None if the origin is refused."""


class Reader:
    """Reads heads, for all connections that reach the server in the same way."""

    def __init__(self, cors: Cors) -> None:
        self._cors = cors
        self._known = lru_cache(_KNOWN)(self._read)

    def read(self, data: bytes, end: int) -> Request | None:
        """Return the request whose header lines end at ``end``, None if it is not plain."""
        line = _LINE.match(data)
        if line is None:
            return None
        method, path, query = line.groups()
        lines = data[line.end() + 2 : end + 4]
        read = self._known if len(lines) <= _MAX_KNOWN else self._read
        head = read(method, lines)
        return None if head is None else Request(method, path, read_query(query.decode()), head)

    def _read(self, method: bytes, lines: bytes) -> Head | None:
        if b"\r\n " in lines or b"\r\n\t" in lines:
            return None
        unused: Any = None  # protocol and loop, needed only for bodies
        parser = HttpRequestParser(unused, unused, 2**16, response_with_body=False)
        try:
            # The parser must find the end of the head at the same byte.
            before, _, _ = parser.feed_data(method + b" / HTTP/1.1\r\n" + lines[:-1])
            messages, upgraded, rest = parser.feed_data(lines[-1:])
        except HttpProcessingError:
            return None
        if before or len(messages) != 1 or upgraded or rest:
            return None
        message = messages[0][0]
        headers = message.headers
        if message.should_close or message.chunked or any(name in headers for name in _NOT_PLAIN):
            return None
        size = headers.get(hdrs.CONTENT_LENGTH, "0")
        if not (size.isdigit() and len(size) < 16) or (method == b"GET" and int(size)):
            return None
        host = headers.get(hdrs.HOST, "")
        try:
            cors = self._cors(page_origin(headers), host)
        except Refused:
            return None
        if cors is None:
            return None
        return Head(host, int(size), is_binary(headers.get(hdrs.CONTENT_TYPE, "")), cors)
