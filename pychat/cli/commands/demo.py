"""``pychat demo``: a server in memory, a bot, and the terminal, all in one process."""

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
    help="The port of the page; 0 takes a free one.",
)
@option("--user", key="demo-user", default="guest", metavar="ID", help="Who you are.")
def demo(port: int, user: str) -> None:
    """Try it alone: a server in memory and a bot to talk to.

    Nothing is kept. The page's address is shown: join from the browser as somebody else.
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
    """Returns the exit status."""
    from pychat.cli.commands.bot import ALIAS, BOT, run_bot
    from pychat.client import ChatClient
    from pychat.server.app import ChatServer

    server = ChatServer("memory:", accounts="open")
    await server.start(port=port)
    try:
        async with ChatClient(server.url, user=BOT, alias=ALIAS, password="") as bot:
            person = ChatClient(server.url, user=user, password="")
            tasks = [
                asyncio.create_task(run_bot(bot)),
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
    """Says hello once the person is there: an account is made by its first login."""
    from pychat.cli.commands.bot import GREETING
    from pychat.cli.commands.serve import connect_line
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
    """The terminal, or lines where there is none. Returns the exit status."""
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
