"""``pychat room``: list, create, join and leave rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pychat.cli.credentials.login import Credentials, run
from pychat.cli.settings.options import SettingsCommand, login_options, option

if TYPE_CHECKING:
    from pychat.client import ChatClient


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

    from pychat.cli.output.listing import print_listing

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
