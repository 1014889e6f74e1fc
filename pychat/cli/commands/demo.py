"""``pychat demo``: a server in memory, a bot and the terminal client in one process."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from pychat.cli.settings.options import SettingsCommand, WholeNumber, option, source_of
from pychat.cli.settings.terminal import terminal_settings

if TYPE_CHECKING:
    from pychat.client import ChatClient


@click.command(cls=SettingsCommand)
@option(
    "--port",
    type=WholeNumber(0, 65535),
    default=0,
    key="demo-port",
    metavar="PORT",
    help="The port of the page; 0 chooses a free one.",
)
@option("--user", key="demo-user", default="guest", metavar="ID", help="Your login id.")
def demo(port: int, user: str) -> None:
    """Try pychat alone: a server in memory and a bot.

    Nothing is stored. The bot shows the address of the page: log in there with another id.
    """
    from pychat.protocol import ProtocolError, check_new_id
    from pychat.server import ServeError

    try:
        check_new_id(user, source_of("demo-user"))
        sys.exit(asyncio.run(play(port, user)))
    except ProtocolError as error:
        raise click.UsageError(f"{error}.") from None
    except ServeError as error:
        raise click.ClickException(str(error)) from None


async def play(port: int, user: str) -> int:
    """Run server, bot and client. Return the exit status."""
    from pychat.cli.commands.bot import ALIAS, BOT, demo_bot
    from pychat.client import ChatClient
    from pychat.server.app import ChatServer

    server = ChatServer("memory:", accounts="open")
    await server.start(port=port)
    try:
        async with ChatClient(server.url, user=BOT, alias=ALIAS, password="") as bot:
            person = ChatClient(server.url, user=user, password="")
            tasks = [
                asyncio.create_task(demo_bot(bot).run()),
                asyncio.create_task(greet(bot, person)),
            ]
            try:
                return await show(person, f"{server.url}/")
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await server.stop()


async def greet(bot: ChatClient, person: ChatClient) -> None:
    """Greet the user after the first login, which creates the account."""
    from pychat.cli.commands.bot import GREETING
    from pychat.cli.operator.serve import connect_line
    from pychat.client.events import StatusChanged
    from pychat.client.models import ConnectionState

    async for event in person.events():
        if isinstance(event, StatusChanged) and event.status.state is ConnectionState.ONLINE:
            break
    greeting = GREETING.format(
        page=f"{person.server}/", user=person.user, command=connect_line(person.server)
    )
    await bot.send(person.user, greeting)


async def show(client: ChatClient, page: str) -> int:
    """Run the terminal client, or plain lines without a terminal. Return the exit status."""
    from pychat.cli.commands.bot import BOT

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        from pychat.cli.commands.plain import PlainChat, standard_input

        click.echo(f"The page is at {page}", err=True)
        async with client:
            chat = PlainChat(client, BOT)
            await chat.run(standard_input())
        return 1 if chat.refused else 0

    from pychat.tui.app import ChatApp
    from pychat.tui.terminal.terminal import Terminal

    settings = terminal_settings()
    with Terminal() as terminal:
        app = ChatApp(client, settings, conversation=BOT, terminal=terminal)
        await app.run_async()
    return app.return_code or 0
