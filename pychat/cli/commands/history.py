"""``pychat history``: the messages of a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pychat.cli.credentials.login import Credentials, run
from pychat.cli.output.streams import check_output
from pychat.cli.settings.options import (
    ConversationName,
    SettingsCommand,
    WholeNumber,
    login_options,
    option,
)

if TYPE_CHECKING:
    from pychat.client import ChatClient
    from pychat.client.models import MessageInfo


@click.command(cls=SettingsCommand)
@login_options
@option(
    "--with",
    "name",
    required=True,
    type=ConversationName(),
    metavar="NAME",
    help="The conversation: a login id, '#room' (in quotes) or ALL for everyone.",
)
@option(
    "--limit",
    key="history-limit",
    type=WholeNumber(min=1),
    default=50,
    metavar="NUMBER",
    help="Number of messages, from the newest.",
)
@option("--json", "as_lines", is_flag=True, help="Print lines of JSON, like 'pychat listen'.")
def history(login: Credentials, name: str, limit: int, as_lines: bool) -> None:
    """Show the messages of a conversation, oldest first."""
    from pychat.cli.output.messages import as_json, as_text

    check_output()

    async def print_history(client: ChatClient) -> None:
        for message in await newest(client, name, limit):
            click.echo(as_json(message) if as_lines else as_text(message))

    run(login, print_history)


async def newest(client: ChatClient, name: str, limit: int) -> list[MessageInfo]:
    """The newest messages of a conversation, oldest first."""
    from pychat.protocol import MAX_LIMIT

    messages: list[MessageInfo] = []
    while len(messages) < limit:
        before = messages[0].seq if messages else None
        page = await client.history(
            name, before=before, limit=min(MAX_LIMIT, limit - len(messages))
        )
        messages = page.messages + messages
        if not page.has_more or not page.messages:
            break
    return messages
