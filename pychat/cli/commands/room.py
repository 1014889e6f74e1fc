"""``pychat room``: the rooms of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pychat.cli.credentials.login import Credentials, run
from pychat.cli.settings.options import SettingsCommand, login_options, option

if TYPE_CHECKING:
    from pychat.client import ChatClient


@click.group()
def room() -> None:
    """List, make, join and leave rooms.

    Write to one as '#ROOM' (quote it), once you are in it.
    """


@room.command("list", cls=SettingsCommand)
@login_options
@option("--json", "as_lines", is_flag=True, help="Lines of JSON.")
def list_(login: Credentials, as_lines: bool) -> None:
    """List all rooms.

    A table in a terminal, else lines of id, name, owner and member or nothing with tabs between.
    """

    from pychat.cli.output.listing import print_listing

    async def print_rooms(client: ChatClient) -> None:
        rooms = await client.rooms()
        rows = [(room.id, room.name, room.owner, "member" if room.member else "") for room in rooms]
        print_listing(("id", "name", "owner", ""), rows, objects=rooms, as_json=as_lines)

    run(login, print_rooms)


@room.command(cls=SettingsCommand)
@login_options
@option("--name", default="", metavar="NAME", help="The name shown; else the id.")
@click.argument("room")
def create(login: Credentials, name: str, room: str) -> None:
    """Make a room; you own it and are in it."""
    id = room_id(room)
    run(login, lambda client: client.create_room(id, name or id))
    click.echo(f"Made the room #{id}.", err=True)


@room.command(cls=SettingsCommand)
@login_options
@click.argument("room")
def join(login: Credentials, room: str) -> None:
    """Join a room: read and write there from now on."""
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
    """``#builds`` and ``builds`` are the same room. Raises UsageError."""
    from pychat.protocol import ROOM_PREFIX, ProtocolError, check_id

    try:
        return check_id(name.removeprefix(ROOM_PREFIX), "ROOM")
    except ProtocolError as error:
        raise click.UsageError(f"{error}.") from None
