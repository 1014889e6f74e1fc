"""Commands for rooms and their members: ``pychat room``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import click

from pychat.cli.credentials.login import Credentials, run
from pychat.cli.settings.options import SettingsCommand, login_options, option

if TYPE_CHECKING:
    from pychat.client import ChatClient


@click.group()
def room() -> None:
    """List, create, join and leave rooms, and manage their members.

    Members write to a room as '#ROOM' (in quotes).
    """


@room.command("list", cls=SettingsCommand)
@login_options
@option("--json", "as_lines", is_flag=True, help="Print lines of JSON.")
def list_(login: Credentials, as_lines: bool) -> None:
    """List the rooms that you can see.

    Prints a table on a terminal, otherwise lines of id, name, owner, 'member', 'invited' or
    nothing, and topic, separated by tabs.
    """

    from pychat.cli.output.results import print_listing

    async def print_rooms(client: ChatClient) -> None:
        rooms = await client.rooms()
        rows = [
            (
                *(room.id, room.name, room.owner),
                "member" if room.member else "invited" if room.invited else "",
                room.topic,
            )
            for room in rooms
        ]
        names = ("id", "name", "owner", "", "topic")
        print_listing(names, rows, objects=rooms, as_json=as_lines)

    run(login, print_rooms)


@room.command(cls=SettingsCommand)
@login_options
@option("--name", default="", metavar="NAME", help="The displayed name, by default the id.")
@click.option(
    "--private",
    is_flag=True,
    help="Only members and those who are invited can see the room. Needs --name instead of ROOM.",
)
@click.argument("room", default="")
def create(login: Credentials, name: str, private: bool, room: str) -> None:
    """Create a room. You own it and are its first member.

    The server chooses the id of a private room. The command prints it.
    """
    if private:
        if room or not name:
            raise click.UsageError("A private room needs --name NAME, and no ROOM.")
        run(login, lambda client: _create_private(client, name))
        return
    if not room:
        raise click.UsageError("Missing argument 'ROOM'.")
    id = room_id(room)
    run(login, lambda client: client.create_room(id, name or id))
    click.echo(f"Created #{id}.", err=True)


async def _create_private(client: ChatClient, name: str) -> None:
    from pychat.cli.output.results import print_lines

    print_lines([(f"#{await client.create_private_room(name)}",)])


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


@room.command(cls=SettingsCommand)
@login_options
@option("--json", "as_lines", is_flag=True, help="Print lines of JSON.")
@click.argument("room")
def members(login: Credentials, as_lines: bool, room: str) -> None:
    """List the members of a room that you have joined.

    Prints a table on a terminal, otherwise lines of id, alias, role and online or offline,
    separated by tabs.
    """
    from pychat.cli.output.results import print_listing

    id = room_id(room)

    async def print_members(client: ChatClient) -> None:
        found = await client.members(id)
        rows = [(m.id, m.alias, m.role, "online" if m.online else "offline") for m in found]
        print_listing(("id", "alias", "role", ""), rows, objects=found, as_json=as_lines)

    run(login, print_members)


@room.command(cls=SettingsCommand)
@login_options
@click.argument("room")
@click.argument("topic")
def topic(login: Credentials, room: str, topic: str) -> None:
    """Set the topic of a room, as its moderator or owner. An empty one removes it."""
    id = room_id(room)
    run(login, lambda client: client.set_topic(id, topic))


@room.command(cls=SettingsCommand)
@login_options
@click.argument("room")
@click.argument("person")
def invite(login: Credentials, room: str, person: str) -> None:
    """Invite somebody to a room that you have joined."""
    id = room_id(room)
    run(login, lambda client: client.invite(id, person))
    click.echo(f"Invited {person} to #{id}.", err=True)


@room.command(cls=SettingsCommand)
@login_options
@click.argument("room")
@click.argument("person")
def kick(login: Credentials, room: str, person: str) -> None:
    """Remove a member, as a moderator or owner. Only an invitation lets them join again."""
    id = room_id(room)
    run(login, lambda client: client.kick(id, person))
    click.echo(f"Removed {person} from #{id}.", err=True)


@room.command(cls=SettingsCommand)
@login_options
@click.argument("room")
@click.argument("person")
@click.argument("role", type=click.Choice(["moderator", "member"]))
def role(login: Credentials, room: str, person: str, role: str) -> None:
    """Make a member a moderator, or a plain member again, as the owner."""
    id = room_id(room)
    new = cast("Literal['member', 'moderator']", role)
    run(login, lambda client: client.set_role(id, person, new))
    click.echo(f"{person} is a {role} of #{id}.", err=True)


@room.command(cls=SettingsCommand)
@login_options
@click.argument("room")
@click.argument("person")
def transfer(login: Credentials, room: str, person: str) -> None:
    """Make a member the owner of your room."""
    id = room_id(room)
    run(login, lambda client: client.transfer_room(id, person))
    click.echo(f"{person} owns #{id}.", err=True)


def room_id(name: str) -> str:
    """The room id of ``#builds`` or ``builds``. Raises UsageError."""
    from pychat.protocol import ROOM_PREFIX, ProtocolError, check_id

    try:
        return check_id(name.removeprefix(ROOM_PREFIX), "ROOM")
    except ProtocolError as error:
        raise click.UsageError(f"{error}.") from None
