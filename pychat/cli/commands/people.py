"""Commands for people and rooms: ``pychat users``, ``pychat profile``, ``pychat room``."""

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


@click.group()
def room() -> None:
    """List, create, join and leave rooms.

    Members write to a room as '#ROOM' (in quotes).
    """


@room.command("list", cls=SettingsCommand)
@login_options
@option("--json", "as_lines", is_flag=True, help="Print lines of JSON.")
def list_(login: Credentials, as_lines: bool) -> None:
    """List all rooms.

    Prints a table on a terminal, otherwise lines of id, name, owner and 'member' or nothing,
    separated by tabs.
    """

    from pychat.cli.output.results import print_listing

    async def print_rooms(client: ChatClient) -> None:
        rooms = await client.rooms()
        rows = [(room.id, room.name, room.owner, "member" if room.member else "") for room in rooms]
        print_listing(("id", "name", "owner", ""), rows, objects=rooms, as_json=as_lines)

    run(login, print_rooms)


@room.command(cls=SettingsCommand)
@login_options
@option("--name", default="", metavar="NAME", help="The displayed name, by default the id.")
@click.argument("room")
def create(login: Credentials, name: str, room: str) -> None:
    """Create a room. You own it and are its first member."""
    id = room_id(room)
    run(login, lambda client: client.create_room(id, name or id))
    click.echo(f"Created #{id}.", err=True)


@room.command(cls=SettingsCommand)
@login_options
@click.argument("room")
def join(login: Credentials, room: str) -> None:
    """Join a room, to read and write messages from now on."""
    id = room_id(room)
    run(login, lambda client: client.join_room(id))
    click.echo(f"Joined #{id}.", err=True)


@room.command(cls=SettingsCommand)
@login_options
@click.argument("room")
def leave(login: Credentials, room: str) -> None:
    """Leave a room."""
    id = room_id(room)
    run(login, lambda client: client.leave_room(id))
    click.echo(f"Left #{id}.", err=True)


def room_id(name: str) -> str:
    """The room id of ``#builds`` or ``builds``. Raises UsageError."""
    from pychat.protocol import ROOM_PREFIX, ProtocolError, check_id

    try:
        return check_id(name.removeprefix(ROOM_PREFIX), "ROOM")
    except ProtocolError as error:
        raise click.UsageError(f"{error}.") from None
