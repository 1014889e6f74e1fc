"""Commands that print messages: ``pychat history``, and ``pychat listen`` as they arrive."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from pychat.cli.credentials.login import Credentials, run
from pychat.cli.output.streams import check_output, print_to_reader, reader_left
from pychat.cli.settings.options import (
    ConversationName,
    SettingsCommand,
    WholeNumber,
    login_options,
    option,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
    from pychat.cli.output.results import as_json, as_text

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


@click.command(cls=SettingsCommand)
@login_options
@option(
    "--count",
    type=WholeNumber(min=1),
    metavar="NUMBER",
    help="Exit after this number of messages instead of running until interrupted.",
)
def listen(login: Credentials, count: int | None) -> None:
    """Print messages as they arrive, as lines of JSON.

    Starts with messages that arrived while you were away. Each line is an object with the fields
    with, id, seq, sender, data, sentAt and clientId, and file if there is one. A message counts as
    delivered when the reader has taken its line. The command exits when the reader has gone.
    """
    check_output()
    run(login, lambda client: print_messages(client, count))


async def print_messages(client: ChatClient, count: int | None) -> None:
    """Print messages. Raises BrokenPipeError when the reader of the pipe has gone.

    This also happens while no message arrives. Otherwise ``listen | head -1`` would wait for a
    second message.
    """
    from pychat.cli.output.results import as_json
    from pychat.client import RequestRefused

    messages = client.messages()
    leaving = asyncio.ensure_future(reader_left())
    arriving: asyncio.Task[MessageInfo] | None = None
    printed = 0
    try:
        while count is None or printed < count:
            arriving = asyncio.ensure_future(_next(messages))
            await asyncio.wait((arriving, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not arriving.done():
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
            message = arriving.result()
            await print_to_reader(as_json(message))
            # The room may have been deleted.
            with suppress(RequestRefused):
                await client.mark_delivered(message.conversation, message.seq)
            printed += 1
    finally:
        pending = [task for task in (arriving, leaving) if task is not None]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def _next(messages: AsyncIterator[MessageInfo]) -> MessageInfo:
    return await anext(messages)
