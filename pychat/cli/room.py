"""``pychat room``: the rooms of a server."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pychat.cli.login import Login, run
from pychat.cli.options import Command, login_options, option

if TYPE_CHECKING:
    from pychat.client import ChatClient
    from pychat.client.models import Room


@click.group()
def room() -> None:
    """List, make, join and leave rooms.

    Write to one as '#ROOM' (quote it), once you are in it.
    """


@room.command("list", cls=Command)
@login_options
@option("--json", "as_lines", is_flag=True, help="Lines of JSON.")
def list_(login: Login, as_lines: bool) -> None:
    """List all rooms.

    A table in a terminal, else lines of id, name, owner and member or nothing with tabs between.
    """

    async def print_rooms(client: ChatClient) -> None:
        rooms = await client.rooms()
        if as_lines:
            _print_json(rooms)
        elif sys.stdout.isatty():
            _print_table(rooms)
        else:
            _print_lines(rooms)

    run(login, print_rooms)


@room.command(cls=Command)
@login_options
@option("--name", default="", metavar="NAME", help="The name shown; else the id.")
@click.argument("room")
def create(login: Login, name: str, room: str) -> None:
    """Make a room; you own it and are in it."""
    id = room_id(room)

    async def make(client: ChatClient) -> None:
        await client.create_room(id, name or id)

    run(login, make)
    click.echo(f"Made the room #{id}.", err=True)


@room.command(cls=Command)
@login_options
@click.argument("room")
def join(login: Login, room: str) -> None:
    """Join a room: read and write there from now on."""
    id = room_id(room)

    async def enter(client: ChatClient) -> None:
        await client.join_room(id)

    run(login, enter)
    click.echo(f"Joined #{id}.", err=True)


@room.command(cls=Command)
@login_options
@click.argument("room")
def leave(login: Login, room: str) -> None:
    """Leave a room."""
    id = room_id(room)

    async def go(client: ChatClient) -> None:
        await client.leave_room(id)

    run(login, go)
    click.echo(f"Left #{id}.", err=True)


def room_id(name: str) -> str:
    """``#builds`` and ``builds`` are the same room. Raises UsageError."""
    from pychat.protocol import ROOM_PREFIX, ProtocolError, check_id

    try:
        return check_id(name.removeprefix(ROOM_PREFIX), "ROOM")
    except ProtocolError as error:
        raise click.UsageError(f"{error}.") from None


def _print_json(rooms: Sequence[Room]) -> None:
    from pychat.cli.jsonlines import json_line

    for room in rooms:
        click.echo(json_line(room))


def _print_lines(rooms: Sequence[Room]) -> None:
    for cells in _rows(rooms):
        # A tab is a separator here, so a name may not hold one.
        click.echo("\t".join(cell.expandtabs(1) for cell in cells))


def _print_table(rooms: Sequence[Room]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("id", "name", "owner", "", box=None, pad_edge=False, header_style="bold")
    for cells in _rows(rooms):
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)


def _rows(rooms: Sequence[Room]) -> list[tuple[str, ...]]:
    from pychat.client.safetext import safe_text

    return [
        (
            *(safe_text(text, multiline=False) for text in (room.id, room.name, room.owner)),
            "member" if room.member else "",
        )
        for room in rooms
    ]
