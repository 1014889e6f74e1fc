"""Explain in one line why a connection attempt failed."""

from __future__ import annotations

import os
import ssl
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp

from pychat.client.connection.http import ForeignRedirect
from pychat.client.safetext import safe_line


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
