"""``pychat notify``: which messages of a conversation the user's clients announce."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pychat.cli.credentials.login import Credentials, run
from pychat.cli.settings.options import SettingsCommand, login_options, option
from pychat.protocol import NotifyLevel, canonical_id

if TYPE_CHECKING:
    from pychat.client import ChatClient


@click.command(cls=SettingsCommand)
@login_options
@option("--json", "as_lines", is_flag=True, help="Print lines of JSON.")
@click.argument("conversation")
@click.argument("level", required=False, type=click.Choice([each.value for each in NotifyLevel]))
def notify(login: Credentials, as_lines: bool, conversation: str, level: str | None) -> None:
    """Show or choose which messages notify you, on all devices.

    CONVERSATION is a user's id, '#ROOM' (in quotes) or ALL. With 'mentions', only messages that
    mention you notify you; with 'muted', none do. Prints the conversation and its level, separated
    by a tab.
    """
    from pychat.cli.output.results import print_json, print_lines

    async def choose(client: ChatClient) -> None:
        if level is not None:
            await client.set_notify(conversation, NotifyLevel(level))
        wanted = canonical_id(conversation)
        found = (each for each in client.conversations if canonical_id(each.name) == wanted)
        known = next(found, None)
        if known is None:
            raise click.ClickException(
                f"You have no conversation {conversation}: write a message or join the room first."
            )
        if as_lines:
            print_json([{"with": known.name, "notify": known.notify}])
        else:
            print_lines([(known.name, known.notify)])

    run(login, choose)
