"""``pychat serve``: run a chat server."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from pychat.cli.operator.auditing import audit_option
from pychat.cli.settings.files import default_store, make_folder
from pychat.cli.settings.options import (
    DEFAULT_SERVER,
    SettingsCommand,
    WholeNumber,
    option,
    source_of,
)

if TYPE_CHECKING:
    from pychat.server.app import ChatServer

MB = 1_000_000


def origins_given(
    context: click.Context, parameter: click.Parameter, origins: tuple[str, ...]
) -> tuple[str, ...]:
    from pychat.server.options import check_origins

    _refuse_wrong(check_origins, origins)
    return origins


def check_proxies(
    context: click.Context, parameter: click.Parameter, proxies: tuple[str, ...]
) -> tuple[str, ...]:
    """Parse addresses and networks. A network may have host bits set."""
    from ipaddress import ip_network

    for proxy in proxies:
        try:
            ip_network(proxy, strict=False)
        except ValueError:
            raise click.BadParameter(
                f"{proxy!r} is not an address or network: write 10.0.0.1 or 10.0.0.0/8"
            ) from None
    return proxies


def admins_given(
    context: click.Context, parameter: click.Parameter, admins: tuple[str, ...]
) -> tuple[str, ...]:
    from pychat.server.options import check_admins

    _refuse_wrong(check_admins, admins)
    return admins


def limits_given(
    context: click.Context, parameter: click.Parameter, limits: tuple[str, ...]
) -> tuple[str, ...]:
    if limits:
        from pychat.server.chat.limits import parse_limits

        _refuse_wrong(parse_limits, limits)
    return limits


def public_url_given(context: click.Context, parameter: click.Parameter, url: str) -> str:
    from pychat.server.options import check_public_url

    try:
        return check_public_url(url)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _refuse_wrong(check: Callable[[Sequence[str]], object], given: tuple[str, ...]) -> None:
    try:
        check(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(cls=SettingsCommand)
@option("--host", default="127.0.0.1", metavar="ADDRESS", help="The address to listen on.")
@option(
    "--port",
    type=WholeNumber(0, 65535),
    default=3000,
    metavar="PORT",
    help="The port to listen on; 0 chooses a free one.",
)
@option(
    "--store",
    default=default_store,
    metavar="ADDRESS",
    show_default="a SQLite file in the user's data folder",
    help="Where accounts and messages are stored: sqlite:///path/to/chat.db, "
    "mongodb://host/database, or memory: to keep nothing.",
)
@option(
    "--durability",
    type=click.Choice(["full", "normal"]),
    default="full",
    help="full: acknowledged messages survive a power cut. normal: they survive a killed process.",
)
@option(
    "--accounts",
    type=click.Choice(["claim", "open", "closed"]),
    default="claim",
    help="claim: everybody can create an account. closed: only 'pychat user add' creates accounts. "
    "open: everybody can use any id, for trusted networks and tests.",
)
@option(
    "--min-password",
    type=WholeNumber(1, 1024),
    default=8,
    metavar="NUMBER",
    help="Characters that the password of a new account must have. Clients of the original "
    "protocol may choose a shorter one.",
)
@option(
    "--cors-origin",
    multiple=True,
    callback=origins_given,
    metavar="URL",
    show_default="the server's own",
    help="Another origin whose pages may connect, or '*' for all. Can be repeated; in the "
    "variable, separate several with spaces.",
)
@option(
    "--trusted-proxy",
    multiple=True,
    callback=check_proxies,
    metavar="ADDRESS",
    help="An address or network (10.0.0.0/8) of reverse proxies whose X-Forwarded-For is "
    "trusted. Can be repeated.",
)
@option(
    "--admin",
    multiple=True,
    callback=admins_given,
    metavar="ID",
    help="An id that may remove messages. Can be repeated.",
)
@option(
    "--public",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="A folder of your own to serve at /public/.",
)
@option(
    "--max-file-size",
    type=WholeNumber(1, 10_000),
    default=25,
    metavar="MB",
    help="The largest file that a message can have, in MB.",
)
@option(
    "--file-quota",
    type=WholeNumber(1),
    metavar="MB",
    show_default="no limit",
    help="How much all files of one account may have together, in MB.",
)
@option(
    "--public-url",
    default="",
    callback=public_url_given,
    metavar="URL",
    show_default="no links",
    help="The address under which clients reach this server, for links to files in messages to "
    "clients of the original protocol.",
)
@option(
    "--tls-cert",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Serve HTTPS with this certificate (PEM, with its chain). SIGHUP reloads it.",
)
@option(
    "--tls-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The key of the certificate, if it is in a separate file.",
)
@option(
    "--limit",
    multiple=True,
    callback=limits_given,
    metavar="NAME=VALUE",
    show_default="docs/reference/limits.md",
    help="Change a limit: messages=50/250 (50 per second, 250 at once), "
    "connections_per_address=1000. Can be repeated.",
)
@option(
    "--metrics-port",
    type=WholeNumber(1, 65535),
    metavar="PORT",
    help="Serve /metrics for Prometheus on this port of 127.0.0.1.",
)
@option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    help="What to log on standard error.",
)
@option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Log lines of text, or one JSON object per line.",
)
@audit_option
@option(
    "--no-limits", is_flag=True, help="Turn off rate limits, but not size limits. For benchmarks."
)
def serve(
    host: str,
    port: int,
    store: str,
    durability: Literal["full", "normal"],
    accounts: Literal["claim", "open", "closed"],
    min_password: int,
    cors_origin: tuple[str, ...],
    trusted_proxy: tuple[str, ...],
    admin: tuple[str, ...],
    public: Path | None,
    max_file_size: int,
    file_quota: int | None,
    public_url: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    limit: tuple[str, ...],
    metrics_port: int | None,
    log_level: str,
    log_format: Literal["text", "json"],
    audit_log: Path | None,
    no_limits: bool,
) -> None:
    """Run a chat server.

    Serves the page at / and the Socket.IO endpoint at /socket.io/. Ctrl+C or SIGTERM stops the
    server after all messages are stored.
    """
    from pychat.server import ChatServer, ServeError, logs
    from pychat.server.chat import audit
    from pychat.server.chat.limits import parse_limits
    from pychat.server.store import InvalidStoreAddress, StoreError

    logs.configure(log_level, log_format)
    if audit_log is not None:
        try:
            audit.to_file(audit_log, logs.JsonFormatter())
        except OSError as error:
            raise click.ClickException(f"{audit_log}: {error.strerror}") from None
    make_folder(store)
    try:
        server = ChatServer(
            store,
            accounts=accounts,
            min_password=min_password,
            cors_origins="*" if "*" in cors_origin else cors_origin,
            public=public,
            limits=False if no_limits else parse_limits(limit),
            durability=durability,
            trusted_proxies=trusted_proxy,
            admins=admin,
            tls_cert=tls_cert,
            tls_key=tls_key,
            metrics_port=metrics_port,
            max_file_bytes=max_file_size * MB,
            file_quota=None if file_quota is None else file_quota * MB,
            public_url=public_url,
        )
    except InvalidStoreAddress as error:
        raise click.UsageError(f"{source_of('store')}: {error}.") from None
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    try:
        server.listen(port, host, ready=lambda server: announce(server, host, accounts, no_limits))
    except (ServeError, StoreError) as error:
        raise click.ClickException(str(error)) from None
    click.echo("Stopped.", err=True)


def announce(server: ChatServer, host: str, accounts: str, no_limits: bool) -> None:
    """Print the start message on standard error."""
    say = _Teller()
    url = server.url
    say("")
    say.title(f"pychat is listening on {url}")
    say.row("Page", f"{url}/")
    say.row("Terminal", f"{connect_line(url)}")
    say.row("Data", server.store.location)
    if server.metrics_url:
        say.row("Metrics", server.metrics_url)
    if host in ("0.0.0.0", "::", "[::]"):
        say.row("Network", f"every address of this machine, port {server.port}")
    if accounts == "open":
        say.warning("Accounts are OPEN: everybody can use any id, and passwords are ignored.")
    if no_limits:
        say.warning("There are NO LIMITS: clients can send as fast as they like.")
    say("")
    say("Ctrl+C stops it.")


def connect_line(url: str) -> str:
    """The command that opens the terminal client on this server."""
    return f"{own_command()} connect --user alice" + (
        "" if url == DEFAULT_SERVER else f" --server {url}"
    )


class _Teller:
    def __call__(self, text: str) -> None:
        click.echo(text, err=True)

    def title(self, text: str) -> None:
        self(click.style(text, bold=True))
        self("")

    def row(self, name: str, value: str) -> None:
        self(f"  {click.style(f'{name:<10}', dim=True)}{value}")

    def warning(self, text: str) -> None:
        self("")
        self(click.style(f"  ! {text}", fg="yellow", bold=True))


def own_command() -> str:
    """``pychat`` if the shell finds this program by that name, otherwise how it was started."""
    started = sys.argv[0]
    if Path(started).name == "__main__.py":
        return f"{shlex.quote(sys.orig_argv[0])} -m pychat"
    found = shutil.which("pychat")
    if not os.path.exists(started) or (found and os.path.samefile(found, started)):
        return "pychat"
    return shlex.quote(started)
