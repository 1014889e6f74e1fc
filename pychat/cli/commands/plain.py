"""The chat as lines of text, for pipes and screen readers."""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from contextlib import suppress

import click

from pychat.cli.output.results import as_text
from pychat.cli.output.streams import print_to_reader, reason
from pychat.cli.settings.options import conversation_name
from pychat.client import ChatClient, RequestRefused
from pychat.client.events import StatusChanged
from pychat.client.models import ConnectionState
from pychat.client.safetext import safe_line
from pychat.protocol import ROOM_PREFIX

HELP = """/msg NAME [TEXT]  write to NAME from now on: a login id, #room or ALL
/join #ROOM       join a room and write there
/create #ROOM     create a room and write there
/leave #ROOM      leave a room
/help             show this help
/quit             exit, like the end of the input
Every other line is sent to the current conversation. Begin a line with // to send one /."""


_ROOM_COMMANDS = ("/join", "/create", "/leave")


class PlainChat:
    """Send lines to one conversation at a time, and print messages from all conversations.

    Messages go to standard output, everything else to standard error.
    """

    def __init__(self, client: ChatClient, conversation: str | None) -> None:
        self._client = client
        self._conversation = conversation
        self._interactive = sys.stdin.isatty()
        self.refused: list[int] = []
        """Numbers of the lines that failed, starting with 1."""
        self._number = 0

    async def run(self, lines: AsyncIterator[str]) -> None:
        """Return at the end of the input, when everything is sent, or at ``/quit``.

        The client must be connected.
        """
        if self._interactive:
            self._note(
                f"Connected to {self._client.server} as {self._client.user}. Type /help for help."
            )
        tasks = [
            asyncio.create_task(self._send_all(lines)),
            asyncio.create_task(self._show_messages()),
            asyncio.create_task(self._show_status()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            self._number += 1
            if line == "/quit":
                return
            try:
                await self._take(line)
            except RequestRefused as refusal:
                self.refused.append(self._number)
                self._note(f"Refused: {refusal}")

    async def _take(self, line: str) -> None:
        if line.startswith("//"):
            line = line[1:]
        elif line.startswith("/"):
            command, _, rest = line.partition(" ")
            if command == "/msg" and rest.strip():
                name, _, line = rest.strip().partition(" ")
                self._conversation = conversation_name(name)
            elif command in _ROOM_COMMANDS:
                return await self._change_room(command, rest.strip())
            elif command == "/help":
                return self._note(HELP)
            else:
                self.refused.append(self._number)
                return self._note(f"Unknown command {command}. Type /help for help.")
        if not line.strip():
            return None
        if self._conversation is None:
            self.refused.append(self._number)
            return self._note("No conversation is selected: type /msg NAME, or use --with NAME.")
        await self._client.send(self._conversation, line)
        return None

    async def _change_room(self, command: str, name: str) -> None:
        id = name.removeprefix(ROOM_PREFIX)
        if not id:
            self.refused.append(self._number)
            return self._note(f"Name a room: {command} #ROOM.")
        name = ROOM_PREFIX + id
        if command == "/leave":
            await self._client.leave_room(id)
            if self._conversation == name:
                self._conversation = None
            return self._note(f"Left {name}.")
        if command == "/create":
            await self._client.create_room(id, id)
        else:
            await self._client.join_room(id)
        self._conversation = name
        return self._note(f"Writing to {name}.")

    async def _show_messages(self) -> None:
        async for message in self._client.messages():
            await print_to_reader(as_text(message, conversation=True))
            if self._interactive:
                await self._client.mark_read(message.conversation, message.seq)

    async def _show_status(self) -> None:
        shown = self._client.status.state
        async for event in self._client.events():
            if not isinstance(event, StatusChanged) or event.status.state is shown:
                continue
            shown = event.status.state
            if shown is ConnectionState.OFFLINE:
                self._note(f"Offline: {event.status.reason}. Reconnecting.")
            elif shown is ConnectionState.ONLINE:
                self._note("Online again.")
            elif shown is ConnectionState.REFUSED:
                raise click.ClickException(event.status.reason)

    def _note(self, text: str) -> None:
        # Only HELP has several lines. Text that may quote a server is one line.
        click.echo(text if text is HELP else safe_line(text), err=True)


async def standard_input() -> AsyncIterator[str]:
    """The lines of standard input without line ends, from a terminal, a pipe or a file.

    Raises ClickException if it cannot be read.
    """
    queue: asyncio.Queue[str | OSError | None] = asyncio.Queue(maxsize=1)
    loop = asyncio.get_running_loop()

    def read() -> None:
        # Not sys.stdin: a thread that waits in its buffer would block the interpreter's exit.
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        rest = ""
        # The loop is closed if the chat ended first. The line is not needed then.
        with suppress(RuntimeError, CancelledError):
            try:
                while chunk := os.read(0, 65536):
                    *lines, rest = (rest + decoder.decode(chunk)).split("\n")
                    for line in lines:
                        put(line.removesuffix("\r"))
            except OSError as error:
                put(error)
            if rest:
                put(rest)
            put(None)

    def put(line: str | OSError | None) -> None:
        putting = queue.put(line)
        try:
            asyncio.run_coroutine_threadsafe(putting, loop).result()
        except RuntimeError:
            putting.close()  # otherwise Python warns that it was never awaited
            raise

    # Event loops cannot watch regular files, so a thread reads. It must not keep the process alive.
    threading.Thread(target=read, name="pychat-standard-input", daemon=True).start()
    while (line := await queue.get()) is not None:
        if isinstance(line, OSError):
            raise click.ClickException(f"cannot read standard input: {reason(line)}")
        yield line
