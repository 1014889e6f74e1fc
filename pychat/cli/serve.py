"""``pychat serve``: a chat server, until it is told to stop."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pychat.cli.options import Command, option
from pychat.cli.places import default_store

if TYPE_CHECKING:
    from pychat.server.app import ChatServer

DEFAULT_URL = "http://127.0.0.1:3000"


@click.command(cls=Command)
@option("--host", default="127.0.0.1", metavar="ADDRESS", help="The address to listen on.")
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=3000,
    metavar="PORT",
    help="The port to listen on; 0 takes a free one.",
)
@option(
    "--store",
    default=default_store,
    metavar="ADDRESS",
    show_default="a SQLite file in the user's data folder",
    help="Where accounts and messages are kept: sqlite:///path/to/chat.db, "
    "mongodb://host/database, or memory: to forget them.",
)
@option(
    "--accounts",
    type=click.Choice(["claim", "open", "closed"]),
    default="claim",
    help="claim: the first password given for an id claims it. closed: only accounts made with "
    "'pychat user add'. open: anybody may be anybody, for trusted networks and tests.",
)
@option(
    "--cors-origin",
    multiple=True,
    metavar="URL",
    show_default="the server's own",
    help="Another origin whose pages may connect, or '*' for all. May be given again; in the "
    "variable, spaces stand between.",
)
@option(
    "--public",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="A folder of your own to serve at /public/.",
)
@option("--no-limits", is_flag=True, help="No rate limits; sizes stay. For benchmarks.")
def serve(
    host: str,
    port: int,
    store: str,
    accounts: str,
    cors_origin: tuple[str, ...],
    public: Path | None,
    no_limits: bool,
) -> None:
    """Run a chat server.

    Serves the page at / and the Socket.IO endpoint at /socket.io/. Stops at Ctrl+C or SIGTERM,
    with all that was said being kept.
    """
    from pychat.server.app import ChatServer
    from pychat.server.store import StoreError

    try:
        server = ChatServer(
            store,
            accounts=accounts,
            cors_origins=cors_origin,
            public=public,
            limits=not no_limits,
        )
        server.listen(port, host=host, ready=lambda: announce(server, host, accounts, no_limits))
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(why_not_listening(error, host, port)) from None


def announce(server: ChatServer, host: str, accounts: str, no_limits: bool) -> None:
    """On standard error: a server has no data for standard output."""
    say = _Teller()
    url = server.url
    say("")
    say.title(f"pychat is listening on {url}")
    say.row("Page", f"{url}/")
    say.row("Terminal", f"{connect_line(url)}")
    say.row("Data", server.location)
    if host in ("0.0.0.0", "::"):
        say.row("Network", f"every address of this machine, port {server.port}")
    if accounts == "open":
        say.warning("Accounts are OPEN: anybody may be anybody, passwords are not looked at.")
    if no_limits:
        say.warning("There are NO LIMITS: nobody is slowed down, whatever they send.")
    say("")
    say("Ctrl+C stops it.")


def connect_line(url: str) -> str:
    """The command that opens the chat on this server."""
    return "pychat connect --user alice" + ("" if url == DEFAULT_URL else f" --server {url}")


def why_not_listening(error: OSError, host: str, port: int) -> str:
    """One line for an address that cannot be listened on."""
    if isinstance(error, socket.gaierror):
        return f"--host {host} is no address of a machine: {error.strerror}"
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {port} on {host} is taken, maybe by another pychat serve: "
                "stop that one or choose another --port"
            )
        case errno.EACCES:
            return f"port {port} may not be used by this user: choose a --port from 1024 up"
        case errno.EADDRNOTAVAIL:
            return f"--host {host} is not an address of this machine"
    return f"cannot listen on {host} port {port}: {error.strerror or error}"


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
