"""Answers to Engine.IO requests, refusals among them, as bytes or as aiohttp responses."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter


class Refused(Exception):
    """The request is refused: Engine.IO error code, message, HTTP status."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    @property
    def body(self) -> bytes:
        """The error as JSON, in the format of Node's server."""
        return json.dumps({"code": self.code, "message": self.message}).encode()


def bad_request() -> Refused:
    """The error for a request that the session's state does not allow; the text is Node's."""
    return Refused(3, "Bad request")


def body_too_slow() -> Refused:
    """The error for a request body that did not arrive in time."""
    return Refused(3, "The body took too long", 408)


class HTTPAnswer(NamedTuple):
    """Status, content type and body of an answer. Bodies are small and written at once."""

    status: int
    content_type: str
    body: bytes

    def response(self) -> web.Response:
        """Return the answer as an aiohttp response."""
        return web.Response(
            status=self.status, body=self.body, headers={hdrs.CONTENT_TYPE: self.content_type}
        )


class Taken(web.StreamResponse):
    """The response that aiohttp gets for a request that the engine answers on the connection."""

    @property
    def keep_alive(self) -> bool:
        """True, so that aiohttp leaves the connection open."""
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def has_gone(request: web.BaseRequest) -> bool:
    """Whether the client has disconnected and cannot read an answer."""
    return request.transport is None or request.transport.is_closing()


def refusal(refused: Refused) -> HTTPAnswer:
    """Return Engine.IO's error as JSON."""
    return HTTPAnswer(refused.status, "application/json", refused.body)


def cors(origin: str) -> dict[str, str]:
    """Return the headers for a page of an allowed origin.

    Never ``*``, because old clients send credentials.
    """
    return {
        hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
        hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true",
        hdrs.VARY: "Origin",
    }


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Encode header lines. Bytes that came from a request are written as they came."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode(
        "utf-8", "surrogateescape"
    )


class AnswerWriter:
    """Encodes answers, each with the given headers and the date."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = header_lines(headers)
        self._second = 0
        self._every = b""

    def __call__(self, answer: HTTPAnswer, more: bytes, *, close: bool) -> bytes:
        """Return the answer as bytes.

        ``more``: additional header lines. ``close``: the connection ends after the answer.
        """
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._every = b"Date: %b\r\n%b" % (
                formatdate(second, usegmt=True).encode(),
                self._headers,
            )
        status, content_type, body = answer
        return b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b%b%b\r\n%b" % (
            _STATUS_LINES[status],
            content_type.encode(),
            len(body),
            self._every,
            more,
            b"Connection: close\r\n" if close else b"",
            body,
        )


def is_binary(content_type: str) -> bool:
    """Whether a body of that content type is binary, not text."""
    return content_type.partition(";")[0].strip().lower() == "application/octet-stream"


def read_query(query: str) -> dict[str, str]:
    """Return the first value of each field of a query string."""
    if "%" in query or "+" in query:
        fields = parse_qsl(query, keep_blank_values=True)
    else:
        fields = [field.partition("=")[::2] for field in query.split("&")]
    return dict(reversed(fields))


_STATUS_LINES: Final = {
    status.value: f"{status.value} {status.phrase}".encode() for status in HTTPStatus
}
