"""HTTP of one connection: the session with its limits, and why a connection attempt failed."""

from __future__ import annotations

import os
import platform
import ssl
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace
from typing import Final
from urllib.parse import urlsplit
from weakref import WeakSet

import aiohttp
from yarl import URL

from pychat.client.safetext import safe_line

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


class ConnectFailure:
    """Collects what aiohttp reports during one attempt, because python-socketio drops the cause.

    ``timeout``: seconds that the attempt may take.
    """

    def __init__(self, address: str, timeout: float) -> None:
        self._address = address
        self._host = urlsplit(address).hostname or ""
        self._timeout = timeout
        self._status: int | None = None
        self._error: BaseException | None = None
        self.reached = False
        """Whether an HTTP server answered. If so, another transport may work."""
        self.reason = f"{address} does not answer"

    def trace(self) -> aiohttp.TraceConfig:
        """Return a trace that reports the HTTP requests of the attempt to this object."""
        trace = aiohttp.TraceConfig()
        trace.on_request_exception.append(self._on_exception)
        trace.on_request_end.append(self._on_response)
        return trace

    async def _on_exception(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        parameters: aiohttp.TraceRequestExceptionParams,
    ) -> None:
        self._error = parameters.exception

    async def _on_response(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        parameters: aiohttp.TraceRequestEndParams,
    ) -> None:
        self._status = parameters.response.status

    def timed_out(self) -> None:
        """Record that the attempt timed out."""
        self.reason = f"{self._address} did not answer within {self._timeout:.0f} seconds"

    def refused(self, text: str) -> None:
        """Record that the attempt failed. ``text`` is used if HTTP does not give the reason."""
        if self._error is not None:
            self.reason = self._explain(self._error)
        elif self._status is not None:
            self.reached = True
            detail = f"HTTP {self._status}" if self._status != 101 else safe_line(text)
            self.reason = f"{self._address} is not a chat server ({detail})"
        else:
            self.reason = f"{self._address} does not answer: {safe_line(text)}"

    def _explain(self, error: BaseException) -> str:
        match error:
            case ForeignRedirect():
                return f"{self._address} redirects to {error}: use that address if you trust it"
            case aiohttp.ClientConnectorCertificateError():
                return self._untrusted(error.certificate_error)
            case aiohttp.ClientConnectorDNSError():
                return f"there is no host named {self._host}"
            case aiohttp.ClientSSLError():
                return f"{self._address} does not speak TLS: try http:// instead of https://"
            case aiohttp.ClientOSError():
                return f"{self._address} does not answer: {_os_reason(error)}"
            case TimeoutError():
                return f"{self._address} did not answer within {self._timeout:.0f} seconds"
            case aiohttp.ServerDisconnectedError():
                return f"{self._address} closed the connection: try https:// instead of http://"
            case _:
                return f"{self._address} is not a chat server ({safe_line(str(error))})"

    def _untrusted(self, error: Exception) -> str:
        reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else ""
        return (
            f"the certificate of {self._host} is not trusted: {reason or error}; for a private "
            "certificate authority, set SSL_CERT_FILE to its certificate file"
        )


def _os_reason(error: aiohttp.ClientOSError) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    # asyncio's own text repeats the address and leaves out the reason.
    return (os.strerror(cause.errno) if cause.errno else str(cause)).lower()
