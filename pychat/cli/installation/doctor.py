"""``pychat doctor``: look for what could go wrong on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import click

from pychat.cli.installation.findings import Finding, Level
from pychat.cli.operator.user import store_option
from pychat.cli.settings.options import SettingsCommand, WholeNumber, option


@click.command(cls=SettingsCommand)
@store_option
@option("--host", default="127.0.0.1", metavar="ADDRESS", help="The address to listen on.")
@option("--port", default=3000, type=WholeNumber(0, 65535), metavar="PORT", help="And the port.")
@option(
    "--tls-cert",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The certificate of the server.",
)
@option(
    "--tls-key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The key of the certificate, if it is in a separate file.",
)
@click.argument("server", required=False)
def doctor(
    store: str,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    server: str | None,
) -> int:
    """Check this machine, and print what to fix.

    Checks what 'pychat serve' and 'pychat connect' need, with the same settings: packages, store,
    port, certificate, open files, clock, terminal and keyring. It changes nothing. The exit status
    is 1 if there is something to fix. SERVER is the address of a server to reach from here.
    """
    from pychat.client.safetext import safe_line

    worst = 0
    for finding in _findings(store, host, port, tls_cert, tls_key, server):
        click.echo(f"{finding.level.value}  {finding.subject:<12}{safe_line(finding.text)}")
        worst |= finding.level is Level.FIX
    return int(worst)


def _findings(
    store: str,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    server: str | None,
) -> Iterator[Finding]:
    from pychat.cli.installation import machine, service

    yield machine.check_packages()
    yield asyncio.run(service.check_store(store))
    yield service.check_port(host, port, tls=tls_cert is not None)
    if tls_cert is not None:
        yield service.check_certificate(tls_cert, tls_key)
    yield service.check_open_files()
    yield machine.check_clock()
    yield machine.check_terminal()
    yield machine.check_keyring()
    yield machine.check_login_files()
    if server is not None:
        yield service.check_server(server)
