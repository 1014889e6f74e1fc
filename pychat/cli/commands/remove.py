"""``pychat remove``: remove a message as an admin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pychat.cli.credentials.login import Credentials, run
from pychat.cli.settings.options import SettingsCommand, login_options

if TYPE_CHECKING:
    from pychat.client import ChatClient


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
