"""TLS from PEM files, which may be renewed while the server runs."""

from __future__ import annotations

import ssl
from pathlib import Path


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
