"""``pychat get``: save the file of a message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pychat.cli.credentials.login import Credentials, run
from pychat.cli.output.streams import reason
from pychat.cli.settings.options import SettingsCommand, login_options

if TYPE_CHECKING:
    from pychat.client import ChatClient


@click.command(cls=SettingsCommand)
@login_options
@click.option(
    "--output",
    "to",
    type=click.Path(path_type=Path),
    default=Path(),
    metavar="PATH",
    show_default="the current folder",
    help="A folder, or the path of a new file. Nothing is overwritten.",
)
@click.argument("what", metavar="MESSAGE_ID|FILE")
def get(login: Credentials, to: Path, what: str) -> None:
    """Save the file of a message.

    MESSAGE_ID is the "id" that 'pychat history --json' and 'pychat listen' print, FILE the "id" of
    its "file". Prints the path. In a folder, the file gets its name, or one with a number if there
    is such a file.
    """

    async def save(client: ChatClient) -> None:
        from pychat.cli.output.progress import counting
        from pychat.client.safetext import safe_line

        try:
            with counting("Bytes received") as advance:
                path = await client.download(what, to, progress=advance)
        except FileExistsError:
            raise click.ClickException(f"{to} exists: choose another --output") from None
        except OSError as error:
            raise click.ClickException(f"cannot write {to}: {reason(error)}") from None
        click.echo(safe_line(str(path)))

    run(login, save)
