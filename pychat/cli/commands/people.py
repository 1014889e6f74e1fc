"""Commands for people: ``pychat users``, ``pychat profile``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pychat.cli.credentials.login import Credentials, run
from pychat.cli.credentials.password import ask_password, can_ask, password_from_file
from pychat.cli.settings.options import SettingsCommand, WholeNumber, login_options, option

if TYPE_CHECKING:
    from pychat.client import ChatClient
    from pychat.client.models import UserInfo


@click.command(cls=SettingsCommand)
@login_options
@option(
    "--limit",
    key="users-limit",
    type=WholeNumber(min=1, max=100),
    default=100,
    metavar="NUMBER",
    help="Maximum number of users.",
)
@option("--json", "as_lines", is_flag=True, help="Print lines of JSON.")
@click.argument("query", default="")
def users(login: Credentials, limit: int, as_lines: bool, query: str) -> None:
    """Search the users of a server.

    QUERY selects users whose id or alias has a word that begins with it. Prints a table on a
    terminal, otherwise lines of id, alias and online or offline, separated by tabs.
    """
    from pychat.cli.output.results import print_json, print_lines

    async def print_users(client: ChatClient) -> None:
        found = await client.users(query, limit)
        if as_lines:
            print_json(found)
        elif sys.stdout.isatty():
            print_people(found)
        else:
            print_lines(
                (user.id, user.alias, "online" if user.online else "offline") for user in found
            )

    run(login, print_users)


def print_people(users: list[UserInfo]) -> None:
    """Sort online users first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pychat.client.safetext import safe_text

    table = Table("", "id", "alias", box=None, pad_edge=False, header_style="bold")
    for user in sorted(users, key=lambda user: not user.online):
        dot = Text("●", style="green") if user.online else Text("○", style="dim")
        cells = (Text(safe_text(cell, multiline=False)) for cell in (user.id, user.alias))
        table.add_row(dot, *cells)
    Console().print(table)


@click.command(cls=SettingsCommand)
@login_options
@click.option(
    "--alias", metavar="NAME", help="The name shown beside your id; an empty one shows the id."
)
@click.option("--new-password", is_flag=True, help="Ask for a new password.")
@click.option(
    "--new-password-file",
    metavar="FILE",
    help="Set the first line of this file as the new password.",
)
def profile(
    login: Credentials, alias: str | None, new_password: bool, new_password_file: str | None
) -> None:
    """Show or change your alias and password.

    Prints id and alias, separated by a tab. A new password logs out all other devices.
    """
    from pychat.cli.output.results import print_lines

    old = new = None
    if new_password_file is not None:
        new = password_from_file(new_password_file)
    elif new_password and not can_ask():
        raise click.UsageError(
            "--new-password asks at a terminal: elsewhere, use --new-password-file."
        )
    if new is not None or new_password:
        old = login.password
        if old is None:
            if not can_ask():
                raise click.UsageError("The current password is needed: set PYCHAT_PASSWORD.")
            old = ask_password("Current password")
        if new is None:
            new = ask_password("New password", twice=True)

    async def change(client: ChatClient) -> None:
        if alias is not None:
            await client.set_alias(alias)
        if old is not None and new is not None:
            await client.change_password(old, new)
        print_lines([(client.user, client.alias)])

    run(login, change)
