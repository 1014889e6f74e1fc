"""``pychat listen``: messages as they arrive, as lines of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pychat.cli.login import Login, run
from pychat.cli.options import Command, login_options

if TYPE_CHECKING:
    from pychat.client import ChatClient


@click.command(cls=Command)
@login_options
def listen(login: Login) -> None:
    """Print messages as they arrive, as lines of JSON.

    Starts with those that came while you were away, and goes on until it is interrupted. Each
    line is an object with the fields with, id, seq, sender, data, sentAt and clientId. A message
    counts as delivered once its line is written.
    """
    from pychat.cli.messages import as_json

    async def print_messages(client: ChatClient) -> None:
        async for message in client.messages():
            click.echo(as_json(message))

    run(login, print_messages)
