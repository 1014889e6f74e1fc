"""Listening sockets and their TLS certificate, and the errors if they cannot be opened."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from pathlib import Path
from typing import Final

# On Windows this option would let two servers share the port. Elsewhere it lets a restarted
# server use the port at once.
_REUSE_ADDRESS: Final = sys.platform != "win32"
_OTHER_MAY_DO: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class ServeError(Exception):
    """The server cannot start: one line with the reason and what to do."""


def plain_host(host: str) -> str:
    """Return an IPv6 address without its brackets. Other hosts stay as they are."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def address(host: str, port: int) -> str:
    """Return ``host:port`` as it is written in a URL."""
    host = plain_host(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind(host: str, port: int) -> list[socket.socket]:
    """Bind a socket to each address of the host, all to the same port. They do not listen yet.

    ``::`` means all addresses of the machine. IPv4 has a socket of its own, so that an IPv4 client
    never has an IPv6 address. Port 0 means any free port. Raises OSError.
    """
    host = plain_host(host)
    found = []
    for name in ("::", "0.0.0.0") if host == "::" else (host or None,):
        for entry in socket.getaddrinfo(
            name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            if entry not in found:
                found.append(entry)
    bound: list[socket.socket] = []
    refused: OSError | None = None
    try:
        for family, kind, protocol, _, where in found:
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError as error:
                refused = error
                continue
            bound.append(sock)
            if _REUSE_ADDRESS:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                sock.bind((where[0], port, *where[2:]))
            except OSError as error:
                if error.errno not in _OTHER_MAY_DO:
                    raise
                refused = error
                bound.pop().close()
            else:
                port = sock.getsockname()[1]
        if not bound:
            raise refused or OSError(errno.EADDRNOTAVAIL, "no address")
    except BaseException:
        for sock in bound:
            sock.close()
        raise
    return bound


def serve_error(host: str, port: int, error: OSError, option: str = "--port") -> ServeError:
    """Return the error for an address that the system does not allow to listen on.

    ``option``: the option of ``pychat serve`` that names the port.
    """
    where = address(host, port)
    if error.errno == errno.EADDRINUSE:
        return ServeError(
            f"{where} is in use: choose another port ({option}), or stop what uses it"
        )
    if error.errno == errno.EACCES:
        return ServeError(f"no permission to use {where}: choose a port from 1024 on")
    if error.errno == errno.EADDRNOTAVAIL:
        return ServeError(f"{host} is not an address of this machine: choose another host")
    if isinstance(error, socket.gaierror):
        return ServeError(f"host {host} not found: check the name")
    return ServeError(f"cannot listen on {where}: {error.strerror or error}")


class CertificateError(ValueError):
    """The certificate cannot be used: one line with the reason."""


class Certificate:
    """A certificate and its key, for TLS 1.3, which all browsers have had since 2019.

    ``context`` is for the sockets that use it.
    """

    def __init__(self, certificate: str | Path, key: str | Path | None = None) -> None:
        """Load the files. Without ``key``, the certificate's file holds it.

        Raises CertificateError.
        """
        self._certificate = Path(certificate).expanduser()
        self._key = None if key is None else Path(key).expanduser()
        self.context = self._load()

    def reload(self) -> None:
        """Load the files again, for new connections.

        Raises CertificateError, and keeps the previous certificate.
        """
        self._load()
        self.context.load_cert_chain(self._certificate, self._key, _no_password)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._certificate, self._key, _no_password)
        except _Encrypted:
            raise CertificateError(
                f"the key in {self._key or self._certificate} has a password: use a key without one"
            ) from None
        except ssl.SSLError as error:
            reason = "no certificate with its key in PEM format"
            if error.reason == "KEY_VALUES_MISMATCH":
                reason = "the key does not belong to the certificate"
            raise CertificateError(f"{self._files()}: {reason}") from None
        except OSError as error:
            raise CertificateError(f"{self._files()}: {error.strerror or error}") from None
        return context

    def _files(self) -> str:
        return f"{self._certificate}" + ("" if self._key is None else f", {self._key}")


class _Encrypted(Exception):
    pass


def _no_password() -> str:
    # Without this callback OpenSSL would ask on the terminal.
    raise _Encrypted
