"""``pychat listen``: messages as they arrive, as lines of JSON."""

from __future__ import annotations

import click

from pychat.cli.login import Login, logged_in, run
from pychat.cli.options import Command, login_options


@click.command(cls=Command)
@login_options
def listen(login: Login) -> None:
    """Print messages as they arrive, as lines of JSON.

    Starts with those that came while you were away, and goes on until it is interrupted. Each
    line is an object with the fields with, id, seq, sender, data, sentAt and clientId. A message
    counts as delivered once its line is written.
    """
    from pychat.cli.messages import as_json

    async def print_messages() -> None:
        async with logged_in(login) as client:
            async for message in client.messages():
                click.echo(as_json(message))

    run(print_messages())
