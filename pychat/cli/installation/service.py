"""Checks of ``pychat doctor`` for a server: store, port, certificate, open files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import ssl
import sys
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from pychat.cli.installation.findings import Finding, fix, note, ok

FREE_BYTES: Final = 1_000_000_000
"""Uploads end below this."""
OPEN_FILES: Final = 4_096
DAYS_LEFT: Final = 14
CLOCK_SECONDS: Final = 30.0
"""Difference of the clocks from which on it is reported. TLS and login times suffer."""
WAIT_SECONDS: Final = 5.0


async def check_store(address: str) -> Finding:
    """Whether a server could use the store. The store is not changed."""
    from pychat.server.store import StoreError, StoreMissing, open_store
    from pychat.server.store.address import sqlite_path

    scheme = address.partition(":")[0].lower()
    try:
        if scheme == "memory":
            return note("store", "memory: loses everything when the server stops")
        if scheme == "sqlite":
            return _check_file(sqlite_path(address))
        store = open_store(address, exclusive=False, create=False)
        await store.open()
        await store.close()
    except StoreMissing:
        return ok("store", "the database can be reached; pychat serve will create the store")
    except StoreError as error:
        return fix("store", str(error))
    return ok("store", store.location)


def _check_file(path: Path) -> Finding:
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        return fix("store", f"cannot write to the folder {folder}: choose another with --store")
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        return fix("store", f"only {free // 1_000_000} MB are free on the disk of {folder}")
    if not path.exists():
        return ok("store", f"{path} (pychat serve will create it)")
    if not os.access(path, os.R_OK | os.W_OK):
        return fix("store", f"cannot write {path}: run this as the user of the server")
    return _check_version(path)


def _check_version(path: Path) -> Finding:
    from pychat.server.store import StoreError
    from pychat.server.store.sqlite.file.connect import explain
    from pychat.server.store.sqlite.schema import VERSION, checked_version

    # Only its head is read. "immutable": a log that lies beside it is neither read nor touched.
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            version = checked_version(connection, path)
    except sqlite3.Error as error:
        return fix("store", explain(error, path))
    except StoreError as error:
        return fix("store", str(error))
    if 0 < version < VERSION:
        return note("store", f"{path} is of an older version: back it up before the next start")
    return ok("store", f"{path}")


def check_port(host: str, port: int, *, tls: bool) -> Finding:
    from pychat.server.listening import address, bind, serve_error

    where = address("127.0.0.1" if host in ("0.0.0.0", "", "::") else host, port)
    try:
        for sock in bind(host, port):
            sock.close()
    except OSError as error:
        if _is_pychat(f"{'https' if tls else 'http'}://{where}"):
            return ok("port", f"pychat is running at {where}")
        return fix("port", str(serve_error(host, port, error)))
    return ok("port", f"{where} is free")


def _is_pychat(url: str) -> bool:
    context = ssl.create_default_context()
    # Whether it is pychat does not depend on its certificate, and nothing secret is sent.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with urlopen(
            f"{url}/page/manifest.webmanifest", timeout=WAIT_SECONDS, context=context
        ) as answer:
            return b"pychat" in answer.read(10_000)
    except (OSError, ValueError):
        return False


def check_open_files() -> Finding:
    if sys.platform == "win32":
        return ok("open files", "no limit")
    import resource

    # The server raises its own limit up to the hard one.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES:
        return fix("open files", f"at most {hard} connections: raise LimitNOFILE or ulimit -Hn")
    return ok("open files", "no limit" if hard == resource.RLIM_INFINITY else f"up to {hard}")


def check_certificate(certificate: Path, key: Path | None) -> Finding:
    from pychat.server.listening import Certificate, CertificateError

    try:
        ends = _end_of(Certificate(certificate, key).context, certificate)
    except CertificateError as error:
        return fix("certificate", str(error))
    except ssl.SSLCertVerificationError as error:
        return fix("certificate", f"{certificate}: {error.verify_message}: renew it")
    except ssl.SSLError as error:
        return fix("certificate", f"{certificate}: {error.reason or error}")
    days = (ends - datetime.now(UTC)).days
    text = f"{certificate} is valid until {ends:%Y-%m-%d}"
    if days < DAYS_LEFT:
        return fix("certificate", f"{text}, for {days} more days: renew it, then send SIGHUP")
    return ok("certificate", text)


def _end_of(server: ssl.SSLContext, certificate: Path) -> datetime:
    """When the certificate ends: shake hands with a client that trusts it. Raises SSLError."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(certificate.expanduser())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    while True:
        try:
            ours.do_handshake()
            break
        except ssl.SSLWantReadError:
            with suppress(ssl.SSLWantReadError):
                theirs.do_handshake()
    found = ours.getpeercert()
    assert found is not None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)


def check_server(url: str) -> Finding:
    """Whether clients on this machine reach a server, and whether its clock agrees."""
    from pychat.client import InvalidAddress
    from pychat.client.connection.address import normalized_address

    try:
        base = normalized_address(url)
    except InvalidAddress as error:
        return fix("server", str(error))
    try:
        with urlopen(Request(f"{base}/healthz"), timeout=WAIT_SECONDS) as answer:
            date = answer.headers["Date"]
    except HTTPError as error:
        if error.code == 503:
            return fix("server", f"{base} cannot store messages: its log says why")
        return fix("server", f"{base} is not a pychat server: it answered {error.code}")
    except OSError as error:
        reason = error.reason if isinstance(error, URLError) else error
        return fix("server", f"{base} cannot be reached: {reason}")
    if date:
        difference = parsedate_to_datetime(date).timestamp() - time.time()
        if abs(difference) > CLOCK_SECONDS:
            return fix("server", f"its clock differs from this one by {abs(difference):.0f} s")
    return ok("server", f"{base} answers")
