"""``pychat listen``: messages as they arrive, as lines of JSON."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import sys
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

    Starts with those that came while you were away, and goes on until it is interrupted, or until
    nobody reads what it prints. Each line is an object with the fields with, id, seq, sender, data,
    sentAt and clientId. A message counts as delivered once its line is written.
    """
    from pychat.cli.messages import as_json

    async def print_messages(client: ChatClient) -> None:
        async for message in client.messages():
            click.echo(as_json(message))

    async def print_for_a_reader(client: ChatClient) -> None:
        printing = asyncio.ensure_future(print_messages(client))
        leaving = asyncio.ensure_future(_reader_left())
        try:
            await asyncio.wait([printing, leaving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            printing.cancel()
            await asyncio.gather(leaving, printing, return_exceptions=True)
        for task in (printing, leaving):
            if not task.cancelled():
                task.result()

    run(login, print_for_a_reader)


async def _reader_left() -> None:
    """Raises BrokenPipeError once nobody reads the pipe that standard output is, which is never
    otherwise: else ``listen | head -1`` would stay until a second message."""
    loop = asyncio.get_running_loop()
    left = asyncio.Event()
    if sys.platform != "win32" and stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
        loop.add_reader(sys.stdout.fileno(), left.set)
    try:
        await left.wait()
    finally:
        if sys.platform != "win32":
            loop.remove_reader(sys.stdout.fileno())
    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
