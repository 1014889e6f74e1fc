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
    from pychat.client.models import ProfileInfo, UserInfo


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
    terminal, otherwise lines of id, alias, online or offline, and status and status text if there
    are, separated by tabs.
    """
    from pychat.cli.output.results import print_json, print_lines

    async def print_users(client: ChatClient) -> None:
        found = await client.users(query, limit)
        if as_lines:
            print_json(
                {"id": user.id, "alias": user.alias, "online": user.online} | status_fields(user)
                for user in found
            )
        elif sys.stdout.isatty():
            print_people(found)
        else:
            print_lines(
                (
                    *(user.id, user.alias, "online" if user.online else "offline"),
                    *status_fields(user).values(),
                )
                for user in found
            )

    run(login, print_users)


def status_fields(person: UserInfo | ProfileInfo) -> dict[str, str]:
    """Status and status text as in docs/reference/protocol.md; nothing if there is neither."""
    if person.status == "online" and not person.status_text:
        return {}
    return {"status": person.status.value, "statusText": person.status_text}


def print_people(users: list[UserInfo]) -> None:
    """Sort online users first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pychat.client.safetext import safe_text

    table = Table("", "id", "alias", "status", box=None, pad_edge=False, header_style="bold")
    for user in sorted(users, key=lambda user: not user.online):
        dot = Text("●", style="green") if user.online else Text("○", style="dim")
        status = "" if user.status == "online" else user.status
        shown = " · ".join(filter(None, (status, user.status_text)))
        cells = (Text(safe_text(cell, multiline=False)) for cell in (user.id, user.alias, shown))
        table.add_row(dot, *cells)
    Console().print(table)


@click.command(cls=SettingsCommand)
@login_options
@click.option(
    "--alias", metavar="NAME", help="The name shown beside your id; an empty one shows the id."
)
@click.option(
    "--status",
    type=click.Choice(["online", "away", "dnd"]),
    help="What others see beside your name; dnd is do not disturb, online is neither.",
)
@click.option(
    "--status-text", metavar="TEXT", help="A short text beside the status; an empty one removes it."
)
@option("--json", "as_lines", is_flag=True, help="Print lines of JSON.")
@click.option("--new-password", is_flag=True, help="Ask for a new password.")
@click.option(
    "--new-password-file",
    metavar="FILE",
    help="Set the first line of this file as the new password.",
)
def profile(
    login: Credentials,
    alias: str | None,
    status: str | None,
    status_text: str | None,
    as_lines: bool,
    new_password: bool,
    new_password_file: str | None,
) -> None:
    """Show or change your alias, status and password.

    Prints id and alias, and status and status text if there are, separated by tabs. A new password
    logs out all other devices. If one of the changes is refused, none is made.
    """
    from pychat.cli.output.results import print_json, print_lines
    from pychat.protocol import Availability

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
        if not (alias is status is status_text is new is None):
            await client.change_profile(
                alias=alias,
                status=None if status is None else Availability(status),
                status_text=status_text,
                new_password=new,
                password=old or "",
            )
        now = client.profile
        if as_lines:
            print_json([{"id": now.id, "alias": now.alias} | status_fields(now)])
        else:
            print_lines([(now.id, now.alias, *status_fields(now).values())])

    run(login, change)
