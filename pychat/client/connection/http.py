"""HTTP session of one connection: trusted certificates, no foreign redirects, bounded bodies."""

from __future__ import annotations

import os
import platform
import ssl
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final
from weakref import WeakSet

import aiohttp
from yarl import URL

MAX_BODY: Final = 16 * 1024 * 1024
"""Limit for the body of an HTTP answer, in bytes. pychat's server sends much less at once."""
_HTTP_SCHEMES: Final = {"ws": "http", "wss": "https"}


class ForeignRedirect(aiohttp.ClientConnectionError):
    """A redirect to another origin. The text of the exception is that origin."""


def http_session(
    address: str,
    *,
    connect_timeout: float,
    trace: aiohttp.TraceConfig,
    responses: WeakSet[aiohttp.ClientResponse],
) -> aiohttp.ClientSession:
    """Return a session for the server at ``address``.

    ``connect_timeout``: seconds. ``responses``: receives every response, so that the caller can
    close those that are still open.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            ssl=_ssl_context() if address.startswith("https:") else True
        ),
        trace_configs=[trace],
        headers={"User-Agent": _user_agent()},
        middlewares=(_same_origin_only(address, responses),),
        response_class=_BoundedResponse,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout),
    )


def _same_origin_only(
    address: str, responses: WeakSet[aiohttp.ClientResponse]
) -> aiohttp.ClientMiddlewareType:
    """Return a middleware that raises ForeignRedirect on a redirect to another origin.

    The password is meant for the server at ``address`` only.
    """
    origin = URL(address).origin()

    async def middleware(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        url = request.url
        if url.with_scheme(_HTTP_SCHEMES.get(url.scheme, url.scheme)).origin() != origin:
            raise ForeignRedirect(str(url.origin()))
        response = await handler(request)
        responses.add(response)
        return response

    return middleware


class _BoundedResponse(aiohttp.ClientResponse):
    """Response whose body is limited to MAX_BODY bytes. aiohttp has no limit of its own."""

    async def read(self) -> bytes:
        if self._body is None:
            body = bytearray()
            async for part in self.content.iter_any():
                body += part
                if len(body) > MAX_BODY:
                    self.close()
                    raise ValueError("the answer is too large")
            self._body = bytes(body)
        return self._body


def _ssl_context() -> ssl.SSLContext:
    return _ssl_context_for(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=1)
def _ssl_context_for(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Return a context for these values of the environment variables, which OpenSSL reads itself.

    aiohttp's default context keeps the values from when aiohttp was imported.
    """
    return ssl.create_default_context()


def _user_agent() -> str:
    try:
        number = version("pychat-socketio")
    except PackageNotFoundError:
        number = "0"
    return f"pychat/{number} ({platform.system() or 'unknown'})"
