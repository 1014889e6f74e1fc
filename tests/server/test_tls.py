"""TLS: time limit and count of handshakes, certificates renewed at run time."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import aiohttp
import pytest
import trustme

from pychat.server.chat.limits import Limits
from pychat.server.listening import Certificate, CertificateError
from tests.attack.wire import connect
from tests.serving import serving


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def _files(authority: trustme.CA, folder: Path) -> tuple[Path, Path]:
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return certificate, key


def _trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_page_and_chat_over_tls(authority: trustme.CA, tmp_path: Path) -> None:
    certificate, key = _files(authority, tmp_path)
    async with (
        serving(tls_cert=certificate, tls_key=key) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=_trusting(authority))) as web,
    ):
        assert server.url.startswith("https://")
        assert (await web.get(server.url)).status == 200
        client = await connect(web, server.url, origin=server.url)
        await client.login("alice")
        await client.close()


async def test_old_tls_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    certificate, key = _files(authority, tmp_path)
    old = _trusting(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(tls_cert=certificate, tls_key=key) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", server.port, ssl=old)


def _client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("says", ["nothing", "a byte at a time", "all but the end", "no TLS"])
async def test_a_tls_handshake_has_a_deadline(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    """Whoever does not agree on TLS in time is cut, and others are served meanwhile."""
    monkeypatch.setattr("pychat.server.guard.gate.TLS_HANDSHAKE_SECONDS", 0.5)
    certificate, key = _files(authority, tmp_path)
    connector = aiohttp.TCPConnector(ssl=_trusting(authority), force_close=True)
    async with (
        serving(tls_cert=certificate, tls_key=key) as server,
        aiohttp.ClientSession(connector=connector) as web,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

        async def say() -> None:
            if says == "a byte at a time":
                for byte in _client_hello():
                    writer.write(bytes((byte,)))
                    await asyncio.sleep(0.05)
            elif says == "all but the end":
                writer.write(_client_hello())
            elif says == "no TLS":
                writer.write(b"GET / HTTP/1.1\r\n\r\n")

        saying = asyncio.create_task(say())
        assert (await web.get(server.url)).status == 200
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        saying.cancel()
        writer.close()
        assert (await web.get(server.url)).status == 200


async def test_connections_are_counted_before_tls_is_agreed_on(
    authority: trustme.CA, tmp_path: Path
) -> None:
    certificate, key = _files(authority, tmp_path)
    limits = Limits(connections_per_address=3)
    async with serving(tls_cert=certificate, tls_key=key, limits=limits) as server:
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        for other in (writer, *(writer for _, writer in silent)):
            other.transport.abort()
        context = _trusting(authority)
        async with asyncio.timeout(60):
            while True:
                # The server has yet to notice that they have gone.
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
                    break
        writer.close()


async def test_no_handshake_outlives_the_server(authority: trustme.CA, tmp_path: Path) -> None:
    certificate, key = _files(authority, tmp_path)
    before = asyncio.all_tasks()
    async with serving(tls_cert=certificate, tls_key=key) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(_client_hello())
        await reader.read(1)
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 60)
    writer.close()
    assert asyncio.all_tasks() == before


async def test_a_renewed_certificate_is_used_by_new_connections(
    authority: trustme.CA, tmp_path: Path
) -> None:
    certificate, key = _files(authority, tmp_path)
    async with serving(tls_cert=certificate, tls_key=key) as server:

        async def serial() -> str:
            _, writer = await asyncio.open_connection(
                "127.0.0.1", server.port, ssl=_trusting(authority)
            )
            writer.close()
            number: str = writer.get_extra_info("peercert")["serialNumber"]
            return number

        first = await serial()
        _files(authority, tmp_path)
        server.reload_certificate()
        second = await serial()
        assert second != first
        certificate.write_text("broken")
        server.reload_certificate()
        assert await serial() == second


def test_a_bad_certificate_is_one_clear_line(authority: trustme.CA, tmp_path: Path) -> None:
    certificate, _ = _files(authority, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, key = _files(authority, other)
    with pytest.raises(CertificateError, match="does not belong"):
        Certificate(certificate, key)
    with pytest.raises(CertificateError, match="PEM"):
        Certificate(certificate)
    with pytest.raises(CertificateError, match="No such file"):
        Certificate(tmp_path / "none.pem")
