"""Heads of HTTP requests: the plain and well-formed ones, that need no more of HTTP than polling.

aiohttp's parser decides what they say, so that there is one reading of HTTP on every connection;
what it said of the same header lines is remembered, because a client sends the same again with
every poll. Whatever is not plain is aiohttp's to answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from aiohttp import hdrs
from aiohttp.http import HttpProcessingError, HttpRequestParser

from pychat.server.engine.origins import page_origin
from pychat.server.engine.polling.answer import is_binary, read_query
from pychat.server.engine.refused import Refused

MAX_HEAD: Final = 16 * 1024
"""Bytes of a request before its body."""

_LINE: Final = re.compile(rb"(GET|POST) (/[!-\"$->@-~]*)\?([!-\"$-~]{1,4096}) HTTP/1\.1(?=\r\n)")
_KNOWN: Final = 2048
_MAX_KNOWN: Final = 2 * 1024
_NOT_PLAIN: Final = (hdrs.TRANSFER_ENCODING, hdrs.CONTENT_ENCODING, hdrs.EXPECT, hdrs.UPGRADE)


class Head(NamedTuple):
    """What the header lines say."""

    host: str
    size: int
    """Bytes of the body."""
    binary: bool
    """Whether the body is of octets, not text."""
    cors: bytes
    """The header lines of the answer that the page may read it."""


class Request(NamedTuple):
    """A request's line and header lines."""

    method: bytes
    path: bytes
    query: dict[str, str]
    head: Head


Cors = Callable[[str | None, str], bytes | None]
"""The CORS lines for an origin at a host; None if pages of that origin are refused."""


class Reader:
    """Reads heads; one for all connections that reach the server in the same way."""

    def __init__(self, cors: Cors) -> None:
        self._cors = cors
        self._known = lru_cache(_KNOWN)(self._read)

    def read(self, data: bytes, end: int) -> Request | None:
        """The request whose header lines end at ``end``; None if it is not a plain one."""
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
        nobody: Any = None  # the protocol and the loop: for bodies, which it does not read
        parser = HttpRequestParser(nobody, nobody, 2**16, response_with_body=False)
        try:
            # It must agree on where the head ends, to the byte.
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
