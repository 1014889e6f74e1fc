"""Commands that write messages and remove them: ``pychat send``, ``pychat remove``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pychat.cli.credentials.login import Credentials, run
from pychat.cli.output.streams import reason
from pychat.cli.settings.options import ConversationName, SettingsCommand, login_options, option

if TYPE_CHECKING:
    from pychat.client import ChatClient


@click.command(cls=SettingsCommand)
@login_options
@option(
    "--to",
    required=True,
    type=ConversationName(),
    metavar="NAME",
    help="The recipient: a login id, '#room' (in quotes) or ALL for everyone.",
)
@click.argument("text")
def send(login: Credentials, to: str, text: str) -> None:
    """Send one message.

    TEXT is the message; '-' reads it from standard input. Returns when the server has stored it.
    """
    if text == "-":
        text = _standard_input()
    if not text:
        raise click.UsageError("The message is empty.")

    async def deliver(client: ChatClient) -> None:
        from pychat.client import RequestRefused
        from pychat.protocol import ROOM_PREFIX, Code

        try:
            await client.send(to, text)
        except RequestRefused as refusal:
            if refusal.code == Code.NOT_FOUND and to in [room.id for room in await client.rooms()]:
                raise click.ClickException(
                    f"{refusal}: did you mean the room '{ROOM_PREFIX}{to}'?"
                ) from None
            raise

    run(login, deliver)


def _standard_input() -> str:
    """All of standard input, without the line feed that ``echo`` adds."""
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise click.ClickException("standard input is not UTF-8 text") from None
    except OSError as error:
        raise click.ClickException(f"cannot read standard input: {reason(error)}") from None
    return text.removesuffix("\n").removesuffix("\r")


@click.command(cls=SettingsCommand)
@login_options
@click.argument("message_id")
def remove(login: Credentials, message_id: str) -> None:
    """Remove a message for everybody.

    This cannot be undone. MESSAGE_ID is the "id" that 'pychat history --json' and 'pychat listen'
    print. The server must have been started with --admin and your id.
    """

    async def take_away(client: ChatClient) -> None:
        await client.remove(message_id)

    run(login, take_away)
