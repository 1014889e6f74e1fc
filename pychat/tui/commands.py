"""The ``/`` commands, as data, and how a line is told to be one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Command:
    """``needs``: it means nothing without its arguments."""

    name: str
    arguments: str
    does: str
    needs: bool = False


COMMANDS: Final = (
    Command("msg", "ID [TEXT]", "Write to somebody", needs=True),
    Command("me", "TEXT", "Say what you do", needs=True),
    Command("search", "[TEXT]", "Search this conversation"),
    Command("searchall", "[TEXT]", "Search all conversations"),
    Command("links", "", "Links in this conversation"),
    Command("copy", "[N]", "Copy the last message, or the Nth from the end"),
    Command("read", "", "Mark all of this conversation as read"),
    Command("mute", "", "Mute this conversation, or undo it"),
    Command("join", "ROOM", "Join a room, or make it", needs=True),
    Command("leave", "", "Leave this room"),
    Command("retry", "", "Send failed messages again"),
    Command("discard", "", "Forget failed messages"),
    Command("block", "[ID]", "See nothing more of somebody"),
    Command("unblock", "ID", "See them again", needs=True),
    Command("theme", "[NAME]", "Change the colours"),
    Command("profile", "[NAME]", "Go to another server and account"),
    Command("logout", "", "End this login, here and on the server"),
    Command("help", "", "Keys and commands"),
    Command("quit", "", "Leave pychat"),
)
_ALSO: Final = {"exit": "quit"}
"""What people type from habit."""
_COMMAND: Final = re.compile(r"/([a-z]+)(?:\s+(.*))?$", re.DOTALL)


class CommandError(Exception):
    """Not a command, or not like that: one line for the user."""


def parse(text: str) -> tuple[Command, str] | None:
    """The command and its arguments; None where the text is a message.

    ``/usr/bin`` and what begins with ``//`` are messages. Raises CommandError.
    """
    match = _COMMAND.match(text)
    if match is None:
        return None
    name, arguments = match[1], (match[2] or "").strip()
    meant = _ALSO.get(name, name)
    command = next((command for command in COMMANDS if command.name == meant), None)
    if command is None:
        raise CommandError(f"There is no command /{name}. To send it as text, write //{name}.")
    if command.needs and not arguments:
        raise CommandError(f"Write /{name} {command.arguments}")
    return command, arguments


def plain(text: str) -> str:
    """The message that a text is which is no command: ``//x`` stands for ``/x``."""
    return text[1:] if text.startswith("//") else text
