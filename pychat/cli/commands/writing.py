"""Commands that write and change messages: ``pychat send``, ``edit``, ``react``, ``remove``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pychat.cli.credentials.login import Credentials, run
from pychat.cli.output.streams import reason
from pychat.cli.settings.options import ConversationName, SettingsCommand, login_options, option

if TYPE_CHECKING:
    from pychat.client import ChatClient
    from pychat.client.models import FileInfo

ANSWER_TIMEOUT: Final = 30.0
"""Seconds that a command waits for the answer to a change, over lost connections too."""


@click.command(cls=SettingsCommand)
@login_options
@option(
    "--to",
    required=True,
    type=ConversationName(),
    metavar="NAME",
    help="The recipient: a login id, '#room' (in quotes) or ALL for everyone.",
)
@click.option(
    "--reply", "origin", metavar="ID", help='The "id" of the message that this one answers.'
)
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PATH",
    help="A file to send with the message.",
)
@click.argument("text", required=False)
def send(
    login: Credentials, to: str, origin: str | None, path: Path | None, text: str | None
) -> None:
    """Send one message.

    TEXT is the message; '-' reads it from standard input. With a file, it is optional. Returns when
    the server has stored it.
    """
    if text is None and path is None:
        raise click.UsageError("Missing argument 'TEXT': give a text, a --file, or both.")
    text = "" if text is None else _text(text)

    async def deliver(client: ChatClient) -> None:
        from pychat.client import RequestRefused
        from pychat.protocol import ROOM_PREFIX, Code

        try:
            reply_to = _seq_of(client, to, origin) if origin else None
            file = None if path is None else await _uploaded(client, path)
            await client.send(to, text, reply_to=reply_to, file=file)
        except RequestRefused as refusal:
            if refusal.code == Code.NOT_FOUND and to in [room.id for room in await client.rooms()]:
                raise click.ClickException(
                    f"{refusal}: did you mean the room '{ROOM_PREFIX}{to}'?"
                ) from None
            raise

    run(login, deliver)


async def _uploaded(client: ChatClient, path: Path) -> FileInfo:
    from pychat.cli.output.progress import bar
    from pychat.client.safetext import safe_line

    try:
        size = (await asyncio.to_thread(path.stat)).st_size
        with bar(safe_line(path.name), size) as advance:
            return await client.upload(path, progress=advance)
    except OSError as error:
        raise click.ClickException(f"cannot read {path}: {reason(error)}") from None


def _seq_of(client: ChatClient, name: str, message_id: str) -> int:
    """The seq of a message of this conversation. An id has the conversation's id and the seq."""
    from pychat.client.api.writing import is_seq

    conversation, _, seq = message_id.rpartition("-")
    known = client.conversation(name)
    last = known.last_stored if known is not None else None
    # More digits than the server gives would not fit into a request.
    if last is None or last.id.rpartition("-")[0] != conversation or not is_seq(seq):
        raise click.ClickException(f"there is no message {message_id!r} in the conversation {name}")
    return int(seq)


def _text(argument: str) -> str:
    text = _standard_input() if argument == "-" else argument
    if not text:
        raise click.UsageError("The message is empty.")
    return text


def _standard_input() -> str:
    """All of standard input, without the line feed that ``echo`` adds."""
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise click.ClickException("standard input is not UTF-8 text") from None
    except OSError as error:
        raise click.ClickException(f"cannot read standard input: {reason(error)}") from None
    return text.removesuffix("\n").removesuffix("\r")


async def _made(change: Coroutine[Any, Any, None]) -> None:
    """Wait until the server has made a change."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            await change
    except TimeoutError:
        raise click.ClickException(
            f"the server has not answered for {ANSWER_TIMEOUT:.0f} seconds: see 'pychat history' "
            "whether it has made the change, or try again"
        ) from None


@click.command(cls=SettingsCommand)
@login_options
@click.argument("message_id")
@click.argument("text")
def edit(login: Credentials, message_id: str, text: str) -> None:
    """Replace the text of your own message.

    MESSAGE_ID is the "id" that 'pychat history --json' prints. TEXT is the new text; '-' reads it
    from standard input.
    """
    text = _text(text)

    async def change(client: ChatClient) -> None:
        await _made(client.edit(message_id, text))

    run(login, change)


@click.command(cls=SettingsCommand)
@login_options
@click.option("--off", is_flag=True, help="Take the reaction back.")
@click.argument("message_id")
@click.argument("emoji")
def react(login: Credentials, off: bool, message_id: str, emoji: str) -> None:
    """Add a reaction to a message.

    MESSAGE_ID is the "id" that 'pychat history --json' and 'pychat listen' print.
    """

    async def change(client: ChatClient) -> None:
        await _made(client.react(message_id, emoji, not off))

    run(login, change)


@click.command(cls=SettingsCommand)
@login_options
@click.argument("message_id")
def remove(login: Credentials, message_id: str) -> None:
    """Remove a message for everybody.

    This cannot be undone. MESSAGE_ID is the "id" that 'pychat history --json' and 'pychat listen'
    print. The message must be your own or in a room that you own, or the server must have been
    started with --admin and your id.
    """

    async def take_away(client: ChatClient) -> None:
        await _made(client.remove(message_id))

    run(login, take_away)
